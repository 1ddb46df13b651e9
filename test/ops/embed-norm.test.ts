/** EmbedLayerNormalization: positions given or counted, segments, the mask, all results. */
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import type { OpCase, OperandSpec } from "../harness/op-case.ts";

const whole = (shape: readonly number[], most: number): OperandSpec => ({
  shape,
  dtype: "int32",
  range: [0, most],
});
const ids = whole([2, 3], 4);
const words: OperandSpec = { shape: [5, 4] };
const places: OperandSpec = { shape: [6, 4] };
const gamma: OperandSpec = { shape: [4], range: [0.5, 1.5] };
const beta: OperandSpec = { shape: [4] };
const spec: OpCase = {
  op: "EmbedLayerNormalization",
  domain: "com.microsoft",
  attributes: { epsilon: float(1e-3) },
  outputs: 2,
  inputs: [ids, whole([2, 3], 1), words, places, { shape: [2, 4] }, gamma, beta],
};

checkOp("words, places and segments", spec);
checkOp("no segments", { ...spec, inputs: [ids, null, words, places, null, gamma, beta] });
checkOp("a mask", { ...spec, inputs: [...spec.inputs, whole([2, 3], 1)] });
checkOp("given positions", { ...spec, inputs: [...spec.inputs, null, whole([2, 3], 5)] });
checkOp("positions of all sequences", { ...spec, inputs: [...spec.inputs, null, whole([1, 3], 5)] });
checkOp("a mask, positions and the sum", {
  ...spec,
  outputs: 3,
  inputs: [...spec.inputs, whole([2, 3], 1), whole([2, 3], 5)],
});
checkOp("no segments, and the sum", {
  ...spec,
  outputs: 3,
  inputs: [ids, null, words, places, null, gamma, beta, whole([2, 3], 1)],
});
checkOp("names of their own", spec, { namings: ["separate"] });
checkOp("the default epsilon", { ...spec, attributes: {} });
