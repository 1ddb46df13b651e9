/** GroupQueryAttention: packed operands, the cache, rotary positions, windows, sinks, caps and biases. */
import { expect, test } from "vitest";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";
import type { OpCase, OperandSpec } from "../harness/op-case.ts";

type Attributes = NonNullable<OpCase["attributes"]>;

// Four heads of queries share two of keys; heads have 16 channels.
const query: OperandSpec = { shape: [2, 3, 64], range: [-1, 1] };
const key: OperandSpec = { shape: [2, 3, 32], range: [-1, 1] };
const packed: OperandSpec = { shape: [2, 3, 128], range: [-1, 1] };
const lengths: OperandSpec = { shape: [2], dtype: "int32", values: [2, 2] };
const total: OperandSpec = { shape: [1], dtype: "int32", values: [3], constant: true };
const table: OperandSpec = { shape: [8, 8], range: [-1, 1], constant: true };
const heads = { num_heads: 4, kv_num_heads: 2 };
const spec: OpCase = {
  op: "GroupQueryAttention",
  domain: "com.microsoft",
  outputs: 3,
  attributes: heads,
  inputs: [query, key, key, null, null, lengths, total],
};
/** Operands by position behind those of the prompt. */
const withInputs = (...more: (OperandSpec | null)[]): OpCase["inputs"] => [...spec.inputs, ...more];
const withAttributes = (more: Attributes): Attributes => ({ ...heads, ...more });

checkOp("a prompt", spec);
checkOp("one result", { ...spec, outputs: 1 });
checkOp("packed", { ...spec, inputs: [packed, null, null, null, null, lengths, total] });
checkOp("as many heads of keys as of queries", {
  ...spec,
  attributes: { num_heads: 2, kv_num_heads: 2 },
  inputs: [key, key, key, null, null, lengths, total],
});
checkOp("scale", { ...spec, attributes: withAttributes({ scale: float(0.7) }) });
checkOp("softcap", { ...spec, attributes: withAttributes({ softcap: float(0.8) }) });
checkOp("smooth softmax", { ...spec, attributes: withAttributes({ smooth_softmax: 1 }) });
for (const local_window_size of [1, 2]) {
  const attributes = withAttributes({ local_window_size });
  checkOp(`a window of ${local_window_size}`, { ...spec, attributes });
}
checkOp("shorter prompts, padded on the right, both directions", {
  ...spec,
  attributes: withAttributes({ causal: 0 }),
  inputs: [query, key, key, null, null, { ...lengths, values: [2, 1] }, total],
});
// Not with the scores as a result: the kernel leaves those of padding unwritten.
for (const [what, more] of [
  ["plain", {}],
  ["in a window", { local_window_size: 2 }],
  ["with a cap", { softcap: float(0.8) }],
  ["with rotary positions", { do_rotary: 1 }],
] as const) {
  checkOp(`shorter prompts, padded on the right, ${what}`, {
    ...spec,
    attributes: withAttributes(more),
    inputs: [query, key, key, null, null, { ...lengths, values: [2, 0] }, total, table, table],
  });
}
checkOp("shorter prompts, padded on the right, with a bias", {
  ...spec,
  inputs: [
    ...[query, key, key, null, null, { ...lengths, values: [1, 0] }, total],
    ...[null, null, null, { shape: [2, 4, 3, 3] }],
  ],
});
checkOp("both directions", { ...spec, attributes: withAttributes({ causal: 0 }) });
const bias: OperandSpec = { shape: [2, 4, 3, 3] };
checkOp("a bias", { ...spec, inputs: withInputs(null, null, null, bias) });
checkOp("a bias and a cap", {
  ...spec,
  attributes: withAttributes({ softcap: float(0.8) }),
  inputs: withInputs(null, null, null, { shape: [1, 1, 3, 3] }),
});
checkOp("sinks", { ...spec, inputs: withInputs(null, null, null, null, { shape: [4] }) });
for (const qk_output of [1, 2]) {
  const attributes = withAttributes({ qk_output, softcap: float(0.8), local_window_size: 2 });
  const inputs = withInputs(null, null, null, bias);
  checkOp(`scores of stage ${qk_output}`, { ...spec, outputs: 4, attributes, inputs });
}

