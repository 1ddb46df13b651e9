/** MultiHeadAttention of com.microsoft: projections made elsewhere, their biases added here. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { addDims, type Dim, floorDivDims, mulDims } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import type { Shape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dimOf, rankOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { mergeHeads, splitHeads } from "../kernels/heads.ts";
import { attendMasked } from "../kernels/masked-attention.ts";
import { partsOfFirstAxis } from "../kernels/parts.ts";
import { amounts, float, int } from "../params.ts";
import type { Inferred } from "../record.ts";

interface Operands {
  readonly query: Value;
  readonly key: Value | undefined;
  readonly value: Value | undefined;
  readonly biases: Value | undefined;
  readonly pastKey: Value | undefined;
  readonly pastValue: Value | undefined;
}

export const MultiHeadAttention = defineOp({
  type: "MultiHeadAttention",
  domain: "com.microsoft",
  versions: [1],
  inputs: [
    ...(["query", "key?", "value?", "biases?", "mask?", "bias?", "pastKey?", "pastValue?"] as const),
    ...(["pastLength?", "beams?"] as const),
  ],
  ranks: { query: [3, 5], key: [3, 5], value: [3, 4], biases: 1, bias: 4, pastKey: 4, pastValue: 4 },
  outputs: ["y", "presentKey?", "presentValue?", "scores?"],
  attributes: {
    mask_filter_value: float(-10000),
    num_heads: int(0, amounts),
    scale: float(0),
    unidirectional: int(0),
  },
  infer: ({ in: operands, attrs }) => inferHeads(operands, attrs.num_heads),
  evaluate: byExpansion,
  parts: partsOfFirstAxis,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: operands, attrs, b }) => {
      const { mask, bias, pastKey, pastValue, pastLength, beams } = operands;
      if (pastLength !== undefined || beams !== undefined)
        throw operatorErrors.E_OPERATOR_FORM(
          node,
          "a past and present in one buffer",
          "buffers of their own",
        );
      if (pastKey !== undefined && node.outputs[1] == null && node.outputs[2] == null)
        throw operatorErrors.E_OPERATOR_FORM(
          node,
          "a past and no present, which the kernel does not read",
          "both",
        );
      const heads = splitOperands(b, node, operands, attrs.num_heads);
      const key = pastKey === undefined ? heads.key : b.concat([pastKey, heads.key], 2);
      const value = pastValue === undefined ? heads.value : b.concat([pastValue, heads.value], 2);
      const before = pastKey === undefined ? undefined : b.dim(pastKey, 2);
      const result = attendMasked(
        b,
        node,
        { q: heads.q, key, value, before, mask, bias },
        { causal: attrs.unidirectional === 1, filter: attrs.mask_filter_value, scale: attrs.scale },
      );
      const results = [mergeHeads(b, result.heads, attrs.num_heads), key, value, result.scores];
      return node.outputs.map((output, index) => (output === null ? null : (results[index] ?? null)));
    },
  },
});

interface Heads {
  readonly q: Value;
  readonly key: Value;
  readonly value: Value;
}

/**
 * Heads of all three, biases added. The query may hold all (`[batch, length, heads, 3, size]`), the key the values too
 * (`[..., 2, size]`), or both may be heads already, as those of a cache are.
 */
function splitOperands(
  b: OpBuilder,
  node: Node,
  { query, key, value, biases }: Operands,
  count: number,
): Heads {
  const split = (x: Value, bias: Value | undefined): Value =>
    splitHeads(b, bias === undefined ? x : b.add(x, bias), count);
  const packed = (x: Value, index: number, bias: Value | undefined): Value => {
    const part = b.gather(x, b.int(index), 3);
    return split(b.reshape(part, [0, 0, -1]), bias);
  };
  if (key === undefined) {
    if (rankOf(query) !== 5)
      throw operatorErrors.E_OPERATOR_FORM(node, "a packed query of three axes", "one of five axes");
    const size = dimOf(query, 4);
    const [q, k, v] = splitBiases(
      b,
      node,
      biases,
      [size, size, size].map((each) => mulDims(each, count)),
    );
    return { q: packed(query, 0, q), key: packed(query, 1, k), value: packed(query, 2, v) };
  }
  const width = dimOf(query, 2);
  if (value === undefined) {
    const [q] = splitBiases(b, node, biases, [width, width, width]);
    return { q: split(query, q), key: packed(key, 0, undefined), value: packed(key, 1, undefined) };
  }
  const last = rankOf(value) === 3 ? dimOf(value, 2) : width;
  const [q, k, v] = splitBiases(b, node, biases, [width, width, last]);
  // Heads of a cache have had their biases.
  return {
    q: split(query, q),
    key: rankOf(key) === 4 ? key : split(key, k),
    value: rankOf(value) === 4 ? value : split(value, v),
  };
}

function splitBiases(
  b: OpBuilder,
  node: Node,
  biases: Value | undefined,
  widths: readonly Dim[],
): readonly (Value | undefined)[] {
  if (biases === undefined) return [];
  const sizes = widths.map((width) => {
    if (typeof width === "number") return width;
    throw operatorErrors.E_UNKNOWN_SIZE(node, "the width of its operands");
  });
  const parts = b.node("Split", [biases, b.ints(sizes)], { axis: 0 }, { outputs: 3 });
  return [0, 1, 2].map((index) => parts.output(index));
}

function inferHeads({ query, key, value, pastKey }: Operands, count: number): Inferred[] {
  const [type, shape] = [query.tensorType, query.tensorType?.shape];
  if (type === undefined) return [];
  const unknown = tensorType(type.dtype);
  const [batch, length] = shape ?? [];
  const keys = cached(query, key, value, count);
  if (batch === undefined || length === undefined || keys === undefined)
    return [unknown, unknown, unknown, unknown];
  const before = pastKey?.tensorType?.shape?.[2];
  const total = before === undefined ? keys.length : addDims(before, keys.length);
  return [
    tensorType(type.dtype, [batch, length, mulDims(count, keys.value)]),
    tensorType(type.dtype, [batch, count, total, keys.key]),
    tensorType(type.dtype, [batch, count, total, keys.value]),
    tensorType(type.dtype, [batch, count, length, total]),
  ];
}

/** Number of keys, and channels of a head of keys and of values. */
function cached(
  query: Value,
  key: Value | undefined,
  value: Value | undefined,
  count: number,
): { readonly length: Dim; readonly key: Dim; readonly value: Dim } | undefined {
  const shape = (key ?? query).tensorType?.shape;
  const [, second, third, , fifth] = shape ?? [];
  if (shape === undefined || second === undefined || third === undefined) return undefined;
  if (fifth !== undefined) return { length: second, key: fifth, value: fifth };
  const values = value?.tensorType?.shape;
  if (values === undefined) return undefined;
  const headSize = (dims: Shape): Dim => dims[3] ?? floorDivDims(dims[2] ?? 0, count);
  return { length: shape.length === 4 ? third : second, key: headSize(shape), value: headSize(values) };
}
