/** Small cases of every operator of ai.onnx, run at each version of its schema that takes them. */
import { type AttributeLike, floatAttribute } from "../../src/ir/attribute.ts";
import { fromNumbers, toTensor } from "../../src/ops/ndarray.ts";
import type { OpCase, OperandSpec } from "../harness/op-case.ts";

/** A case that versions with other operands or attributes than these do not take. */
export interface VersionedCase extends Omit<OpCase, "opset"> {
  /** Versions that take it, where operands and attributes alone do not say. */
  readonly since?: number;
  readonly until?: number;
}

type Attributes = Readonly<Record<string, AttributeLike>>;

const x: OperandSpec = { shape: [2, 3] };
const cube: OperandSpec = { shape: [2, 3, 4] };
const image: OperandSpec = { shape: [1, 2, 4, 4] };
const positive: OperandSpec = { shape: [2, 3], range: [0.5, 2] };
const flags = (...values: number[]): OperandSpec => ({ shape: [values.length], dtype: "bool", values });
const ints = (...values: number[]): OperandSpec => ({
  shape: [values.length],
  dtype: "int64",
  values,
  constant: true,
});
const int = (value: number): OperandSpec => ({ shape: [], dtype: "int64", values: [value], constant: true });
const int32s = (...values: number[]): OperandSpec => ({ shape: [values.length], dtype: "int32", values });
const bytes = (...values: number[]): OperandSpec => ({ shape: [values.length], dtype: "uint8", values });
const numbers = (...values: number[]): OperandSpec => ({ shape: [values.length], values, constant: true });
const scalar = (value: number): OperandSpec => ({ shape: [], values: [value], constant: true });
const float = floatAttribute;

const one = (op: string, input: OperandSpec = x, attributes: Attributes = {}): VersionedCase => ({
  op,
  inputs: [input],
  attributes,
});
const many = (
  op: string,
  inputs: readonly (OperandSpec | null)[],
  attributes: Attributes = {},
  outputs = 1,
): VersionedCase => ({
  op,
  inputs,
  attributes,
  outputs,
});

const elementWise = [
  ..."Abs Ceil Exp Floor Neg Sigmoid Tanh Relu Cos Sin Tan Atan Sinh Cosh Asinh Erf Sign Softplus Softsign".split(
    " ",
  ),
  ..."Elu Selu HardSigmoid HardSwish LeakyRelu ThresholdedRelu Celu Mish Gelu Swish Shrink Round IsNaN IsInf".split(
    " ",
  ),
  ..."Identity Flatten Dropout Shape Size Transpose NonZero EyeLike LpNormalization Hardmax Softmax LogSoftmax".split(
    " ",
  ),
].map((op) => one(op));

const reductions =
  "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare"
    .split(" ")
    .flatMap((op) => {
      const operand = { shape: [2, 3, 2], range: [0.5, 2] } as const;
      return [
        one(op, operand),
        one(op, operand, { axes: [1], keepdims: 0 }),
        one(op, operand, { axes: [0, -1] }),
        many(op, [operand, ints(1)], { keepdims: 0 }),
        many(op, [operand], { noop_with_empty_axes: 1 }),
      ];
    });

const pairs: readonly VersionedCase[] = [
  ...["Add", "Sub", "Mul", "Div", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "PRelu"].map((op) =>
    many(op, [x, { shape: [3], range: [0.5, 2] }]),
  ),
  // Before version 8 they do not broadcast.
  ...["Max", "Min", "Sum", "Mean"].flatMap((op) => [
    many(op, [x, positive]),
    { ...many(op, [x, { shape: [3], range: [0.5, 2] }]), since: 8 },
  ]),
  many("Pow", [positive, { shape: [3] }]),
  ...["And", "Or", "Xor"].map((op) => many(op, [flags(0, 0, 1, 1), flags(0, 1, 0, 1)])),
  many("Equal", [int32s(1, 2, 3), int32s(1, 3, 3)]),
  many("Equal", [numbers(1, 2, 3), { shape: [3], values: [1, 3, 3] }]),
  one("Not", flags(0, 1)),
  ...["BitwiseAnd", "BitwiseOr", "BitwiseXor"].map((op) => many(op, [int32s(12, -5), int32s(10, 6)])),
  one("BitwiseNot", int32s(12, -5)),
  many("BitShift", [bytes(8, 1), bytes(1, 3)], { direction: "LEFT" }),
  many("Mod", [int32s(5, -5), int32s(3, 3)]),
  many("Mod", [x, positive], { fmod: 1 }),
  many("MatMul", [x, { shape: [3, 2] }]),
  many("Gemm", [x, { shape: [2, 3] }, { shape: [2] }], { transB: 1, alpha: float(0.5) }),
  many("Gemm", [x, { shape: [3, 2] }], {}),
  many("Where", [flags(1, 0, 1), x, { shape: [3] }]),
];

