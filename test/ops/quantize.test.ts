/** QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear: values, and gradients where both ends are floats. */
import { describe, expect, it } from "vitest";
import type { DType } from "../../src/ir/dtype.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildCase, evaluateCase, type OperandSpec } from "../harness/op-case.ts";

const x: OperandSpec = { shape: [2, 4], range: [-20, 20] };
const scale = (...values: readonly number[]): OperandSpec => ({
  shape: values.length === 1 ? [] : [values.length],
  values,
});
const constants = (dtype: DType, shape: readonly number[], ...values: readonly number[]): OperandSpec => ({
  shape,
  dtype,
  values,
  constant: true,
});

describe.each(["", "com.microsoft"])("QuantizeLinear of domain %j", (domain) => {
  const op = { op: "QuantizeLinear", ...(domain === "" ? {} : { domain }) };
  const zero = (dtype: DType, value: number): OperandSpec => constants(dtype, [], value);
  checkOp("no zero point", { ...op, inputs: [{ ...x, range: [0, 20] }, scale(0.1)] });
  checkOp("uint8", { ...op, inputs: [x, scale(0.1), zero("uint8", 120)] });
  checkOp("int8", { ...op, inputs: [x, scale(0.1), zero("int8", -3)] });
  checkOp("halves go to even", {
    ...op,
    inputs: [{ shape: [6], values: [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5] }, scale(1), zero("int8", 1)],
  });
  checkOp("along an axis", {
    ...op,
    inputs: [x, scale(0.1, 0.2, 0.3, 0.4), constants("int8", [4], 0, 1, 2, 3)],
  });
  checkOp("along the first axis", {
    ...op,
    inputs: [x, scale(0.1, 0.4), constants("uint8", [2], 0, 100)],
    attributes: { axis: 0 },
  });
  checkOp("no elements", { ...op, inputs: [{ shape: [0, 4] }, scale(0.1), zero("uint8", 1)] });
  checkOp("a scalar", { ...op, inputs: [{ shape: [] }, scale(0.1), zero("uint8", 1)] });
});

checkOp("an axis counted from the end", {
  op: "QuantizeLinear",
  inputs: [{ shape: [2, 2, 3] }, scale(0.1, 0.2), constants("int8", [2], 0, 1)],
  attributes: { axis: -2 },
});
checkOp("16 bits", {
  op: "QuantizeLinear",
  opset: 21,
  inputs: [x, scale(0.01), constants("uint16", [], 30000)],
});
checkOp("blocks of two", {
  op: "QuantizeLinear",
  opset: 21,
  inputs: [
    { shape: [3, 4] },
    { shape: [3, 2], range: [0.1, 0.3], constant: true },
    { shape: [3, 2], dtype: "int8", range: [-9, 9], constant: true },
  ],
  attributes: { block_size: 2 },
});
checkOp("the type as an attribute", {
  op: "QuantizeLinear",
  opset: 21,
  inputs: [x, scale(0.1)],
  attributes: { output_dtype: 3 },
});

describe.each(["", "com.microsoft"])("DequantizeLinear of domain %j", (domain) => {
  const op = { op: "DequantizeLinear", ...(domain === "" ? {} : { domain }) };
  const bytes: OperandSpec = { shape: [2, 4], dtype: "uint8", range: [0, 255] };
  checkOp("no zero point", { ...op, inputs: [bytes, scale(0.1)] });
  checkOp("one scale", { ...op, inputs: [bytes, scale(0.1), constants("uint8", [], 7)] });
  checkOp("one scale as a vector", {
    ...op,
    inputs: [bytes, { shape: [1], values: [0.1] }, constants("uint8", [1], 7)],
  });
  checkOp("int32", { ...op, inputs: [{ shape: [3], dtype: "int32", range: [-9999, 9999] }, scale(0.1)] });
  checkOp("along an axis", {
    ...op,
    inputs: [bytes, scale(0.1, 0.2, 0.3, 0.4), constants("uint8", [4], 0, 1, 2, 3)],
  });
  checkOp("along the first axis", {
    ...op,
    inputs: [
      { ...bytes, dtype: "int8", range: [-128, 127] },
      scale(0.1, 0.4),
      constants("int8", [2], 0, 100),
    ],
    attributes: { axis: 0 },
  });
});

