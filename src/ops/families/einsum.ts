/** Einsum: sums of products over named axes. */
import { type Dim, mulDims, unknownDim } from "../../ir/dim.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf, shapeOf } from "../facts.ts";
import { throughFloat32 } from "../kernels/downgrade.ts";
import {
  type Equation,
  evaluateEinsum,
  labelSizes,
  parseEquation,
  printEquation,
} from "../kernels/einsum.ts";
import { shapeVector, sizeAt, sizesOf } from "../kernels/shape-vector.ts";
import { text } from "../params.ts";

export const Einsum = defineOp({
  type: "Einsum",
  versions: [12, 28],
  downgrades: { 28: throughFloat32(["bfloat16"]) },
  inputs: ["xs..."],
  outputs: ["y"],
  attributes: { equation: text("") },
  infer: ({ node, in: { xs }, attrs: { equation } }) => {
    const dtype = xs[0]?.tensorType?.dtype;
    const shapes = xs.flatMap((x) => (x.tensorType?.shape === undefined ? [] : [x.tensorType.shape]));
    if (dtype === undefined || shapes.length !== xs.length) return [dtype && tensorType(dtype)];
    const parsed = parseEquation(
      node,
      equation,
      shapes.map(({ length }) => length),
    );
    const sizes = labelSizes(parsed, shapes);
    return [
      tensorType(
        dtype,
        parsed.result.map((label) => sizes.get(label) ?? unknownDim()),
      ),
    ];
  },
  evaluate: ({ node, in: { xs }, attrs: { equation }, exact }) => [
    evaluateEinsum(
      parseEquation(
        node,
        equation,
        xs.map(({ rank }) => rank),
      ),
      xs,
      exact,
    ),
  ],
  precision: "low",
  cost: {
    flops: ({ in: { xs }, out: { y }, attrs: { equation } }) => {
      const node = y.producer;
      if (node === undefined || xs.length < 2) return 0;
      const sizes = labelSizes(parseEquation(node, equation, xs.map(rankOf)), xs.map(shapeOf));
      return [...sizes.values()].reduce<Dim>(mulDims, 2 * (xs.length - 1));
    },
  },
  gradient: ({ node, in: { xs }, attrs: { equation }, grad, b }) => ({
    xs: (index) => einsumGradient(b, xs, grad.y, parseEquation(node, equation, xs.map(rankOf)), index),
  }),
});

/**
 * The gradient of one operand is the Einsum of that of the result with the other operands, in the operand's
 * own labels. A label that stands twice in it is a diagonal, off which the gradient is 0: an identity matrix
 * joins both axes. A label that nothing else has was summed alone, and gets the same gradient everywhere.
 */
function einsumGradient(
  b: OpBuilder,
  xs: readonly Value[],
  g: Value,
  equation: Equation,
  index: number,
): Value {
  const x = xs[index] ?? g;
  const own = equation.operands[index] ?? [];
  const others = xs
    .map((value, i) => ({ value, labels: equation.operands[i] ?? [] }))
    .filter((_, i) => i !== index);
  const parts = [{ value: g, labels: equation.result }, ...others];
  const present = new Set(parts.flatMap(({ labels }) => labels));
  const target: string[] = [];
  const missing: number[] = [];
  own.forEach((label, axis) => {
    const first = own.indexOf(label);
    if (first < axis) {
      const twin = `${label}'${axis}`;
      const values = {
        value: identityMatrix(b, x, first),
        labels: [present.has(label) ? label : `${label}'${first}`, twin],
      };
      parts.push(values);
      target.push(twin);
    } else if (present.has(label)) target.push(label);
    else if (own.lastIndexOf(label) > axis) target.push(`${label}'${axis}`);
    else missing.push(axis);
  });
  const text = printEquation({ operands: parts.map(({ labels }) => labels), result: target });
  const product = b.op(
    "Einsum",
    parts.map(({ value }) => value),
    { equation: text },
  );
  if (missing.length === 0) return product;
  return b.expand(b.unsqueeze(product, missing), shapeVector(b, sizesOf(x)));
}

/** EyeLike has no kernel for 16-bit floats. */
function identityMatrix(b: OpBuilder, x: Value, axis: number): Value {
  const size = sizeAt(x, axis);
  return b.castLike(b.op("EyeLike", [b.expand(b.scalar(0, "float32"), shapeVector(b, [size, size]))]), x);
}
