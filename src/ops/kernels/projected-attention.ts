/** Attention whose queries, keys and values come of one product: what Attention of com.microsoft and its quantised form share. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { addDims, type Dim, floorDivDims, subDims } from "../../ir/dim.ts";
import type { DType } from "../../ir/dtype.ts";
import type { Node } from "../../ir/node.ts";
import { type TensorType, tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dimOf } from "../facts.ts";
import { mergeHeads, splitHeads } from "./heads.ts";
import { attendMasked } from "./masked-attention.ts";

/** Attributes that say how attention is computed from its product. */
export interface ProjectedAttributes {
  readonly mask_filter_value: number;
  readonly num_heads: number;
  readonly qkv_hidden_sizes?: readonly number[] | undefined;
  readonly scale: number;
  readonly unidirectional: number;
}

/** Operands as floats: `x` (batch, length, width), `weights` (width, all heads of queries, keys and values). */
export interface ProjectedOperands extends Projection {
  readonly mask: Value | undefined;
  /** Keys and values of the tokens before, (2, batch, heads, length, size). */
  readonly past: Value | undefined;
  readonly bias?: Value | undefined;
}

/** Types of the result and of keys and values with those of the past. */
export function inferProjected(
  dtype: DType | undefined,
  { x, weights, past }: { readonly x: Value; readonly weights: Value; readonly past: Value | undefined },
  attrs: Pick<ProjectedAttributes, "num_heads" | "qkv_hidden_sizes">,
): (TensorType | undefined)[] {
  if (dtype === undefined) return [];
  const width = weights.tensorType?.shape?.[1];
  const [batch, length] = x.tensorType?.shape ?? [];
  if (batch === undefined || length === undefined || width === undefined)
    return [tensorType(dtype), tensorType(dtype)];
  const [, keys, values] = widths(width, attrs.qkv_hidden_sizes);
  const size = floorDivDims(keys, attrs.num_heads);
  const before = past?.tensorType?.shape?.[3];
  const total = before === undefined ? length : addDims(before, length);
  return [
    tensorType(dtype, [batch, length, values]),
    tensorType(dtype, [2, batch, attrs.num_heads, total, size]),
  ];
}

/** The result, and keys and values with those of the past where somebody reads them. */
export function attendProjected(
  b: OpBuilder,
  node: Node,
  { x, weights, biases, mask, past, bias }: ProjectedOperands,
  attrs: ProjectedAttributes,
): (Value | null)[] {
  const [q, newKey, newValue] = project(b, node, { x, weights, biases }, attrs);
  const old = (index: number): Value[] => (past === undefined ? [] : [b.gather(past, b.int(index))]);
  const key = b.concat([...old(0), newKey], 2);
  const value = b.concat([...old(1), newValue], 2);
  const before = past === undefined ? undefined : b.dim(past, 3);
  const { heads } = attendMasked(
    b,
    node,
    { q, key, value, before, mask, bias },
    { causal: attrs.unidirectional === 1, filter: attrs.mask_filter_value, scale: attrs.scale },
  );
  const present =
    node.outputs[1] == null ? null : b.concat([b.unsqueeze(key, [0]), b.unsqueeze(value, [0])], 0);
  return [mergeHeads(b, heads, attrs.num_heads), present];
}

interface Projection {
  readonly x: Value;
  readonly weights: Value;
  readonly biases: Value | undefined;
}

/** Heads of queries, keys and values, by one product. */
function project(
  b: OpBuilder,
  node: Node,
  { x, weights, biases }: Projection,
  attrs: Pick<ProjectedAttributes, "num_heads" | "qkv_hidden_sizes">,
): [Value, Value, Value] {
  const width = dimOf(weights, 1);
  if (typeof width !== "number") throw operatorErrors.E_UNKNOWN_SIZE(node, "the width of its weights");
  const product = b.matmul(x, weights);
  const sum = biases === undefined ? product : b.add(product, biases);
  const sizes = widths(width, attrs.qkv_hidden_sizes).map(Number);
  const parts = b.node("Split", [sum, b.ints(sizes)], { axis: 2 }, { outputs: 3 });
  const [q, key, value] = [0, 1, 2].map((index) => splitHeads(b, parts.output(index), attrs.num_heads));
  return [q ?? sum, key ?? sum, value ?? sum];
}

/** Widths of queries, keys and values. */
function widths(width: Dim, sizes: readonly number[] | undefined): [Dim, Dim, Dim] {
  const third = floorDivDims(width, 3);
  const [q = third, key = third] = sizes ?? [];
  return [q, key, subDims(subDims(width, q), key)];
}
