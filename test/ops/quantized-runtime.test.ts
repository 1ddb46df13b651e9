/** The runtime's own operators on quantised numbers: values against its kernels, gradients of what stays float. */
import { checkOp } from "../harness/check-op.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const domain = "com.microsoft";
const bytes = (...shape: readonly number[]): OperandSpec => ({ shape, dtype: "uint8", range: [0, 255] });
const signed = (...shape: readonly number[]): OperandSpec => ({ shape, dtype: "int8", range: [-128, 127] });
const constant = (spec: OperandSpec): OperandSpec => ({ ...spec, constant: true });
const scale = (value: number): OperandSpec => ({ shape: [], values: [value] });
const scales = (count: number): OperandSpec => ({ shape: [count], range: [0.01, 0.05] });
const zero = (value: number, dtype: "uint8" | "int8" = "uint8"): OperandSpec =>
  constant({ shape: [], dtype, values: [value] });

for (const shape of [
  [3, 4],
  [2, 3, 4],
]) {
  const product = { op: "MatMulIntegerToFloat", domain };
  const described = `${shape.length} axes`;
  checkOp(`one scale, ${described}`, {
    ...product,
    inputs: [bytes(...shape), constant(signed(4, 5)), scale(0.02), scale(0.03), zero(120), zero(3, "int8")],
  });
  checkOp(`a scale for each column, a bias, ${described}`, {
    ...product,
    inputs: [
      bytes(...shape),
      constant(signed(4, 5)),
      scale(0.02),
      scales(5),
      zero(120),
      constant({ shape: [5], dtype: "int8", values: [0, 1, -2, 3, 4] }),
      { shape: [5] },
    ],
  });
  checkOp(`no zero points, ${described}`, {
    ...product,
    inputs: [
      bytes(...shape),
      constant(bytes(4, 5)),
      { shape: [1], values: [0.02] },
      { shape: [1], values: [0.1] },
    ],
  });
  const dynamic = { op: "DynamicQuantizeMatMul", domain };
  const weights = constant(signed(4, 5));
  const data: OperandSpec = { shape };
  checkOp(`one scale, ${described}`, { ...dynamic, inputs: [data, weights, scale(0.02)] });
  checkOp(`a scale for each column, a bias, ${described}`, {
    ...dynamic,
    inputs: [
      data,
      weights,
      scales(5),
      constant({ shape: [5], dtype: "int8", values: [0, 1, -2, 3, 4] }),
      { shape: [5] },
    ],
  });
}

for (const [transA, transB] of [
  [0, 0],
  [1, 1],
] as const) {
  const [a, b] = [transA === 0 ? [2, 4] : [4, 2], transB === 0 ? [4, 3] : [3, 4]];
  const gemm = { op: "QGemm", domain, attributes: { transA, transB } };
  const operands = [
    bytes(...a),
    scale(0.02),
    zero(120),
    constant(signed(...b)),
    scales(3),
    constant({ shape: [3], dtype: "int8", values: [0, 1, -2] }),
  ];
  const options = {
    noGradient: "scales are constants in files; whole ways are checked in test/autodiff/quantized.test.ts",
  };
  checkOp(`a float result, transposed ${transA} and ${transB}`, { ...gemm, inputs: operands }, options);
  checkOp(`a quantised result, transposed ${transA} and ${transB}`, {
    ...gemm,
    inputs: [
      ...operands,
      constant({ shape: [3], dtype: "int32", range: [-999, 999] }),
      scale(0.5),
      zero(100),
    ],
  });
}

for (const op of ["QLinearAdd", "QLinearMul"]) {
  checkOp("a broadcast operand", {
    op,
    domain,
    inputs: [
      bytes(2, 3, 4),
      scale(0.02),
      zero(120),
      bytes(3, 1),
      scale(0.03),
      zero(100),
      scale(0.0973),
      zero(99),
    ],
  });
  checkOp(
    "no zero points",
    {
      op,
      domain,
      inputs: [signed(2, 4), scale(0.02), null, signed(2, 4), scale(0.03), null, scale(0.1)],
    },
    { noRuntime: "its shape rule wants all zero points" },
  );
}
checkOp("uint8", {
  op: "QLinearSigmoid",
  domain,
  inputs: [bytes(2, 9), scale(0.03), zero(120), scale(1 / 256), zero(0)],
});
checkOp("int8", {
  op: "QLinearSigmoid",
  domain,
  inputs: [signed(2, 9), scale(0.03), zero(12, "int8"), scale(1 / 256), zero(-128, "int8")],
});
checkOp("uint8", {
  op: "QLinearLeakyRelu",
  domain,
  inputs: [bytes(2, 9), scale(0.03), zero(120), scale(0.02), zero(30)],
});
const off = { noRuntime: "the kernel takes exponentials from a table, which may be one step off" };
for (const opset of [11, 13]) {
  checkOp(
    `opset ${opset}`,
    {
      op: "QLinearSoftmax",
      domain,
      inputs: [bytes(2, 3, 4), scale(0.03), zero(120), scale(1 / 256), zero(0)],
      attributes: { axis: 1, opset },
    },
    off,
  );
}
checkOp("two operands", {
  op: "QLinearConcat",
  domain,
  inputs: [scale(0.05), zero(100), bytes(2, 3), scale(0.02), zero(120), bytes(2, 2), scale(0.05), zero(100)],
  attributes: { axis: 1 },
});
checkOp("a broadcast condition", {
  op: "QLinearWhere",
  domain,
  inputs: [
    { shape: [4], dtype: "bool", range: [0, 1] },
    bytes(2, 4),
    scale(0.02),
    zero(120),
    bytes(2, 4),
    scale(0.04),
    zero(100),
    scale(0.03),
    zero(90),
  ],
});
for (const channels_last of [0, 1]) {
  const x = channels_last === 0 ? bytes(1, 2, 4, 5) : bytes(1, 4, 5, 2);
  const inputs = [x, scale(0.02), zero(120), scale(0.0307), zero(90)];
  checkOp(`channels last: ${channels_last}`, {
    op: "QLinearGlobalAveragePool",
    domain,
    inputs,
    attributes: { channels_last },
  });
  checkOp(`channels last: ${channels_last}`, {
    op: "QLinearAveragePool",
    domain,
    inputs,
    attributes: { channels_last, kernel_shape: [2, 2], strides: [2, 1], pads: [0, 1, 0, 0] },
  });
}