const movement: readonly VersionedCase[] = [
  ...[-1, 0, 1, 2].flatMap((axis) =>
    ["Softmax", "LogSoftmax", "Hardmax"].map((op) => one(op, cube, { axis })),
  ),
  ...[0, 1, 2].map((axis) => one("Flatten", cube, { axis })),
  one("Squeeze", { shape: [2, 1, 3] }, { axes: [1] }),
  one("Squeeze", { shape: [2, 1, 3] }),
  many("Squeeze", [{ shape: [2, 1, 3] }, ints(-2)]),
  one("Unsqueeze", x, { axes: [0, 2] }),
  many("Unsqueeze", [x, ints(0, -1)]),
  one("Clip", x, { min: float(-0.5), max: float(0.5) }),
  one("Clip", x, { min: float(-0.5) }),
  one("Clip", x),
  many("Clip", [x, scalar(-0.5), scalar(0.5)]),
  many("Clip", [x, null, scalar(0.5)]),
  one("Pad", x, { pads: [1, 0, 0, 2], value: float(1.5) }),
  one("Pad", { shape: [3, 3] }, { pads: [1, 0, 0, 2], mode: "reflect" }),
  many("Pad", [x, ints(1, 0, 0, 2), scalar(1.5)]),
  many("Pad", [{ shape: [3, 3] }, ints(1, 0, 0, 2)], { mode: "edge" }),
  one("Slice", cube, { starts: [1, -2], ends: [3, 100], axes: [1, 2] }),
  one("Slice", cube, { starts: [0], ends: [1] }),
  many("Slice", [cube, ints(1, -1), ints(3, -4), ints(1, 2), ints(1, -2)]),
  many("TopK", [cube], { k: 2, axis: 1 }, 2),
  many("TopK", [cube, ints(2)], {}, 2),
  many("TopK", [cube, ints(2)], { largest: 0, axis: 0 }, 2),
  { ...many("Split", [cube], { axis: 2 }, 2), until: 13 },
  many("Split", [cube], { axis: 2, split: [1, 3] }, 2),
  many("Split", [cube, ints(1, 3)], { axis: 2 }, 2),
  many("Split", [cube], { axis: 1, num_outputs: 2 }, 2),
  many("Concat", [x, x], { axis: 1 }),
  many("Gather", [x, ints(1, 0)], { axis: 1 }),
  many("GatherElements", [x, { shape: [2, 1], dtype: "int64", values: [2, 0] }], { axis: 1 }),
  many("GatherND", [x, { shape: [2, 1], dtype: "int64", values: [1, 0] }]),
  many("Scatter", [x, { shape: [1, 2], dtype: "int64", values: [1, 0] }, { shape: [1, 2] }], { axis: 1 }),
  many("ScatterElements", [x, { shape: [1, 2], dtype: "int64", values: [1, 0] }, { shape: [1, 2] }], {
    axis: 1,
  }),
  many("ScatterND", [x, { shape: [1, 1], dtype: "int64", values: [1] }, { shape: [1, 3] }]),
  many("TensorScatter", [{ shape: [1, 1, 4, 2] }, { shape: [1, 1, 2, 2] }]),
  many("Expand", [x, ints(2, 2, 3)]),
  many("Reshape", [x, ints(3, -1)]),
  many("Tile", [x, ints(2, 1)]),
  many("Compress", [x, flags(1, 0, 1)], { axis: 1 }),
  many("OneHot", [ints(1, 0), int(3), numbers(0, 1)]),
  many("Trilu", [{ shape: [3, 3] }]),
  many("CumSum", [x, int(1)]),
  many("CumProd", [x, int(1)]),
  many("ReverseSequence", [{ shape: [3, 2] }, ints(2, 3)]),
  many("Unique", [{ shape: [4], values: [2, 1, 2, 3] }], {}, 4),
  many("Range", [int(1), int(7), int(2)]),
  many("ConstantOfShape", [ints(2, 2)], { value: toTensor(fromNumbers("float32", [1], [2])) }),
  many("CenterCropPad", [x, ints(4, 2)]),
  one("Cast", x, { to: 6 }),
  one("Cast", { shape: [3], values: [0, -1, 2] }, { to: 9 }),
  many("CastLike", [x, int32s(1)]),
  many("BitCast", [x], { to: 6 }),
  one("ArgMax", x, { axis: 1, keepdims: 0 }),
  one("ArgMin", x, { axis: 1 }),
  one("DepthToSpace", { shape: [1, 4, 2, 2] }, { blocksize: 2 }),
  one("DepthToSpace", { shape: [1, 4, 2, 2] }, { blocksize: 2, mode: "CRD" }),
  one("SpaceToDepth", image, { blocksize: 2 }),
  ...["HannWindow", "HammingWindow", "BlackmanWindow"].map((op) => one(op, int(5))),
];

