/** The words of patterns: operators of ai.onnx, names for what a pattern binds, attributes with their types. */

/** Operators of ai.onnx (those of onnx 1.23); other domains are written with `p.other`. */
// biome-ignore format: a list of words
const operatorNames = [
  "Abs", "Acos", "Acosh", "Add", "AffineGrid", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan",
  "Atanh", "Attention", "AveragePool", "BatchNormalization", "Bernoulli", "BitCast", "BitShift",
  "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "BlackmanWindow", "Cast", "CastLike",
  "CausalConvWithState", "Ceil", "Celu", "CenterCropPad", "Clip", "Col2Im", "Compress", "Concat",
  "ConcatFromSequence", "Constant", "ConstantOfShape", "Conv", "ConvInteger", "ConvTranspose", "Cos",
  "Cosh", "CumProd", "CumSum", "DFT", "DeformConv", "DepthToSpace", "DequantizeLinear", "Det", "Div",
  "Dropout", "DynamicQuantizeLinear", "Einsum", "Elu", "Equal", "Erf", "Exp", "Expand", "EyeLike",
  "Flatten", "Floor", "GRU", "Gather", "GatherElements", "GatherND", "Gelu", "Gemm", "GlobalAveragePool",
  "GlobalLpPool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "GridSample", "GroupNormalization",
  "HammingWindow", "HannWindow", "HardSigmoid", "HardSwish", "Hardmax", "Identity", "If", "ImageDecoder",
  "InstanceNormalization", "IsInf", "IsNaN", "LRN", "LSTM", "LayerNormalization", "LeakyRelu", "Less",
  "LessOrEqual", "LinearAttention", "Log", "LogSoftmax", "Loop", "LpNormalization", "LpPool", "MatMul",
  "MatMulInteger", "Max", "MaxPool", "MaxRoiPool", "MaxUnpool", "Mean", "MeanVarianceNormalization",
  "MelWeightMatrix", "Min", "Mish", "Mod", "Mul", "Multinomial", "Neg", "NegativeLogLikelihoodLoss",
  "NonMaxSuppression", "NonZero", "Not", "OneHot", "Optional", "OptionalGetElement", "OptionalHasElement",
  "Or", "PRelu", "Pad", "Pow", "QLinearConv", "QLinearMatMul", "QuantizeLinear", "RMSNormalization",
  "RNN", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Range", "Reciprocal",
  "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
  "ReduceProd", "ReduceSum", "ReduceSumSquare", "RegexFullMatch", "Relu", "Reshape", "Resize",
  "ReverseSequence", "RoiAlign", "RotaryEmbedding", "Round", "STFT", "Scan", "ScatterElements",
  "ScatterND", "Selu", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase",
  "SequenceInsert", "SequenceLength", "SequenceMap", "Shape", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh",
  "Size", "Slice", "Softmax", "SoftmaxCrossEntropyLoss", "Softplus", "Softsign", "SpaceToDepth", "Split",
  "SplitToSequence", "Sqrt", "Squeeze", "StringConcat", "StringNormalizer", "StringSplit", "Sub", "Sum",
  "SwiGLU", "Swish", "Tan", "Tanh", "TensorScatter", "TfIdfVectorizer", "ThresholdedRelu", "Tile", "TopK",
  "Transpose", "Trilu", "Unique", "Unsqueeze", "Where", "Xor",
] as const;

/** An operator of ai.onnx. */
export type OperatorName = (typeof operatorNames)[number];

/** Names for values and attributes: single letters, and words that ONNX uses for its parameters. */
// biome-ignore format: a list of words
const variableNames = [
  "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u",
  "v", "w", "x", "y", "z",
  "left", "right", "data", "shape", "indices", "condition", "whenTrue", "whenFalse", "axes", "axis",
  "starts", "ends", "steps", "repeats", "pads", "perm", "to", "alpha", "beta", "epsilon", "scale", "bias",
  "weight", "mean", "variance", "value", "mask", "parts", "min", "max", "inner", "outer",
] as const;

/** A name that a pattern may bind. */
export type VariableName = (typeof variableNames)[number];

/**
 * Types of the attributes that patterns ask for; a name has one type throughout ONNX. An attribute that is
 * absent has its operator's default, or undefined where there is none or we have no record.
 */
export interface AttributeTypes {
  readonly allowzero: number | undefined;
  readonly alpha: number | undefined;
  readonly approximate: string | undefined;
  readonly auto_pad: string | undefined;
  readonly axes: readonly number[] | undefined;
  readonly axis: number | undefined;
  readonly batch_dims: number | undefined;
  readonly beta: number | undefined;
  readonly blocksize: number | undefined;
  readonly ceil_mode: number | undefined;
  readonly count_include_pad: number | undefined;
  readonly dilations: readonly number[] | undefined;
  readonly direction: string | undefined;
  readonly dtype: number | undefined;
  readonly end: number | undefined;
  readonly epsilon: number | undefined;
  readonly equation: string | undefined;
  readonly gamma: number | undefined;
  readonly group: number | undefined;
  readonly k: number | undefined;
  readonly keepdims: number | undefined;
  readonly kernel_shape: readonly number[] | undefined;
  readonly largest: number | undefined;
  readonly mode: string | undefined;
  readonly momentum: number | undefined;
  readonly noop_with_empty_axes: number | undefined;
  readonly num_heads: number | undefined;
  readonly num_outputs: number | undefined;
  readonly pads: readonly number[] | undefined;
  readonly perm: readonly number[] | undefined;
  readonly ratio: number | undefined;
  readonly reduction: string | undefined;
  readonly saturate: number | undefined;
  readonly start: number | undefined;
  readonly stash_type: number | undefined;
  readonly strides: readonly number[] | undefined;
  readonly to: number | undefined;
  readonly training_mode: number | undefined;
  readonly transA: number | undefined;
  readonly transB: number | undefined;
  readonly upper: number | undefined;
}

const operators: ReadonlySet<string> = new Set(operatorNames);
const variables: ReadonlySet<string> = new Set(variableNames);

export function isOperatorName(name: string): boolean {
  return operators.has(name);
}

export function isVariableName(name: string): boolean {
  return variables.has(name);
}
