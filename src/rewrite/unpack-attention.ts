/** Splits the packed projection of the runtime's Attention into one for queries, one for keys and one for values. */
import { parseParameterName } from "../analysis/module-path.ts";
import { constantOf } from "../ir/constant.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { replaceValue } from "../ir/replace.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { splitProjections } from "./split-packed-query.ts";

/**
 * Writes `MultiHeadAttention` over the parts of one product with the packed weights, which stay as they are. Its modules
 * are named after the packed weight or bias: `layer.0.attention.qkv.weight` holds `layer.0.attention.q_proj` and so on.
 *
 * @returns false where the weights are no constants or MultiHeadAttention lacks an option.
 */
export function splitAttention(node: Node, graph: Graph, opset: number): boolean {
  const [x, packed, biases, mask, past, bias] = [0, 1, 2, 3, 4, 5].map((index) => node.input(index));
  const weights = constantOf(packed);
  const shape = weights?.dims ?? [];
  if (x?.tensorType?.shape === undefined || weights === undefined || packed === undefined) return false;
  if (!isFloat(weights.dtype) || shape.length !== 2) return false;
  if (biases !== undefined && constantOf(biases) === undefined) return false;
  const unsupported = ["do_rotary", "past_present_share_buffer"].some((name) => node.int(name, 0) !== 0);
  const maskRank = mask === undefined ? 0 : mask.tensorType?.shape?.length;
  if (unsupported || maskRank === undefined || maskRank === 4 || node.input(6) !== undefined) return false;

  const b = new OpBuilder({ graph, before: node }, opset);
  b.source = node;
  const product = b.matmul(x, packed);
  const y = biases === undefined ? product : b.add(product, biases);
  const sizes = widths(shape[1] ?? 0, node.ints("qkv_hidden_sizes", undefined));
  const parts = splitProjections(b, y, sizes, moduleName(node, packed, biases));
  attend(b, node, parts, { mask, past, bias });
  graph.remove(node);
  return true;
}

function attend(
  b: OpBuilder,
  node: Node,
  projections: readonly (Value | null)[],
  {
    mask,
    past,
    bias,
  }: { readonly mask: Value | undefined; readonly past: Value | undefined; readonly bias: Value | undefined },
): void {
  const old = [0, 1].map((index) => (past === undefined ? null : b.gather(past, b.int(index))));
  const operands = [...projections, undefined, mask, bias].map((value) => value ?? null);
  const kept = ["num_heads", "scale", "unidirectional", "mask_filter_value"];
  const attributes = Object.fromEntries([...node.attributes].filter(([name]) => kept.includes(name)));
  const [y, present] = node.outputs;
  const outputs = present == null ? 1 : 3;
  const attention = b.node("MultiHeadAttention", [...operands, ...old], attributes, {
    domain: node.domain,
    outputs,
  });
  if (y != null) replaceValue(y, attention.output());
  if (present == null) return;
  const both = [1, 2].map((index) => b.unsqueeze(attention.output(index), [0]));
  replaceValue(present, b.concat(both, 0));
}

function widths(width: number, sizes: readonly number[] | undefined): [number, number, number] {
  const [q = width / 3, k = width / 3] = sizes ?? [];
  return [q, k, width - q - k];
}

/** The module that the packed weight belongs to; its own name, or that of the node, where it has none. */
function moduleName(node: Node, weights: Value, biases: Value | undefined): string {
  const known = parseParameterName(weights.name)?.module ?? parseParameterName(biases?.name ?? "")?.module;
  if (known !== undefined) return known;
  return plainName(node.name || weights.name);
}

/** A name without what parameter names cannot hold, and without dots. */
function plainName(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]+/g, "_").replace(/^_+|_+$/g, "") || "attention";
}
