/** Products and convolutions of quantized whole numbers. */
import { checkOp } from "../harness/check-op.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const bytes = (shape: readonly number[]): OperandSpec => ({ shape, dtype: "uint8", range: [0, 255] });
const signed = (shape: readonly number[]): OperandSpec => ({ shape, dtype: "int8", range: [-128, 127] });
const scale = (...values: readonly number[]): OperandSpec => ({
  shape: values.length === 1 ? [] : [values.length],
  values,
  constant: true,
});
const zero = (dtype: "uint8" | "int8", ...values: readonly number[]): OperandSpec => ({
  shape: values.length === 1 ? [] : [values.length],
  dtype,
  values,
  constant: true,
});

checkOp("no zero points", { op: "MatMulInteger", inputs: [bytes([2, 3]), bytes([3, 4])] });
checkOp("zero points", {
  op: "MatMulInteger",
  inputs: [bytes([2, 2, 3]), signed([3, 4]), zero("uint8", 7), zero("int8", -3)],
});
checkOp("zero points per column", {
  op: "MatMulInteger",
  inputs: [bytes([2, 3]), signed([3, 2]), zero("uint8", 7), zero("int8", -3, 5)],
});
checkOp("one scale", {
  op: "QLinearMatMul",
  inputs: [
    bytes([2, 3]),
    scale(0.02),
    zero("uint8", 120),
    signed([3, 4]),
    scale(0.03),
    zero("int8", 3),
    scale(0.5),
    zero("uint8", 100),
  ],
});
checkOp("a scale per column", {
  op: "QLinearMatMul",
  inputs: [
    bytes([2, 3]),
    scale(0.02),
    zero("uint8", 120),
    signed([3, 2]),
    scale(0.03, 0.01),
    zero("int8", 3, 0),
    scale(0.5),
    zero("uint8", 100),
  ],
});
checkOp("padding", {
  op: "ConvInteger",
  inputs: [bytes([1, 2, 4, 4]), bytes([3, 2, 3, 3]), zero("uint8", 9)],
  attributes: { pads: [1, 1, 1, 1], kernel_shape: [3, 3] },
});
checkOp("a scale per channel, bias", {
  op: "QLinearConv",
  inputs: [
    bytes([1, 2, 4, 4]),
    scale(0.02),
    zero("uint8", 120),
    signed([2, 2, 3, 3]),
    scale(0.03, 0.02),
    zero("int8", 0, 0),
    scale(0.2),
    zero("uint8", 100),
    { shape: [2], dtype: "int32", range: [-500, 500] },
  ],
  attributes: { pads: [1, 1, 1, 1], kernel_shape: [3, 3] },
});

checkOp("channels last", {
  op: "QLinearConv",
  domain: "com.microsoft",
  inputs: [
    bytes([1, 4, 5, 2]),
    scale(0.02),
    zero("uint8", 120),
    signed([3, 2, 3, 3]),
    scale(0.03, 0.02, 0.05),
    zero("int8", 0, 0, 0),
    scale(0.2),
    zero("uint8", 100),
  ],
  attributes: { pads: [1, 1, 1, 1], kernel_shape: [3, 3], channels_last: 1 },
});
