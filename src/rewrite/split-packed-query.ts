/** Splits what GroupQueryAttention reads packed into queries, keys and values, so that each is the result of a module. */
import { markParts } from "../analysis/packed-sites.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
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
  const sizes = b.ints([heads * size, shared * size, shared * size]);
  const split = b.node("Split", [packed, sizes], { axis: -1 }, { outputs: 3 });
  markParts(split, ["q_proj", "k_proj", "v_proj"]);
  split.outputs.forEach((part, index) => {
    node.setInput(index, part);
  });
  return true;
}
