/**
 * Element types that operands may have, read from the schemas of onnx 1.23.2 and onnxruntime 1.30.0 by
 * scripts/operand_types.py. A line is an operator and its operands; those of one letter share a type, a letter with + holds
 * for every operand of a variadic list by itself, and what follows a letter at the end of the line is its set of types.
 */

/** Sets of types by name; `seq`, `opt`, `map` and `sparse` stand for every type of that kind. */
export const typeSets = `
  t0 bfloat16 float16 float32 float64 int16 int32 int64 int8 uint16 uint32 uint64 uint8
  t1 bfloat16 float16 float32 float64
  t2 float16 float32 float64
  t3 int64
  t4 bool
  t5 bfloat16 bool float16 float32 float64 int16 int32 int64 int8 uint16 uint32 uint64 uint8
  t6 bfloat16 bool complex128 complex64 float16 float32 float4e2m1 float64 float8e4m3fn float8e4m3fnuz float8e5m2
    float8e5m2fnuz float8e8m0 int16 int2 int32 int4 int64 int8 uint16 uint2 uint32 uint4 uint64 uint8
  t7 int16 int32 int64 int8 uint16 uint32 uint64 uint8
  t8 int32 int64
  t9 bfloat16 bool float16 float32 float4e2m1 float64 float6e2m3 float6e3m2 float8e4m3fn float8e4m3fnuz float8e5m2
    float8e5m2fnuz float8e8m0 int16 int2 int32 int4 int64 int8 string uint16 uint2 uint32 uint4 uint64 uint8
  t10 bfloat16 bool float16 float32 float4e2m1 float64 float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz
    float8e8m0 int16 int2 int32 int4 int64 int8 string uint16 uint2 uint32 uint4 uint64 uint8
  t11 bfloat16 float16 float32
  t12 bfloat16 bool complex128 complex64 float16 float32 float64 int16 int32 int64 int8 string uint16 uint32 uint64
    uint8
  t13 seq
  t14 int8 uint8
  t15 bfloat16 float16 float32 float64 int32 int64 uint32 uint64
  t16 float4e2m1 float6e2m3 float6e3m2 float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz int16 int2 int32 int4
    int8 uint16 uint2 uint4 uint8
  t17 bfloat16 float16 float32 float8e8m0
  t18 float16 float32
  t19 bfloat16 float16 float32 float64 float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz
  t20 float32
  t21 bool complex128 complex64 float16 float32 float64 int16 int32 int64 int8 string uint16 uint32 uint64 uint8
  t22 bfloat16 bool float16 float32 float64 int16 int32 int64 int8 string uint16 uint32 uint64 uint8
  t23 bfloat16 bool complex128 complex64 float16 float32 float4e2m1 float64 float8e4m3fn float8e4m3fnuz float8e5m2
    float8e5m2fnuz float8e8m0 int16 int2 int32 int4 int64 int8 string uint16 uint2 uint32 uint4 uint64 uint8
  t24 int32
  t25 bfloat16 bool complex128 complex64 float16 float32 float4e2m1 float64 float8e4m3fn float8e4m3fnuz float8e5m2
    float8e5m2fnuz float8e8m0 int16 int2 int32 int4 int64 int8 opt seq string uint16 uint2 uint32 uint4 uint64 uint8
  t26 uint8
  t27 bfloat16 float16 float32 float64 int8 uint8
  t28 bfloat16 bool complex128 complex64 float16 float32 float64 float8e4m3fn float8e4m3fnuz float8e5m2
    float8e5m2fnuz int16 int32 int64 int8 seq uint16 uint32 uint64 uint8
  t29 bfloat16 float16 float32 float64 int16 int32 int64 int8
  t30 float16 float32 float64 int16 int32 int64 int8 uint16 uint32 uint64 uint8
  t31 bfloat16 bool complex128 complex64 float16 float32 float4e2m1 float64 float6e2m3 float6e3m2 float8e4m3fn
    float8e4m3fnuz float8e5m2 float8e5m2fnuz float8e8m0 int16 int2 int32 int4 int64 int8 seq string uint16 uint2
    uint32 uint4 uint64 uint8
  t32 bfloat16 bool complex128 complex64 float16 float32 float4e2m1 float64 float6e2m3 float6e3m2 float8e4m3fn
    float8e4m3fnuz float8e5m2 float8e5m2fnuz float8e8m0 int16 int2 int32 int4 int64 int8 opt seq string uint16 uint2
    uint32 uint4 uint64 uint8
  t33 bfloat16 float16 float32 float64 int32 int64
  t34 float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz int8 uint8
  t35 bfloat16 float16 float32 int32
  t36 bfloat16 float16 float32 float8e8m0 int32
  t37 float4e2m1 float6e2m3 float6e3m2 float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz int16 int2 int4 int8
    uint16 uint2 uint4 uint8
  t38 bfloat16 float16 float32 float64 int16 int32 int64
  t39 bfloat16 bool float16 float32 float64 int32 int64 int8 uint32 uint64 uint8
  t40 string
  t41 bool complex128 complex64 float16 float32 float64 int16 int32 int64 int8 seq string uint16 uint32 uint64 uint8
  t42 bfloat16 bool complex128 complex64 float16 float32 float4e2m1 float64 float8e4m3fn float8e4m3fnuz float8e5m2
    float8e5m2fnuz float8e8m0 int16 int32 int4 int64 int8 string uint16 uint32 uint4 uint64 uint8
  t43 int32 int64 string
  t44 float32 float64 int32 int64 string
  t45 float32 float64 int32 int64
  t46 map
  t47 int64 string
  t48 float32 float64 int16 int32 int64 string
  t49 float32 float64
  t50 float16 float32 int32
  t51 int16 int32 int4 int8 uint16 uint4 uint8
  t52 int8
  t53 float16 float32 float64 int32 int64 uint32 uint64
  t54 int4 uint4 uint8
  t55 bfloat16 float16 float32 float8e4m3fn float8e5m2
  t56 float16
  t57 bfloat16 float16 float32 float8e4m3fn int8 uint8
  t58 bfloat16 float16
  t59 float8e4m3fn
  t60 int16 uint16
  t61 bfloat16 float16 float32 uint8
  t62 float32 float64 int32 int64 string uint32 uint64
  t63 bfloat16 float16 float8e4m3fn int8 uint8
  t64 float32 int8 uint8
  t65 float8e4m3fn uint8
  t66 bfloat16 float16 float32 float8e4m3fn float8e8m0
  t67 int16 int4 int8 uint16 uint4 uint8
  t68 float32 float64 int16 int32 int64
  t69 float32 uint16 uint8
  t70 sparse
  t71 float32 float64 int32 int64 uint32 uint64
`;