checkOp("an axis counted from the end", {
  op: "DequantizeLinear",
  inputs: [{ shape: [2, 2, 3], dtype: "int8" }, scale(0.1, 0.2), constants("int8", [2], 0, 1)],
  attributes: { axis: -2 },
});
checkOp("a scale of 16 bits", {
  op: "DequantizeLinear",
  inputs: [
    { shape: [3], dtype: "int8", range: [-9, 9] },
    { shape: [], dtype: "float16", values: [0.5] },
  ],
});

for (const [dtype, low, high, opset] of [
  ["int4", -8, 7, 21],
  ["uint4", 0, 15, 21],
  ["int16", -9999, 9999, 21],
  ["uint16", 0, 60000, 21],
  ["int2", -2, 1, 25],
  ["uint2", 0, 3, 25],
  ["float8e4m3fn", -9, 9, 19],
  ["float8e4m3fnuz", -9, 9, 19],
  ["float8e5m2", -9, 9, 19],
  ["float8e5m2fnuz", -9, 9, 19],
] as const) {
  const numbers: OperandSpec = { shape: [3, 8], dtype, range: [low, high], constant: true };
  checkOp(`${dtype}`, {
    op: "DequantizeLinear",
    opset,
    inputs: [numbers, { ...scale(0.1), constant: false }],
  });
  if (opset === 19) continue;
  checkOp(`${dtype} in blocks`, {
    op: "DequantizeLinear",
    opset,
    inputs: [numbers, { shape: [3, 2], range: [0.1, 0.3] }, { ...numbers, shape: [3, 2] }],
    attributes: { block_size: 4 },
  });
  checkOp(`${dtype} in blocks along the first axis, the last one shorter`, {
    op: "DequantizeLinear",
    opset,
    inputs: [numbers, { shape: [2, 8], range: [0.1, 0.3] }, { ...numbers, shape: [2, 8] }],
    attributes: { block_size: 2, axis: 0 },
  });
}

checkOp(
  "float4",
  {
    op: "DequantizeLinear",
    opset: 23,
    inputs: [{ shape: [8], dtype: "float4e2m1", range: [-6, 6], constant: true }, scale(0.1)],
  },
  { noRuntime: "the CPU provider has no kernel for float4" },
);

checkOp(
  "positive and negative data",
  {
    op: "DynamicQuantizeLinear",
    inputs: [{ shape: [2, 5], range: [-3, 2] }],
    outputs: 3,
  },
  { noGradient: "nothing scales the result back; checked with what does in test/autodiff/quantized.test.ts" },
);
for (const range of [
  [1, 3],
  [-3, -1],
] as const) {
  checkOp(
    `data from ${range[0]} to ${range[1]}`,
    {
      op: "DynamicQuantizeLinear",
      inputs: [{ shape: [2, 5], range }],
      outputs: 3,
    },
    { noGradient: "see above" },
  );
}
checkOp(
  "zeros",
  {
    op: "DynamicQuantizeLinear",
    inputs: [{ shape: [2], values: [0, 0] }],
    outputs: 3,
  },
  { noGradient: "see above" },
);

describe("8-bit floats that are too large", () => {
  const quantized = (saturate: number): number[] => {
    const inputs = [{ shape: [2], values: [1e4, -1] }, scale(1), constants("float8e4m3fn", [], 0)];
    const built = buildCase({ op: "QuantizeLinear", opset: 21, inputs, attributes: { saturate } }, "static");
    return evaluateCase(built)[0]?.toNumbers() ?? [];
  };
  it("are cut, unless the node says otherwise", () => {
    expect(quantized(1)).toEqual([448, -1]);
    expect(quantized(0)).toEqual([Number.NaN, -1]);
  });
});

describe("scales that do not fit", () => {
  const build = (shape: readonly number[], attributes: Record<string, number>) => () =>
    buildCase(
      {
        op: "DequantizeLinear",
        opset: 21,
        inputs: [{ shape: [2, 4], dtype: "int8" }, { shape }],
        attributes,
      },
      "static",
    );
  it("are refused", () => {
    expect(build([4], { axis: 2 })).toThrow(/axis 2 of an operand of rank 2/);
    expect(build([2, 4], {})).toThrow(/scales of rank 0 or 1/);
    expect(build([4], { block_size: 2 })).toThrow(/scales of rank 2 for blocks/);
  });
});