const rotary = { do_rotary: 1 };
for (const rotary_interleaved of [0, 1]) {
  const attributes = withAttributes({ ...rotary, rotary_interleaved });
  const what = `rotary, interleaved ${rotary_interleaved}`;
  checkOp(what, { ...spec, attributes, inputs: withInputs(table, table) });
  checkOp(`${what}, packed`, {
    ...spec,
    attributes,
    inputs: [packed, null, null, null, null, lengths, total, table, table],
  });
  checkOp(`${what}, half of the channels`, {
    ...spec,
    attributes,
    inputs: [
      { shape: [1, 3, 128], range: [-1, 1] },
      { shape: [1, 3, 64], range: [-1, 1] },
      { shape: [1, 3, 64], range: [-1, 1] },
      ...[null, null, { shape: [1], dtype: "int32", values: [2] } as const, total, table, table],
    ],
  });
}
checkOp("rotary positions, of which a prompt reads the first", {
  ...spec,
  attributes: withAttributes(rotary),
  inputs: withInputs(table, table, { shape: [2, 3], dtype: "int64", values: [2, 0, 1, 4, 4, 1] }),
});

// The past: three more keys, after caches that are full or have room.
const past = (room: number, batch = 2): OperandSpec => ({ shape: [batch, 2, room, 16], range: [-1, 1] });
const one = (batch = 2): OperandSpec[] => [
  { shape: [batch, 1, 64], range: [-1, 1] },
  { shape: [batch, 1, 32], range: [-1, 1] },
  { shape: [batch, 1, 32], range: [-1, 1] },
];
const count = (value: number): OperandSpec => ({
  shape: [1],
  dtype: "int32",
  values: [value],
  constant: true,
});
const ends: OperandSpec = { shape: [2], dtype: "int32", values: [4, 2] };
for (const room of [4, 6]) {
  checkOp(`one more token, room for ${room}`, {
    ...spec,
    inputs: [...one(), past(room), past(room), ends, count(5)],
  });
  checkOp(`one more token with rotary positions, room for ${room}`, {
    ...spec,
    attributes: withAttributes(rotary),
    inputs: [...one(), past(room), past(room), ends, count(5), table, table],
  });
}
checkOp("one more token in a window", {
  ...spec,
  attributes: withAttributes({ local_window_size: 2 }),
  inputs: [...one(), past(4), past(4), ends, count(5)],
});
checkOp("one more token with given positions", {
  ...spec,
  attributes: withAttributes(rotary),
  inputs: [
    ...one(),
    ...[past(4), past(4), ends, count(5), table, table],
    { shape: [2, 1], dtype: "int64", values: [3, 1] },
  ],
});
checkOp("more of a prompt", {
  ...spec,
  attributes: withAttributes(rotary),
  inputs: [
    { shape: [1, 3, 64], range: [-1, 1] },
    { shape: [1, 3, 32], range: [-1, 1] },
    { shape: [1, 3, 32], range: [-1, 1] },
    ...[past(2, 1), past(2, 1), { shape: [1], dtype: "int32", values: [4] } as const, count(5), table, table],
  ],
});
checkOp("a prompt into a cache with room", {
  ...spec,
  inputs: [query, key, key, past(5), past(5), lengths, total],
});
checkOp("a prompt and an empty past", {
  ...spec,
  inputs: [query, key, key, past(0), past(0), lengths, total],
});

checkOp(
  "norms of queries and keys",
  {
    ...spec,
    attributes: withAttributes({ qk_norm_epsilon: float(1e-3) }),
    inputs: withInputs(...Array.from({ length: 7 }, () => null), { shape: [16] }, { shape: [16] }),
  },
  { noRuntime: "the CPU kernel refuses norms" },
);

test.each([
  ["a quantized cache", { k_quant_type: "PER_TENSOR" }, /quantized/],
  ["a cache as long as the window", { sliding_window_cache: 1, local_window_size: 2 }, /window/],
])("%s is refused", (_, more, message) => {
  const attributes = withAttributes(more);
  expect(() => buildBackward({ ...spec, attributes }, "static")).toThrow(message);
});
