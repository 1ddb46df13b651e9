/** Complex numbers as pairs on the last axis: ComplexMul, ComplexMulConj, Rfft and Irfft of com.microsoft. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { inlineTensor } from "../../ir/constant.ts";
import { addDims, floorDivDims, mulDims, subDims } from "../../ir/dim.ts";
import type { DType } from "../../ir/dtype.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { encodeElements } from "../elements.ts";
import { dimOf, dtypeOf, rankOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { int } from "../params.ts";
import type { Op } from "../record.ts";

const domain = "com.microsoft";
const versions = [1];

export const ComplexMul = defineProduct("ComplexMul", false);
/** The product with the conjugate of the second operand. */
export const ComplexMulConj = defineProduct("ComplexMulConj", true);

function defineProduct(type: string, conjugate: boolean): Op {
  return defineOp({
    type,
    domain,
    versions,
    inputs: ["x", "y"],
    outputs: ["z"],
    attributes: {},
    infer: ({ node, in: { x, y } }) => [inferBroadcast(node, [x, y])],
    evaluate: byExpansion,
    precision: "follow",
    gradient: {
      kind: "expand",
      rule: ({ in: { x, y }, b }) => {
        const [a, c] = halves(b, x);
        const [p, q] = halves(b, y);
        const [across, other] = [b.mul(c, q), b.mul(a, q)];
        const real = conjugate ? b.add(b.mul(a, p), across) : b.sub(b.mul(a, p), across);
        const imaginary = conjugate ? b.sub(b.mul(c, p), other) : b.add(b.mul(c, p), other);
        return [b.concat([real, imaginary], -1)];
      },
    },
  });
}

/** Real and imaginary parts, the last axis kept. */
function halves(b: OpBuilder, x: Value): [Value, Value] {
  const [real = x, imaginary = x] = b.ops("Split", [x], { axis: -1, num_outputs: 2 }, 2);
  return [real, imaginary];
}

const signal = { normalized: int(0), onesided: int(1), signal_ndim: int(1) };

export const Rfft = defineOp({
  type: "Rfft",
  domain,
  versions,
  inputs: ["x"],
  ranks: { x: [1] },
  outputs: ["y"],
  attributes: signal,
  infer: ({ in: { x } }) => {
    const [type, shape] = [x.tensorType, x.tensorType?.shape];
    const bins = shape?.at(-1);
    const whole =
      shape && bins !== undefined ? [...shape.slice(0, -1), addDims(floorDivDims(bins, 2), 1), 2] : undefined;
    return [type && tensorType(type.dtype, whole)];
  },
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x }, attrs, b }) => {
      const length = signalLength(node, x, -1, attrs);
      const waves = (wave: (angle: number) => number): number[] =>
        table(length, bins(length), (t, k) => wave((-2 * Math.PI * t * k) / length));
      const part = (values: readonly number[]): Value =>
        b.unsqueeze(b.matmul(x, matrix(b, [length, bins(length)], values, dtypeOf(x))), [-1]);
      return [b.concat([part(waves(Math.cos)), part(waves(Math.sin))], -1)];
    },
  },
});

/** The inverse of Rfft; the imaginary parts of the first and the last bin count for nothing. */
export const Irfft = defineOp({
  type: "Irfft",
  domain,
  versions,
  inputs: ["x"],
  ranks: { x: [2] },
  outputs: ["y"],
  attributes: signal,
  infer: ({ in: { x } }) => {
    const [type, shape] = [x.tensorType, x.tensorType?.shape];
    const count = shape?.at(-2);
    const whole =
      shape && count !== undefined ? [...shape.slice(0, -2), mulDims(2, subDims(count, 1))] : undefined;
    return [type && tensorType(type.dtype, whole)];
  },
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x }, attrs, b }) => {
      const count = signalLength(node, x, -2, attrs);
      const length = 2 * (count - 1);
      // Bins between the first and the last stand for their mirror images, too.
      const weight = (k: number): number => (k === 0 || k === count - 1 ? 1 : 2) / length;
      const waves = (wave: (angle: number) => number): number[] =>
        table(count, length, (k, t) => weight(k) * wave((2 * Math.PI * t * k) / length));
      const rank = rankOf(x);
      const [real, imaginary] = halves(b, x).map((part) => b.squeeze(part, [rank - 1]));
      const product = (part: Value, values: readonly number[]): Value =>
        b.matmul(part, matrix(b, [count, length], values, dtypeOf(x)));
      return [b.sub(product(real ?? x, waves(Math.cos)), product(imaginary ?? x, waves(Math.sin)))];
    },
  },
});

/** @throws DiagnosticError where the signal has more axes than one, or no known length. */
function signalLength(
  node: Node,
  x: Value,
  axis: number,
  attrs: { readonly [K in keyof typeof signal]: number },
): number {
  if (attrs.signal_ndim !== 1 || attrs.onesided !== 1 || attrs.normalized !== 0)
    throw operatorErrors.E_OPERATOR_FORM(
      node,
      "a transform along several axes, two-sided or normalized",
      "one along one axis",
    );
  const length = dimOf(x, axis);
  if (typeof length !== "number") throw operatorErrors.E_UNKNOWN_SIZE(node, "the length of the signal");
  return length;
}

function bins(length: number): number {
  return Math.floor(length / 2) + 1;
}

function table(rows: number, columns: number, at: (row: number, column: number) => number): number[] {
  return Array.from({ length: rows * columns }, (_, i) => at(Math.floor(i / columns), i % columns));
}

function matrix(b: OpBuilder, dims: readonly number[], values: readonly number[], dtype: DType): Value {
  return b.constant(inlineTensor(dtype, dims, encodeElements(dtype, Float64Array.from(values))));
}