export const operandTypes = `
  Abs A : A=t0
  Acos A : A=t1
  Acosh A : A=t1
  Add A A : A=t0
  Affine A : A=t2
  AffineGrid A B : A=t1 B=t3
  And A A : A=t4
  ArgMax A : A=t0
  ArgMin A : A=t0
  Asin A : A=t1
  Asinh A : A=t1
  Atan A : A=t1
  Atanh A : A=t1
  Attention A A B C A B D : A=t1 B=t1 C=t5 D=t3
  AveragePool A : A=t1
  BatchNormalization A B B C C : A=t1 B=t1 C=t1
  Bernoulli A : A=t1
  BitCast A : A=t6
  BitShift A A : A=t7
  BitwiseAnd A A : A=t7
  BitwiseNot A : A=t7
  BitwiseOr A A : A=t7
  BitwiseXor A A : A=t7
  BlackmanWindow A : A=t8
  Cast A : A=t9
  CastLike A B : A=t10 B=t10
  CausalConvWithState A A A A : A=t11
  Ceil A : A=t1
  Celu A : A=t1
  CenterCropPad A B : A=t12 B=t8
  Clip A A A : A=t0
  Col2Im A B C : A=t12 B=t3 C=t3
  Compress A B : A=t12 B=t4
  Concat A : A=t12
  ConcatFromSequence A : A=t13
  ConstantOfShape A : A=t3
  Conv A A A : A=t1
  ConvInteger A B A B : A=t14 B=t14
  ConvTranspose A A A : A=t1
  Cos A : A=t1
  Cosh A : A=t1
  Crop A : A=t2
  CumProd A B : A=t15 B=t8
  CumSum A B : A=t15 B=t8
  DFT A B C : A=t1 B=t8 C=t3
  DeformConv A A A A A : A=t1
  DepthToSpace A : A=t12
  DequantizeLinear A B A : A=t16 B=t17
  Det A : A=t1
  DisentangledAttention_TRT A A A : A=t18
  Div A A : A=t0
  Dropout A B C : A=t19 B=t19 C=t4
  DynamicQuantizeLinear A : A=t20
  DynamicSlice A B B B : A=t21 B=t8
  EfficientNMS_TRT A A A : A=t18
  Einsum A : A=t0
  Elu A : A=t1
  Equal A A : A=t22
  Erf A : A=t1
  Exp A : A=t1
  Expand A B : A=t12 B=t3
  EyeLike A : A=t5
  Flatten A : A=t23
  Floor A : A=t1
  GRU A A A A B A : A=t1 B=t24
  GRUUnit A A A A : A=t2
  Gather A B : A=t12 B=t8
  GatherElements A B : A=t12 B=t8
  GatherND A B : A=t12 B=t3
  Gelu A : A=t1
  Gemm A A A : A=t15
  GivenTensorFill A : A=t2
  GlobalAveragePool A : A=t1
  GlobalLpPool A : A=t1
  GlobalMaxPool A : A=t1
  Greater A A : A=t0
  GreaterOrEqual A A : A=t0
  GridSample A B : A=t12 B=t1
  GroupNormalization A A A : A=t1
  HammingWindow A : A=t8
  HannWindow A : A=t8
  HardSigmoid A : A=t1
  HardSwish A : A=t1
  Hardmax A : A=t1
  Identity A : A=t25
  If A : A=t4
  ImageDecoder A : A=t26
  ImageScaler A : A=t2
  InstanceNormalization A A A : A=t1
  IsInf A : A=t19
  IsNaN A : A=t19
  LRN A : A=t1
  LSTM A A A A B A A A : A=t1 B=t24
  LayerNormalization A B B : A=t1 B=t1
  LeakyRelu A : A=t1
  Less A A : A=t0
  LessOrEqual A A : A=t0
  LinearAttention A A A B A A : A=t11 B=t11
  Log A : A=t1
  LogSoftmax A : A=t1
  Loop A B C+ : A=t3 B=t4 C=t25
  LpNormalization A : A=t1
  LpPool A : A=t1
  MatMul A A : A=t15
  MatMulInteger A B A B : A=t14 B=t14
  Max A : A=t0
  MaxPool A : A=t27
  MaxRoiPool A A : A=t1
  MaxUnpool A B B : A=t1 B=t3
  Mean A : A=t1
  MeanVarianceNormalization A : A=t1
  MelWeightMatrix A A A B B : A=t8 B=t1
  MemcpyFromHost A : A=t28
  MemcpyToHost A : A=t28
  Min A : A=t0
  Mish A : A=t1
  Mod A A : A=t0
  Mul A A : A=t0
  MultilevelCropAndResize_TRT A A A A A : A=t20
  Multinomial A : A=t1
  Neg A : A=t29
  NegativeLogLikelihoodLoss A B A : A=t1 B=t8
  NonMaxSuppression A B C D E : A=t20 B=t20 C=t3 D=t20 E=t20
  NonZero A : A=t12
  Not A : A=t4
  OneHot A B C : A=t30 B=t30 C=t12
  Optional A : A=t31
  OptionalGetElement A : A=t32
  OptionalHasElement A : A=t32
  Or A A : A=t4
  PRelu A A : A=t15
  Pad A B A C : A=t23 B=t3 C=t8
  ParametricSoftplus A : A=t2
  Pow A B : A=t33 B=t0
  PyramidROIAlign_TRT A A A A A : A=t20
  QLinearConv A B A C D C E F G : A=t14 B=t20 C=t14 D=t20 E=t20 F=t14 G=t24
  QLinearMatMul A B A C D C E F : A=t34 B=t11 C=t34 D=t11 E=t11 F=t34
  QuantizeLinear A B C : A=t35 B=t36 C=t37
  RMSNormalization A B : A=t1 B=t1
  RNN A A A A B A : A=t1 B=t24
  RandomNormalLike A : A=t12
  RandomUniformLike A : A=t12
  Range A A A : A=t38
  Reciprocal A : A=t1
  ReduceL1 A B : A=t15 B=t3
  ReduceL2 A B : A=t15 B=t3
  ReduceLogSum A B : A=t15 B=t3
  ReduceLogSumExp A B : A=t15 B=t3
  ReduceMax A B : A=t39 B=t3
  ReduceMean A B : A=t15 B=t3
  ReduceMin A B : A=t39 B=t3
  ReduceProd A B : A=t15 B=t3
  ReduceSum A B : A=t15 B=t3
  ReduceSumSquare A B : A=t15 B=t3
  RegexFullMatch A : A=t40
  Relu A : A=t29
  Reshape A B : A=t23 B=t3
  Resize A B C D : A=t12 B=t2 C=t20 D=t3
  ReverseSequence A B : A=t12 B=t3
  RoiAlign A A B : A=t1 B=t3
  RotaryEmbedding A A A B : A=t11 B=t3
  Round A : A=t1
  STFT A B A B : A=t1 B=t8
  Scale A : A=t2
  ScaledTanh A : A=t2
  Scan A+ : A=t23
  Scatter A B A : A=t21 B=t8
  ScatterElements A B A : A=t12 B=t8
  ScatterND A B A : A=t12 B=t3
  Selu A : A=t1
  SequenceAt A B : A=t13 B=t8
  SequenceConstruct A : A=t21
  SequenceErase A B : A=t13 B=t8
  SequenceInsert A B C : A=t13 B=t21 C=t8
  SequenceLength A : A=t13
  SequenceMap A B+ : A=t13 B=t41
  Shape A : A=t23
  Shrink A : A=t30
  Sigmoid A : A=t1
  Sign A : A=t0
  SimplifiedLayerNormalization A B : A=t1 B=t1
  Sin A : A=t1
  Sinh A : A=t1
  Size A : A=t23
  Slice A B B B B : A=t12 B=t8
  Softmax A : A=t1
  SoftmaxCrossEntropyLoss A B A : A=t1 B=t8
  Softplus A : A=t1
  Softsign A : A=t1
  SpaceToDepth A : A=t12
  Split A B : A=t12 B=t3
  SplitToSequence A B : A=t12 B=t8
  Sqrt A : A=t1
  Squeeze A B : A=t23 B=t3
  StringConcat A A : A=t40
  StringNormalizer A : A=t40
  StringSplit A : A=t40
  Sub A A : A=t0
  Sum A : A=t1
  SwiGLU A A : A=t1
  Swish A : A=t1
  Tan A : A=t1
  Tanh A : A=t1
  TensorScatter A A B : A=t42 B=t3
  TfIdfVectorizer A : A=t43
  ThresholdedRelu A : A=t1
  Tile A B : A=t12 B=t3
  TopK A B : A=t0 B=t3
  Transpose A : A=t23
  Trilu A B : A=t12 B=t3
  Unique A : A=t12
  Unsqueeze A B : A=t23 B=t3
  Upsample A B : A=t21 B=t20
  Where A B B : A=t4 B=t12
  Xor A A : A=t4
  ai.onnx.ml.ArrayFeatureExtractor A B : A=t44 B=t3
  ai.onnx.ml.Binarizer A : A=t45
  ai.onnx.ml.CastMap A : A=t46
  ai.onnx.ml.CategoryMapper A : A=t47
  ai.onnx.ml.DictVectorizer A : A=t46
  ai.onnx.ml.FeatureVectorizer A : A=t45
  ai.onnx.ml.Imputer A : A=t45
  ai.onnx.ml.LabelEncoder A : A=t48
  ai.onnx.ml.LinearClassifier A : A=t45
  ai.onnx.ml.LinearRegressor A : A=t45
  ai.onnx.ml.Normalizer A : A=t45
  ai.onnx.ml.OneHotEncoder A : A=t44
  ai.onnx.ml.SVMClassifier A : A=t45
  ai.onnx.ml.SVMRegressor A : A=t45
  ai.onnx.ml.Scaler A : A=t45
  ai.onnx.ml.TreeEnsemble A : A=t2
  ai.onnx.ml.TreeEnsembleClassifier A : A=t45
  ai.onnx.ml.TreeEnsembleRegressor A : A=t45
  ai.onnx.ml.ZipMap A : A=t20
  ai.onnx.preview.FlexAttention A A A : A=t1
  ai.onnx.preview.training.Adagrad A B C+ : A=t49 B=t3 C=t49
  ai.onnx.preview.training.Adam A B C+ : A=t49 B=t3 C=t49
  ai.onnx.preview.training.Gradient A+ : A=t21
  ai.onnx.preview.training.Momentum A B C+ : A=t49 B=t3 C=t49
  com.microsoft.Attention A A A B A A B : A=t11 B=t24
  com.microsoft.AttnLSTM A A A A B A A A A A A A B A : A=t49 B=t24
  com.microsoft.BeamSearch A B B B B C C D D B B B : A=t50 B=t24 C=t18 D=t24
  com.microsoft.BiasAdd A A A : A=t18
  com.microsoft.BiasDropout A A A B C : A=t1 B=t1 C=t4
  com.microsoft.BiasGelu A A : A=t1
  com.microsoft.BiasSoftmax A A : A=t2
  com.microsoft.BiasSplitGelu A A : A=t18
  com.microsoft.BifurcationDetector A A A A : A=t3
  com.microsoft.BitmaskBiasDropout A A A B C : A=t1 B=t1 C=t4
  com.microsoft.BitmaskDropout A B C : A=t1 B=t1 C=t4
  com.microsoft.CDist A A : A=t49
  com.microsoft.CausalConvWithState A A A A : A=t11
  com.microsoft.ComplexMul A A : A=t2
  com.microsoft.ComplexMulConj A A : A=t2
  com.microsoft.ConvTransposeWithDynamicPads A A B A : A=t2 B=t3
  com.microsoft.CropAndResize A A B B : A=t2 B=t24
  com.microsoft.DecoderAttention A A A A A B A A B B B B : A=t18 B=t4
  com.microsoft.DecoderMaskedMultiHeadAttention A A A B A A A B B B A : A=t18 B=t24
  com.microsoft.DecoderMaskedSelfAttention A A A B A A B B B : A=t18 B=t24
  com.microsoft.DequantizeBFP A B B : A=t26 B=t3
  com.microsoft.DequantizeLinear A B A : A=t51 B=t18
  com.microsoft.DequantizeWithOrder A B : A=t52 B=t20
  com.microsoft.DynamicQuantizeLSTM A B B A C A A A A B A B : A=t20 B=t14 C=t24
  com.microsoft.DynamicQuantizeMatMul A B A B A : A=t20 B=t14
  com.microsoft.DynamicTimeWarping A : A=t20
  com.microsoft.EPContext A+ : A=t5
  com.microsoft.EmbedLayerNormalization A A B B B B B A A : A=t24 B=t18
  com.microsoft.EngramGate A A A A A : A=t11
  com.microsoft.ExpandDims A B : A=t21 B=t24
  com.microsoft.FastGelu A A : A=t1
  com.microsoft.FusedConv A A A A : A=t2
  com.microsoft.FusedGemm A A A : A=t53
  com.microsoft.FusedMatMul A A : A=t1
  com.microsoft.FusedMatMulActivation A A : A=t1
  com.microsoft.GatedAdd A A A : A=t11
  com.microsoft.GatedDeltaNet A A A B C C C C C B B : A=t11 B=t24 C=t20
  com.microsoft.GatedRMSNorm A A A : A=t11
  com.microsoft.GatedRelativePositionBias A A A A A A B : A=t18 B=t24
  com.microsoft.GatherBlockQuantized A B C A : A=t54 B=t8 C=t11
  com.microsoft.GatherND A B : A=t21 B=t8
  com.microsoft.Gelu A : A=t1
  com.microsoft.GemmFastGelu A A A : A=t11
  com.microsoft.GemmFloat8 A B C D D D : A=t55 B=t55 C=t11 D=t20
  com.microsoft.GemmaRotaryEmbedding A B B B B : A=t20 B=t56
  com.microsoft.GreedySearch A A A B A A A : A=t24 B=t20
  com.microsoft.GridSample A A : A=t21
  com.microsoft.GroupNorm A B B : A=t18 B=t18
  com.microsoft.GroupQueryAttention A A A B B C C A A D A A E E A A : A=t11 B=t57 C=t24 D=t3 E=t20
  com.microsoft.Inverse A : A=t2
  com.microsoft.Irfft A : A=t2
  com.microsoft.IsAllFinite A : A=t1
  com.microsoft.LinearAttention A A A B A A : A=t11 B=t11
  com.microsoft.LinearAttentionGate A B B A : A=t11 B=t20
  com.microsoft.LongformerAttention A A A A A A B : A=t18 B=t24
  com.microsoft.MRotaryEmbedding A B A A : A=t11 B=t3
  com.microsoft.MatMulBlockQuantizedFp4Weight A B C D D A : A=t58 B=t26 C=t26 D=t20
  com.microsoft.MatMulBlockQuantizedFp8Weight A B C C A : A=t58 B=t59 C=t20
  com.microsoft.MatMulBnb4 A B A : A=t11 B=t26
  com.microsoft.MatMulFpQ4 A B C : A=t20 B=t26 C=t3
  com.microsoft.MatMulInteger16 A B : A=t60 B=t60
  com.microsoft.MatMulIntegerToFloat A B C C A B C : A=t14 B=t14 C=t18
  com.microsoft.MatMulNBits A B A C D A : A=t11 B=t26 C=t61 D=t24
  com.microsoft.MatMulNBitsMlp A A A B A A B A A : A=t11 B=t26
  com.microsoft.MatMulNBitsQkv A A A B A A B A A B A A : A=t11 B=t26
  com.microsoft.MaxpoolWithMask A B : A=t20 B=t24
  com.microsoft.MoE A A A A A A A A : A=t11
  com.microsoft.MulInteger A A A A : A=t14
  com.microsoft.MultiHeadAttention A A A A B A A A B B : A=t11 B=t24
  com.microsoft.MurmurHash3 A : A=t62
  com.microsoft.NGramHashMapping A A A A : A=t8
  com.microsoft.NGramRepeatBlock A B : A=t3 B=t20
  com.microsoft.NhwcConv A A A : A=t2
  com.microsoft.NhwcFusedConv A A A A : A=t18
  com.microsoft.NhwcMaxPool A : A=t14
  com.microsoft.PackedAttention A A A B B A : A=t18 B=t24
  com.microsoft.PackedMultiHeadAttention A A A A B B A : A=t18 B=t24
  com.microsoft.Pad A B A : A=t2 B=t3
  com.microsoft.PagedAttention A A A B B C C C A A C A A A D D C : A=t58 B=t63 C=t24 D=t20
  com.microsoft.QAttention A B C C C D A B C : A=t14 B=t14 C=t18 D=t24
  com.microsoft.QEmbedLayerNormalization A A B B B B B A C C C C C B B B B B : A=t24 B=t14 C=t20
  com.microsoft.QGemm A B A C B C D B E : A=t14 B=t20 C=t14 D=t24 E=t14
  com.microsoft.QLinearAdd A B A A C A D A : A=t14 B=t20 C=t20 D=t20
  com.microsoft.QLinearAveragePool A B A C A : A=t14 B=t20 C=t20
  com.microsoft.QLinearConcat A B C+ : A=t20 B=t14 C=t64
  com.microsoft.QLinearConv A B A C D C E F G : A=t14 B=t20 C=t14 D=t20 E=t20 F=t14 G=t24
  com.microsoft.QLinearGlobalAveragePool A B A C A : A=t14 B=t20 C=t20
  com.microsoft.QLinearLeakyRelu A B A C A : A=t14 B=t20 C=t20
  com.microsoft.QLinearMul A B A A C A D A : A=t14 B=t20 C=t20 D=t20
  com.microsoft.QLinearReduceMean A B A C A : A=t14 B=t20 C=t20
  com.microsoft.QLinearSigmoid A B A C A : A=t14 B=t20 C=t20
  com.microsoft.QLinearSoftmax A B A C A : A=t14 B=t20 C=t20
  com.microsoft.QLinearWhere A B C B B C B C B : A=t4 B=t14 C=t20
  com.microsoft.QMoE A A B C A B C A B C A B B B A D D D D C C : A=t11 B=t65 C=t66 D=t20
  com.microsoft.QOrderedAttention A B B B B A A A B B B B B B B B B C A B : A=t52 B=t20 C=t24
  com.microsoft.QOrderedGelu A B B : A=t52 B=t20
  com.microsoft.QOrderedLayerNormalization A B C C B : A=t52 B=t20 C=t18
  com.microsoft.QOrderedLongformerAttention A B A B B B B C A B B B D B : A=t52 B=t20 C=t56 D=t24
  com.microsoft.QOrderedMatMul A B A B B B A B : A=t52 B=t20
  com.microsoft.QuantizeBFP A : A=t11
  com.microsoft.QuantizeLinear A A B : A=t18 B=t67
  com.microsoft.QuantizeWithOrder A B : A=t18 B=t20
  com.microsoft.QuickGelu A : A=t1
  com.microsoft.Range A A A : A=t68
  com.microsoft.ReduceSumInteger A : A=t14
  com.microsoft.RelativePositionBias A B B : A=t18 B=t3
  com.microsoft.RemovePadding A B : A=t18 B=t24
  com.microsoft.RestorePadding A B : A=t18 B=t24
  com.microsoft.Rfft A : A=t2
  com.microsoft.RotaryEmbedding A B A A : A=t11 B=t3
  com.microsoft.SampleOp A : A=t53
  com.microsoft.Sampling A A A B A A A A A : A=t24 B=t20
  com.microsoft.SkipGroupNorm A B B A A : A=t18 B=t18
  com.microsoft.SkipLayerNormalization A A A A A : A=t11
  com.microsoft.SkipSimplifiedLayerNormalization A A A A : A=t11
  com.microsoft.Snpe A : A=t69
  com.microsoft.SparseAttention A A A A A B B B B A A : A=t11 B=t24
  com.microsoft.SparseToDenseMatMul A B : A=t70 B=t71
  com.microsoft.Tokenizer A : A=t40
  com.microsoft.TorchEmbedding A B C D : A=t0 B=t3 C=t3 D=t4
  com.microsoft.TransposeMatMul A A : A=t1
  com.microsoft.Trilu A B : A=t5 B=t3
  com.microsoft.UnfoldTensor A : A=t12
  com.microsoft.Unique A : A=t21
  com.microsoft.VarlenCausalConvWithState A A B A A B : A=t11 B=t24
  com.microsoft.WhisperBeamSearch A B B B B C C D D B B B B B C : A=t50 B=t24 C=t18 D=t24
  com.microsoft.WordConvEmbedding A B B B : A=t24 B=t20
`;
