/** Splits what GroupQueryAttention reads packed into queries, keys and values, so that each is the result of a module. */
import { markParts } from "../analysis/packed-sites.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";

/** Gives whether the node read them packed, in a width that is known. */
export function splitPackedQuery(node: Node, graph: Graph, opset: number): boolean {
  const [packed, key] = [node.input(0), node.input(1)];
  const width = packed?.tensorType?.shape?.at(-1);
  const [heads, shared] = [node.int("num_heads", 0), node.int("kv_num_heads", 0)];
  if (packed === undefined || key !== undefined || typeof width !== "number") return false;
  const size = width / (heads + 2 * shared);
  if (!Number.isInteger(size)) return false;
  const b = new OpBuilder({ graph, before: node }, opset);
  b.source = node;
  splitProjections(b, packed, [heads * size, shared * size, shared * size]).forEach((part, index) => {
    node.setInput(index, part);
  });
  return true;
}

/** Queries, keys and values of the given widths, each the result of a module inside `holder`. */
export function splitProjections(
  b: OpBuilder,
  packed: Value,
  widths: readonly [number, number, number],
  holder?: string,
): readonly (Value | null)[] {
  const split = b.node("Split", [packed, b.ints(widths)], { axis: -1 }, { outputs: 3 });
  markParts(split, ["q_proj", "k_proj", "v_proj"], holder);
  return split.outputs;
}
