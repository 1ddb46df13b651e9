/** Every gradient rule in every float type: constants and casts must be of the operands' type. */
import { checkOp } from "../harness/check-op.ts";
import type { OpCase, OperandSpec } from "../harness/op-case.ts";

const x: OperandSpec = { shape: [2, 4], kinks: [0] };
const positive: OperandSpec = { shape: [2, 4], range: [0.5, 2] };
const small: OperandSpec = { shape: [2, 4], range: [-0.8, 0.8] };
const image: OperandSpec = { shape: [2, 4, 3] };
const scale: OperandSpec = { shape: [4], range: [0.5, 1.5] };
const bias: OperandSpec = { shape: [4] };
const labels: OperandSpec = { shape: [2], dtype: "int64", values: [3, 0] };
const axis: OperandSpec = { shape: [1], dtype: "int64", values: [1], constant: true };

const anywhere = [
  "Neg",
  "Abs",
  "Exp",
  "Erf",
  "Sin",
  "Cos",
  "Tanh",
  "Atan",
  "Sinh",
  "Cosh",
  "Asinh",
  "Relu",
  "LeakyRelu",
];
const activations = [
  "Elu",
  "Selu",
  "Celu",
  "HardSigmoid",
  "HardSwish",
  "Sigmoid",
  "Softplus",
  "Softsign",
  "Gelu",
  "Mish",
];
const sums = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare"];

const cases: readonly OpCase[] = [
  ...[...anywhere, ...activations, "ThresholdedRelu", "Softmax", "LogSoftmax"].map((op) => ({
    op,
    inputs: [x],
  })),
  ...["Sqrt", "Log", "Reciprocal"].map((op) => ({ op, inputs: [positive] })),
  ...["Tan", "Asin", "Acos", "Atanh"].map((op) => ({ op, inputs: [small] })),
  { op: "Acosh", inputs: [{ shape: [4], range: [1.5, 3] }] },
  { op: "Gelu", attributes: { approximate: "tanh" }, inputs: [x] },
  { op: "Swish", opset: 24, inputs: [x] },
  ...["Max", "Min", "Sum", "Mean", "PRelu"].map((op) => ({ op, inputs: [x, bias] })),
  ...["Add", "Sub", "Mul"].map((op) => ({ op, inputs: [x, bias] })),
  { op: "Div", inputs: [x, scale] },
  { op: "Pow", inputs: [positive, bias] },
  { op: "Pow", inputs: [x, { shape: [], values: [2], constant: true }] },
  { op: "Where", inputs: [{ shape: [4], dtype: "bool", range: [0, 1] }, x, bias] },
  ...[...sums, "ReduceLogSumExp", "ReduceProd"].map((op) => ({ op, inputs: [x, axis] })),
  { op: "ReduceLogSum", inputs: [positive, axis] },
  { op: "CumSum", inputs: [x, { shape: [], dtype: "int64", values: [1], constant: true }] },
  { op: "LayerNormalization", outputs: 3, inputs: [x, scale, bias] },
  { op: "RMSNormalization", opset: 23, inputs: [x, scale] },
  { op: "InstanceNormalization", inputs: [image, scale, bias] },
  { op: "GroupNormalization", opset: 21, attributes: { num_groups: 2 }, inputs: [image, scale, bias] },
  { op: "BatchNormalization", inputs: [image, scale, bias, bias, scale] },
  {
    op: "BatchNormalization",
    outputs: 3,
    attributes: { training_mode: 1 },
    inputs: [image, scale, bias, bias, scale],
  },
  { op: "LpNormalization", inputs: [x] },
  { op: "MeanVarianceNormalization", attributes: { axes: [0, 2] }, inputs: [image] },
  { op: "LRN", attributes: { size: 3 }, inputs: [image] },
  { op: "SoftmaxCrossEntropyLoss", outputs: 2, inputs: [x, labels, scale] },
  { op: "NegativeLogLikelihoodLoss", attributes: { ignore_index: 0 }, inputs: [x, labels, scale] },
];

for (const dtype of ["float64", "float16", "bfloat16"] as const) {
  for (const spec of cases) {
    const inputs = spec.inputs.map((operand) => operand && { dtype, ...operand });
    const attributes = Object.entries(spec.attributes ?? {}).map(([name, value]) => `${name} ${value}`);
    checkOp(
      [dtype, ...attributes].join(", "),
      { ...spec, inputs },
      { noRuntime: "checked in float32", twice: dtype === "float64" },
    );
  }
}