const layers: readonly VersionedCase[] = [
  ...["GlobalAveragePool", "GlobalMaxPool"].map((op) => one(op, image)),
  { ...one("GlobalLpPool", image), until: 21 },
  ...["AveragePool", "MaxPool", "LpPool"].flatMap((op) => [
    one(op, image, { kernel_shape: [2, 2], strides: [2, 2] }),
    one(op, image, { kernel_shape: [3, 3], auto_pad: "SAME_UPPER", strides: [2, 2] }),
    one(op, image, { kernel_shape: [3, 2], pads: [1, 0, 0, 1] }),
    one(op, image, { kernel_shape: [3, 3], ceil_mode: 1, strides: [2, 2] }),
  ]),
  many(
    "MaxUnpool",
    [{ shape: [1, 1, 2, 2] }, { shape: [1, 1, 2, 2], dtype: "int64", values: [0, 3, 9, 15] }],
    { kernel_shape: [2, 2], strides: [2, 2] },
  ),
  {
    ...many("MaxRoiPool", [image, { shape: [1, 5], values: [0, 0, 0, 3, 3] }], { pooled_shape: [2, 2] }),
    until: 21,
  },
  {
    ...many("RoiAlign", [image, { shape: [1, 4], values: [0, 0, 3, 3] }, ints(0)], {
      output_height: 2,
      output_width: 2,
      sampling_ratio: 2,
    }),
    until: 21,
  },
  many("Conv", [image, { shape: [3, 2, 3, 3] }, { shape: [3] }], { pads: [1, 1, 1, 1] }),
  many("ConvTranspose", [image, { shape: [2, 3, 3, 3] }, { shape: [3] }], { strides: [2, 2] }),
  many("ConvInteger", [
    { shape: [1, 1, 3, 3], dtype: "uint8", range: [0, 9] },
    { shape: [1, 1, 2, 2], dtype: "uint8", range: [0, 9] },
  ]),
  many("DeformConv", [
    { shape: [1, 1, 3, 3] },
    { shape: [1, 1, 2, 2] },
    { shape: [1, 8, 2, 2], range: [-0.5, 0.5] },
  ]),
  many("BatchNormalization", [
    image,
    { shape: [2] },
    { shape: [2] },
    { shape: [2] },
    { shape: [2], range: [0.5, 2] },
  ]),
  many("InstanceNormalization", [image, { shape: [2] }, { shape: [2] }]),
  many("LayerNormalization", [x, { shape: [3] }, { shape: [3] }]),
  many("RMSNormalization", [x, { shape: [3] }]),
  // Scales of groups became scales of channels.
  {
    ...many("GroupNormalization", [{ shape: [1, 4, 2] }, { shape: [2] }, { shape: [2] }], { num_groups: 2 }),
    until: 20,
  },
  {
    ...many("GroupNormalization", [{ shape: [1, 4, 2] }, { shape: [4] }, { shape: [4] }], { num_groups: 2 }),
    since: 21,
  },
  one("MeanVarianceNormalization", image),
  one("LRN", image, { size: 3 }),
  many("LSTM", [{ shape: [3, 2, 2] }, { shape: [1, 12, 2] }, { shape: [1, 12, 3] }], { hidden_size: 3 }, 3),
  many("GRU", [{ shape: [3, 2, 2] }, { shape: [1, 9, 2] }, { shape: [1, 9, 3] }], { hidden_size: 3 }, 2),
  many("RNN", [{ shape: [3, 2, 2] }, { shape: [1, 3, 2] }, { shape: [1, 3, 3] }], { hidden_size: 3 }, 2),
  many("NegativeLogLikelihoodLoss", [{ shape: [2, 3] }, ints(0, 2)]),
  many("SoftmaxCrossEntropyLoss", [{ shape: [2, 3] }, ints(0, 2)]),
  many("Einsum", [x, { shape: [3, 2] }], { equation: "ij,jk->ik" }),
  one("Det", { shape: [2, 2] }),
  one("Upsample", image, { scales: { kind: "floats", value: [1, 1, 2, 2] } }),
  many("Upsample", [image, numbers(1, 1, 2, 2)]),
  { ...many("Resize", [image, numbers(1, 1, 2, 2)], { mode: "linear" }), until: 10 },
  many("Resize", [image, numbers(), numbers(1, 1, 2, 2)], { mode: "linear" }),
  many("Resize", [image, null, numbers(1, 1, 2, 2)], { mode: "linear" }),
  many("Resize", [image, null, null, ints(1, 2, 3, 3)], { mode: "nearest" }),
  {
    ...many("GridSample", [image, { shape: [1, 2, 2, 2], range: [-1, 1] }], { mode: "bilinear" }),
    until: 16,
  },
  { ...many("GridSample", [image, { shape: [1, 2, 2, 2], range: [-1, 1] }], { mode: "linear" }), since: 20 },
  many("AffineGrid", [{ shape: [1, 2, 3] }, ints(1, 1, 2, 2)]),
  many("Col2Im", [{ shape: [1, 4, 4] }, ints(3, 3), ints(2, 2)]),
  many("DFT", [{ shape: [1, 4, 1] }], { axis: 1 }),
  many("DFT", [{ shape: [1, 4, 1] }, null, int(1)]),
  many("STFT", [{ shape: [1, 8, 1] }, int(2), null, int(4)]),
  many("MelWeightMatrix", [int(3), int(16), int(8000), scalar(0), scalar(4000)]),
  many("Attention", [{ shape: [1, 2, 3, 4] }, { shape: [1, 2, 3, 4] }, { shape: [1, 2, 3, 4] }]),
  many("RotaryEmbedding", [{ shape: [1, 2, 3, 4] }, { shape: [1, 3, 2] }, { shape: [1, 3, 2] }]),
  many("QuantizeLinear", [x, scalar(0.1), { shape: [], dtype: "uint8", values: [3] }]),
  many("DequantizeLinear", [bytes(1, 5), scalar(0.1), { shape: [], dtype: "uint8", values: [3] }]),
  many("DynamicQuantizeLinear", [x], {}, 3),
  many("MatMulInteger", [
    { shape: [2, 2], dtype: "uint8", range: [0, 9] },
    { shape: [2, 2], dtype: "uint8", range: [0, 9] },
  ]),
  many("QLinearMatMul", [
    { shape: [2, 2], dtype: "uint8", range: [0, 9] },
    scalar(0.1),
    { shape: [], dtype: "uint8", values: [1] },
    { shape: [2, 2], dtype: "uint8", range: [0, 9] },
    scalar(0.1),
    { shape: [], dtype: "uint8", values: [1] },
    scalar(0.2),
    { shape: [], dtype: "uint8", values: [2] },
  ]),
  many("QLinearConv", [
    { shape: [1, 1, 3, 3], dtype: "uint8", range: [0, 9] },
    scalar(0.1),
    { shape: [], dtype: "uint8", values: [1] },
    { shape: [1, 1, 2, 2], dtype: "uint8", range: [0, 9] },
    scalar(0.1),
    { shape: [], dtype: "uint8", values: [1] },
    scalar(0.2),
    { shape: [], dtype: "uint8", values: [2] },
  ]),
  many("NonMaxSuppression", [
    { shape: [1, 2, 4], values: [0, 0, 1, 1, 0, 0.1, 1, 1.1] },
    { shape: [1, 1, 2], values: [0.9, 0.8] },
    int(2),
    scalar(0.5),
    scalar(0),
  ]),
];

const trigonometry = [
  one("Acos", { shape: [3], range: [-0.9, 0.9] }),
  one("Asin", { shape: [3], range: [-0.9, 0.9] }),
  one("Atanh", { shape: [3], range: [-0.9, 0.9] }),
  one("Acosh", { shape: [3], range: [1.1, 3] }),
  one("Log", positive),
  one("Sqrt", positive),
  one("Reciprocal", positive),
];

/** All cases; which versions take each follows from the schemas. */
export const versionedCases: readonly VersionedCase[] = [
  ...elementWise,
  ...trigonometry,
  ...reductions,
  ...pairs,
  ...movement,
  ...layers,
];
