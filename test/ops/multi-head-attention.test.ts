/** MultiHeadAttention of com.microsoft: layouts, biases, masks in all forms, the past. */
import { expect, test } from "vitest";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";
import type { OpCase, OperandSpec } from "../harness/op-case.ts";

const query: OperandSpec = { shape: [2, 3, 8] };
const key: OperandSpec = { shape: [2, 5, 8] };
const attributes = { num_heads: 2 };
const spec: OpCase = {
  op: "MultiHeadAttention",
  domain: "com.microsoft",
  attributes,
  inputs: [query, key, key],
};
const whole = (shape: readonly number[], values: readonly number[]): OperandSpec => ({
  shape,
  values,
  dtype: "int32",
});
/** Masked scores stay in sight of the others, so that the filter is checked to its last digit. */
const near = { ...attributes, mask_filter_value: float(-2) };

checkOp("separate operands", spec);
checkOp("wider values", { ...spec, inputs: [query, key, { shape: [2, 5, 12] }] });
checkOp("scale", { ...spec, attributes: { ...attributes, scale: float(0.3) } });
checkOp("present results", { ...spec, outputs: 3 });
checkOp("biases", { ...spec, inputs: [{ ...query }, key, key, { shape: [24] }] }, { namings: ["static"] });
checkOp(
  "biases of wider values",
  { ...spec, inputs: [query, key, { shape: [2, 5, 12] }, { shape: [28] }] },
  { namings: ["static"] },
);

const packed = { noRuntime: "the CPU kernel does not take packed operands" };
const five: OperandSpec = { shape: [2, 3, 2, 3, 4] };
checkOp("all in the query", { ...spec, inputs: [five] }, packed);
checkOp(
  "all in the query, with biases",
  { ...spec, inputs: [five, null, null, { shape: [24] }] },
  { ...packed, namings: ["static"] },
);
checkOp("values in the key", { ...spec, inputs: [query, { shape: [2, 5, 2, 2, 4] }] }, packed);
const cached: OperandSpec = { shape: [2, 2, 5, 4] };
checkOp("keys and values that are heads already", { ...spec, inputs: [query, cached, cached] });
checkOp(
  "heads already, and biases of the query",
  { ...spec, inputs: [query, cached, cached, { shape: [24] }] },
  { namings: ["static"] },
);

const masks = {
  lengths: whole([2], [4, 2]),
  "lengths and offsets": whole([8], [4, 2, 0, 3, 6, 0, 5, 10]),
  "keys by sequence": whole([2, 5], [1, 0, 1, 1, 0, 0, 1, 1, 0, 1]),
  "keys by query": { shape: [2, 3, 5], dtype: "int32", range: [0, 1] } as const,
};
for (const [what, mask] of Object.entries(masks)) {
  for (const unidirectional of [0, 1]) {
    checkOp(
      `${what}, unidirectional ${unidirectional}`,
      { ...spec, attributes: { ...near, unidirectional }, inputs: [query, key, key, null, mask] },
      // A batch of two is written as a number: only then is the meaning of eight numbers known.
      { namings: mask.shape.length === 1 ? ["static"] : ["static", "shared"] },
    );
  }
}
checkOp(
  "lengths of a named batch",
  { ...spec, attributes: near, inputs: [query, key, key, null, whole([2], [4, 2])] },
  { namings: ["shared"] },
);
checkOp("the default filter", { ...spec, inputs: [query, key, key, null, whole([2], [4, 2])] });
for (const shape of [
  [2, 2, 3, 5],
  [1, 2, 3, 5],
  [2, 1, 3, 5],
  [1, 1, 3, 5],
]) {
  checkOp(`a bias of [${shape}]`, { ...spec, inputs: [query, key, key, null, null, { shape }] });
}
checkOp("a bias and a mask", {
  ...spec,
  attributes: near,
  inputs: [query, key, key, null, whole([2, 5], [1, 0, 1, 1, 0, 0, 1, 1, 0, 1]), { shape: [2, 2, 3, 5] }],
});
checkOp("unidirectional", {
  ...spec,
  attributes: { ...attributes, unidirectional: 1 },
  inputs: [query, query, query],
});
checkOp("unidirectional with more keys than queries", {
  ...spec,
  attributes: { ...attributes, unidirectional: 1 },
});
checkOp("unidirectional with fewer keys than queries", {
  ...spec,
  attributes: { ...attributes, unidirectional: 1 },
  inputs: [key, query, query],
});

const past: OperandSpec = { shape: [2, 2, 2, 4] };
for (const unidirectional of [0, 1]) {
  checkOp(`the past, unidirectional ${unidirectional}`, {
    ...spec,
    attributes: { ...attributes, unidirectional },
    outputs: 3,
    inputs: [query, query, query, null, null, null, past, past],
  });
}
checkOp("the past and a mask of all keys", {
  ...spec,
  attributes: { ...near, unidirectional: 1 },
  outputs: 3,
  inputs: [query, query, query, null, whole([2, 5], [1, 0, 1, 1, 0, 0, 1, 1, 0, 1]), null, past, past],
});
checkOp("the past and a bias", {
  ...spec,
  outputs: 3,
  inputs: [query, query, query, null, null, { shape: [1, 2, 3, 5] }, past, past],
});
checkOp("an empty past", {
  ...spec,
  outputs: 3,
  inputs: [query, query, query, null, null, null, { shape: [2, 2, 0, 4] }, { shape: [2, 2, 0, 4] }],
});
checkOp("the scores", { ...spec, outputs: 4 }, {});
checkOp("the scores with a mask and a bias", {
  ...spec,
  attributes: near,
  outputs: 4,
  inputs: [query, key, key, null, whole([2], [4, 2]), { shape: [1, 2, 3, 5] }],
});

test.each([
  ["a shared buffer", [query, query, query, null, null, null, past, past, whole([1], [1])], 3, /one buffer/],
  [
    "a past that the kernel would not read",
    [query, query, query, null, null, null, past, past],
    1,
    /no present/,
  ],
] as const)("%s is refused", (_, inputs, outputs, message) => {
  expect(() => buildBackward({ ...spec, inputs, outputs }, "static")).toThrow(message);
});
