/** Operators on tokens without padding, which only the CUDA provider has: held against those with padding. */
import { expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { buildCase, evaluateCase, type OpCase, type OperandSpec } from "../harness/op-case.ts";

const domain = "com.microsoft";
const cudaOnly = { noRuntime: "only the CUDA provider has a kernel", namings: ["static"] } as const;
const whole = (shape: readonly number[], values: readonly number[]): OperandSpec => ({
  shape,
  values,
  dtype: "int32",
});

// Three sequences of 1, 2 and 4 tokens, as ContribOperators.md draws them.
const counts = whole([3], [1, 2, 4]);
const offsets = whole([3, 4], [0, 4, 5, 8, 9, 10, 11, 1, 2, 3, 6, 7]);
const ends = whole([4], [0, 1, 3, 7]);
const padded: OperandSpec = { shape: [3, 4, 2] };
const tokens = (width: number): OperandSpec => ({ shape: [7, width] });

checkOp(
  "three sequences",
  { op: "RemovePadding", domain, outputs: 4, inputs: [padded, counts] },
  { noRuntime: cudaOnly.noRuntime },
);
checkOp(
  "no padding at all",
  { op: "RemovePadding", domain, outputs: 4, inputs: [padded, whole([3], [4, 4, 4])] },
  cudaOnly,
);
checkOp(
  "three sequences",
  { op: "RestorePadding", domain, inputs: [tokens(2), offsets] },
  { noRuntime: cudaOnly.noRuntime },
);

const results = (spec: OpCase): readonly (readonly number[])[] =>
  evaluateCase(buildCase(spec, "static")).map((array) => array.toNumbers());

test("RemovePadding says what it did", () => {
  const values = Array.from({ length: 24 }, (_, i) => i);
  const [y, ...rest] = results({
    op: "RemovePadding",
    domain,
    outputs: 4,
    inputs: [{ shape: [3, 4, 2], values }, counts],
  });
  expect(y).toEqual([0, 4, 5, 8, 9, 10, 11].flatMap((row) => [2 * row, 2 * row + 1]));
  expect(rest).toEqual([offsets.values, ends.values, [4]]);
});

const weights: OperandSpec = { shape: [4, 12], range: [-1, 1] };
const biases: OperandSpec = { shape: [12] };
for (const bias of [null, { shape: [1, 2, 4, 4] }]) {
  const inputs = [tokens(4), weights, biases, offsets, ends, bias];
  checkOp(
    bias === null ? "no bias" : "a bias",
    { op: "PackedAttention", domain, attributes: { num_heads: 2 }, inputs },
    cudaOnly,
  );
}
const heads = { op: "PackedMultiHeadAttention", domain, attributes: { num_heads: 2 } };
checkOp(
  "separate operands",
  { ...heads, inputs: [tokens(4), tokens(4), tokens(6), { shape: [14] }, offsets, ends] },
  cudaOnly,
);
checkOp(
  "all in the query",
  { ...heads, inputs: [{ shape: [7, 2, 3, 4] }, null, null, null, offsets, ends] },
  cudaOnly,
);

/** Deterministic numbers of order one. */
const numbers = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.sin(seed + 1.7 * i));

test("PackedAttention gives what Attention gives for the same tokens with padding", () => {
  const x = numbers(28, 1);
  const given = {
    weights: { ...weights, values: numbers(48, 2) },
    biases: { ...biases, values: numbers(12, 3) },
  };
  const attributes = { num_heads: 2 };
  const inputs = [{ ...tokens(4), values: x }, given.weights, given.biases, offsets, ends];
  const [packed = []] = results({ op: "PackedAttention", domain, attributes, inputs });
  const [unpacked = []] = results({
    op: "RestorePadding",
    domain,
    inputs: [{ ...tokens(4), values: x }, offsets],
  });
  const [attended = []] = results({
    op: "Attention",
    domain,
    attributes,
    inputs: [{ shape: [3, 4, 4], values: unpacked }, given.weights, given.biases, counts],
  });
  const wanted = [0, 4, 5, 8, 9, 10, 11].flatMap((row) => attended.slice(4 * row, 4 * row + 4));
  packed.forEach((value, i) => {
    expect(value).toBeCloseTo(wanted[i] ?? Number.NaN, 6);
  });
  expect(packed.length).toBe(28);
});
