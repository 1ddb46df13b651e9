/** Gradient rules of movement, products and gathers in every float type, and differentiated twice. */
import { expect, test } from "vitest";
import { floatAttribute } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";
import type { OpCase, OperandSpec } from "../harness/op-case.ts";

const ints = (...values: readonly number[]): OperandSpec => ({
  shape: [values.length],
  dtype: "int64",
  values,
  constant: true,
});
const index = (shape: readonly number[], ...values: readonly number[]): OperandSpec => ({
  shape,
  dtype: "int64",
  values,
});
const x: OperandSpec = { shape: [3, 4] };
const image: OperandSpec = { shape: [1, 2, 5, 5] };
const kernel: OperandSpec = { shape: [2, 2, 3, 3] };
const end = Number.MAX_SAFE_INTEGER;

const cases: readonly OpCase[] = [
  { op: "Reshape", inputs: [x, ints(2, 6)] },
  { op: "Transpose", inputs: [x] },
  { op: "Expand", inputs: [{ shape: [3, 1] }, ints(2, 3, 4)] },
  { op: "Tile", inputs: [x, ints(2, 1)] },
  { op: "Concat", inputs: [x, x], attributes: { axis: 1 } },
  { op: "Split", inputs: [x], attributes: { axis: 1, num_outputs: 2 }, outputs: 2 },
  { op: "Slice", inputs: [x, ints(1), ints(end), ints(1)] },
  { op: "Slice", inputs: [x, ints(-1), ints(-end), ints(1), ints(-2)] },
  { op: "Pad", inputs: [x, ints(1, 0, 0, 2), { shape: [] }] },
  { op: "Pad", inputs: [x, ints(1, 0, 0, 2)], attributes: { mode: "reflect" } },
  { op: "CenterCropPad", inputs: [x, ints(2, 6)] },
  { op: "DepthToSpace", inputs: [{ shape: [1, 4, 2, 2] }], attributes: { blocksize: 2, mode: "CRD" } },
  { op: "SpaceToDepth", inputs: [{ shape: [1, 1, 4, 2] }], attributes: { blocksize: 2 } },
  { op: "Trilu", inputs: [x] },
  {
    op: "OneHot",
    inputs: [index([2], 0, 1), { shape: [], dtype: "int64", values: [3], constant: true }, { shape: [2] }],
  },
  { op: "Compress", inputs: [x, { shape: [3], dtype: "bool", values: [1, 0, 1] }], attributes: { axis: 0 } },
  { op: "TopK", inputs: [x, ints(2)], outputs: 2 },
  { op: "Gather", inputs: [x, index([], 1)] },
  { op: "Gather", inputs: [x, index([3], 0, 2, 0)] },
  { op: "Gather", inputs: [x, index([2, 2], 0, 2, 0, 1)], attributes: { axis: 1 } },
  { op: "GatherElements", inputs: [x, index([2, 4], 0, 1, 2, 0, 0, 0, 0, 0)] },
  { op: "GatherND", inputs: [x, index([2, 1], 2, 2)] },
  ...["none", "add", "mul", "max"].flatMap((reduction) => [
    { op: "ScatterElements", inputs: [x, index([1, 2], 0, 2), { shape: [1, 2] }], attributes: { reduction } },
    { op: "ScatterND", inputs: [x, index([2, 1], 0, 2), { shape: [2, 4] }], attributes: { reduction } },
  ]),
  { op: "MatMul", inputs: [{ shape: [2, 3, 4] }, { shape: [4, 2] }] },
  { op: "MatMul", inputs: [{ shape: [2, 3, 4] }, { shape: [2, 4, 2] }] },
  { op: "MatMul", inputs: [{ shape: [4] }, { shape: [2, 4, 2] }] },
  {
    op: "Gemm",
    inputs: [x, { shape: [4, 2] }, { shape: [2] }],
    attributes: { alpha: floatAttribute(0.5), beta: floatAttribute(2) },
  },
  { op: "FusedMatMul", domain: "com.microsoft", inputs: [x, { shape: [2, 4] }], attributes: { transB: 1 } },
  { op: "Einsum", inputs: [x, { shape: [4, 2] }], attributes: { equation: "ij,jk->ki" } },
  { op: "Einsum", inputs: [{ shape: [3, 3] }], attributes: { equation: "ii->i" } },
  {
    op: "Conv",
    inputs: [image, kernel, { shape: [2] }],
    attributes: { strides: [2, 2], pads: [1, 0, 1, 1], kernel_shape: [3, 3] },
  },
  {
    op: "ConvTranspose",
    inputs: [image, kernel, { shape: [2] }],
    attributes: { strides: [2, 1], kernel_shape: [3, 3] },
  },
  { op: "MaxPool", inputs: [image], attributes: { kernel_shape: [2, 2] } },
  {
    op: "AveragePool",
    inputs: [image],
    attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
  },
  { op: "GlobalAveragePool", inputs: [image] },
  { op: "GlobalMaxPool", inputs: [image] },
];

for (const dtype of ["float64", "float16", "bfloat16"] as const) {
  for (const spec of cases) {
    const inputs = spec.inputs.map((operand) => operand && { dtype, ...operand });
    const attributes = Object.entries(spec.attributes ?? {}).map(
      ([name, value]) => `${name} ${JSON.stringify(value)}`,
    );
    const shapes = spec.inputs.map((operand) => `[${operand?.shape}]`).join(" ");
    checkOp(
      [dtype, shapes, ...attributes].join(", "),
      { ...spec, inputs },
      { noRuntime: "checked in float32", twice: dtype === "float64" },
    );
  }
}

test.each(cases.map((spec) => [spec.op, spec] as const))(
  "the gradient of %s in bfloat16 asks for no kernel that only other types have",
  (_, spec) => {
    const missing = new Set(["Pad", "ConvTranspose", "EyeLike", "Range"]);
    const inputs = spec.inputs.map((operand) => operand && ({ dtype: "bfloat16", ...operand } as const));
    const { model, outputs } = buildBackward({ ...spec, inputs }, "static");
    const forward = new Set(outputs.map(({ producer }) => producer));
    for (const node of model.graph.nodes()) {
      if (forward.has(node) || !missing.has(node.op)) continue;
      expect(node.input(0)?.tensorType?.dtype, node.op).not.toBe("bfloat16");
    }
  },
);
