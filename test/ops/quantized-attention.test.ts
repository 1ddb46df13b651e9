/** What the runtime's quantisers make of attention and of embeddings. */
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import type { OpCase, OperandSpec } from "../harness/op-case.ts";

const domain = "com.microsoft";
const bytes = (...shape: readonly number[]): OperandSpec => ({ shape, dtype: "uint8", range: [0, 255] });
const table = (...shape: readonly number[]): OperandSpec => ({ ...bytes(...shape), constant: true });
const zero = (value: number, dtype: "uint8" | "int8" = "uint8"): OperandSpec => ({
  shape: [],
  dtype,
  values: [value],
  constant: true,
});
const scale = (value: number, shape: readonly number[] = []): OperandSpec => ({ shape, values: [value] });
const whole = (shape: readonly number[], most: number): OperandSpec => ({
  shape,
  dtype: "int32",
  range: [0, most],
});

const x = bytes(2, 3, 6);
const signed: OperandSpec = { shape: [6, 24], dtype: "int8", range: [-128, 127], constant: true };
const spec: OpCase = {
  op: "QAttention",
  domain,
  attributes: { num_heads: 2 },
  inputs: [x, signed, { shape: [24] }, scale(0.01), scale(0.004), null, zero(120), zero(0, "int8")],
};

checkOp("signed weights", spec);
checkOp("no zero points", { ...spec, inputs: spec.inputs.with(3, scale(0.002)).slice(0, 5) });
checkOp("unsigned weights", { ...spec, inputs: [x, table(6, 24), ...spec.inputs.slice(2, 7), zero(130)] });
checkOp("a scale for each column", {
  ...spec,
  // Few large numbers, so that sums of what cancels stay exact enough to be compared.
  inputs: spec.inputs
    .with(1, { ...signed, range: [-9, 9] })
    .with(4, { shape: [24], range: [0.01, 0.04] })
    .with(7, { shape: [24], dtype: "int8", range: [-3, 3], constant: true }),
});
checkOp("lengths of sequences", {
  ...spec,
  inputs: spec.inputs.with(5, { shape: [2], dtype: "int32", values: [3, 2] }),
});
checkOp("causal, with keys and values of the past", {
  ...spec,
  attributes: { num_heads: 2, unidirectional: 1 },
  inputs: [...spec.inputs, { shape: [2, 2, 2, 2, 4] }],
  outputs: 2,
});

const embedded: OpCase = {
  op: "QEmbedLayerNormalization",
  domain,
  attributes: { epsilon: float(1e-3) },
  outputs: 2,
  inputs: [
    ...[whole([2, 3], 4), whole([2, 3], 1), table(5, 4), table(6, 4), table(2, 4), table(4), table(4), null],
    ...[scale(0.02), scale(0.01), scale(0.03), scale(0.01), scale(0.02)],
    ...[zero(120), zero(130), zero(90), zero(20), zero(100)],
  ],
};

checkOp("words, places and segments", embedded);
checkOp("no segments", {
  ...embedded,
  inputs: embedded.inputs.with(1, null).with(4, null).with(10, null).with(15, null),
});
checkOp("a mask", { ...embedded, inputs: embedded.inputs.with(7, whole([2, 3], 1)) });
