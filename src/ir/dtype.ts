/** Element types of ONNX tensors and the few facts about them that shared code asks for. */

/** Every element type of ONNX IR 14, named as NumPy and ml_dtypes name it. */
export const dtypes = [
  "float32",
  "float16",
  "bfloat16",
  "float64",
  "int8",
  "int16",
  "int32",
  "int64",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
  "bool",
  "string",
  "complex64",
  "complex128",
  "float8e4m3fn",
  "float8e4m3fnuz",
  "float8e5m2",
  "float8e5m2fnuz",
  "float8e8m0",
  "float6e2m3",
  "float6e3m2",
  "float4e2m1",
  "uint4",
  "int4",
  "uint2",
  "int2",
] as const;

/** An element type; named as NumPy and ml_dtypes name it. */
export type DType = (typeof dtypes)[number];

const bits: Readonly<Record<DType, number>> = {
  float32: 32,
  float16: 16,
  bfloat16: 16,
  float64: 64,
  int8: 8,
  int16: 16,
  int32: 32,
  int64: 64,
  uint8: 8,
  uint16: 16,
  uint32: 32,
  uint64: 64,
  bool: 8,
  string: 0,
  complex64: 64,
  complex128: 128,
  float8e4m3fn: 8,
  float8e4m3fnuz: 8,
  float8e5m2: 8,
  float8e5m2fnuz: 8,
  float8e8m0: 8,
  float6e2m3: 6,
  float6e3m2: 6,
  float4e2m1: 4,
  uint4: 4,
  int4: 4,
  uint2: 2,
  int2: 2,
};

/** Bits of one element in `raw_data`; 0 for strings, which have no fixed size. */
export function bitsOf(dtype: DType): number {
  return bits[dtype];
}

/** Bytes that `count` elements take in `raw_data`: elements below a byte are packed, the last byte padded. */
export function byteLength(dtype: DType, count: number): number {
  return Math.ceil((count * bits[dtype]) / 8);
}

/** The types that carry gradients: float16, bfloat16, float32 and float64. */
export type FloatDType = "float32" | "float16" | "bfloat16" | "float64";

/** Whether values of this type can carry a gradient. */
export function isFloat(dtype: DType): dtype is FloatDType {
  return dtype === "float32" || dtype === "float16" || dtype === "bfloat16" || dtype === "float64";
}

/** Whether values of this type are whole numbers, bool not included. */
export function isInteger(dtype: DType): boolean {
  return /^u?int\d+$/.test(dtype);
}

/** Whether the type is one of the two 16-bit floats that mixed precision uses. */
export function isLow(dtype: DType): dtype is "float16" | "bfloat16" {
  return dtype === "float16" || dtype === "bfloat16";
}

/** ONNX `TensorProto.DataType` of an element type, as Cast and friends store it. */
export function dtypeCode(dtype: DType): number {
  return dtypeCodes[dtype];
}

const dtypeCodes: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  complex128: 15,
  bfloat16: 16,
  float8e4m3fn: 17,
  float8e4m3fnuz: 18,
  float8e5m2: 19,
  float8e5m2fnuz: 20,
  uint4: 21,
  int4: 22,
  float4e2m1: 23,
  float8e8m0: 24,
  uint2: 25,
  int2: 26,
  float6e2m3: 27,
  float6e3m2: 28,
};

const dtypesByCode = new Map(dtypes.map((dtype) => [dtypeCodes[dtype], dtype]));

/** Element type of a `TensorProto.DataType` code; undefined for codes that ONNX does not define. */
export function dtypeFromCode(code: number): DType | undefined {
  return dtypesByCode.get(code);
}
