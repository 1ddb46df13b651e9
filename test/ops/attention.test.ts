/** Attention: layouts, grouped heads, masks, the past, and the capped scores. */
import { expect, test } from "vitest";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import type { DType } from "../../src/ir/dtype.ts";
import { upgradeGraph } from "../../src/rewrite/upgrade.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildCase, evaluateCase, type OperandSpec } from "../harness/op-case.ts";

const spec = { op: "Attention", opset: 23 };
const q: OperandSpec = { shape: [2, 2, 3, 4] };
const mask: OperandSpec = { shape: [3, 3], dtype: "bool", values: [1, 0, 1, 1, 1, 0, 0, 1, 1] };

checkOp("four axes", { ...spec, inputs: [q, q, q] });
checkOp("causal", { ...spec, attributes: { is_causal: 1 }, inputs: [q, q, q] });
checkOp("scale", { ...spec, attributes: { scale: float(0.3) }, inputs: [q, q, q] });
checkOp("softcap", { ...spec, attributes: { softcap: float(1.5) }, inputs: [q, q, q] });
checkOp("a mask of truth values", { ...spec, inputs: [q, q, q, mask] });
checkOp("a mask to add", { ...spec, inputs: [q, q, q, { shape: [2, 1, 3, 3] }] });
checkOp("three axes", {
  ...spec,
  attributes: { q_num_heads: 2, kv_num_heads: 2 },
  inputs: [{ shape: [2, 3, 8] }, { shape: [2, 5, 8] }, { shape: [2, 5, 6] }],
});
checkOp("grouped heads of three axes", {
  ...spec,
  attributes: { q_num_heads: 4, kv_num_heads: 2, is_causal: 1 },
  inputs: [{ shape: [2, 3, 16] }, { shape: [2, 3, 8] }, { shape: [2, 3, 8] }],
});
checkOp(
  "grouped heads of four axes",
  { ...spec, inputs: [{ shape: [2, 4, 3, 4] }, q, q] },
  { namings: ["static"] },
);
checkOp("the past, causal", {
  ...spec,
  attributes: { is_causal: 1 },
  outputs: 3,
  inputs: [q, q, q, null, { shape: [2, 2, 5, 4] }, { shape: [2, 2, 5, 4] }],
});
checkOp("lengths without padding", {
  ...spec,
  opset: 24,
  inputs: [q, q, q, null, null, null, { shape: [2], dtype: "int64", values: [2, 3] }],
});
checkOp(
  "a window",
  {
    ...spec,
    opset: 25,
    attributes: { left_window_size: 1, right_window_size: 0 },
    inputs: [q, q, q],
  },
  { noRuntime: "the runtime does not know the window attributes of version 25" },
);
checkOp("a query that sees no key", {
  ...spec,
  inputs: [q, q, q, { shape: [3, 3], dtype: "bool", values: [1, 0, 1, 0, 0, 0, 0, 1, 1] }],
});

const sizedMasks = {
  noRuntime: "the CPU kernel wants masks with a row for each query and a column for each key",
};

// Masks of every rank, alone and with causal masking; scores of every stage.
const keys: OperandSpec = { shape: [2, 2, 5, 4] };
const onOff = (shape: readonly number[]): OperandSpec => ({ shape, dtype: "bool", range: [0, 1] });
for (const opset of [23, 24]) {
  for (const is_causal of [0, 1]) {
    for (const shape of [[5], [3, 5], [1, 5], [2, 3, 5], [2, 1, 3, 5], [2, 2, 3, 5], [1, 1, 1, 5]]) {
      for (const mask of [onOff(shape), { shape }]) {
        const type = mask.dtype ?? "float32";
        checkOp(
          `opset ${opset}, causal ${is_causal}, a ${type} mask of [${shape}]`,
          { ...spec, opset, attributes: { is_causal }, inputs: [q, keys, keys, mask] },
          (shape.at(-2) ?? 1) === 1 ? sizedMasks : {},
        );
      }
    }
  }
  for (const mode of [0, 1, 2, 3]) {
    for (const softcap of [0, 1.5]) {
      checkOp(`opset ${opset}, scores of stage ${mode}, cap ${softcap}`, {
        ...spec,
        opset,
        outputs: 4,
        attributes: { qk_matmul_output_mode: mode, softcap: float(softcap) },
        inputs: [q, keys, keys, { shape: [3, 5] }],
      });
    }
  }
  checkOp(`opset ${opset}, the past of three axes`, {
    ...spec,
    opset,
    outputs: 3,
    attributes: { q_num_heads: 4, kv_num_heads: 2, is_causal: 1 },
    inputs: [
      { shape: [2, 3, 16] },
      { shape: [2, 3, 8] },
      { shape: [2, 3, 12] },
      ...[{ shape: [3, 8] }, { shape: [2, 2, 5, 4] }, { shape: [2, 2, 5, 6] }],
    ],
  });
}

/** The result with a mask, given by rows. */
const withMask = (opset: number, rows: readonly (readonly number[])[], dtype: DType): readonly number[] => {
  const mask: OperandSpec = { shape: [rows.length, rows[0]?.length ?? 0], dtype, values: rows.flat() };
  const [y] = evaluateCase(buildCase({ ...spec, opset, inputs: [q, keys, keys, mask] }, "static"));
  return y?.toNumbers() ?? [];
};
for (const [dtype, masked, rows] of [
  ["bool", 0, [[1], [0], [1]]],
  [
    "bool",
    0,
    [
      [1, 0, 1],
      [1, 1, 1],
      [0, 0, 1],
    ],
  ],
  ["float32", Number.NEGATIVE_INFINITY, [[0.5], [-1], [2]]],
  [
    "float32",
    Number.NEGATIVE_INFINITY,
    [
      [0.5, 1, -1],
      [-1, 0, 0],
      [2, 1, 1],
    ],
  ],
] as const) {
  const columns = rows[0].length;
  const what = `a ${dtype} mask of ${columns} columns for five keys`;
  const mask: OperandSpec = { shape: [3, columns], dtype, values: rows.flat() };
  checkOp(what, { ...spec, opset: 24, inputs: [q, keys, keys, mask] }, sizedMasks);
  test(`${what} masks those that it does not reach, from opset 24 on`, () => {
    const whole = rows.map((row) => [...row, ...new Array<number>(5 - columns).fill(masked)]);
    expect(withMask(24, rows, dtype)).toEqual(withMask(24, whole, dtype));
  });
  test.runIf(columns === 1)(`${what} is for all keys before`, () => {
    const whole = rows.map((row) => new Array<number>(5).fill(row[0]));
    expect(withMask(23, rows, dtype)).toEqual(withMask(23, whole, dtype));
  });
}
test("an upgrade to opset 24 keeps what a mask of one column means", () => {
  const mask: OperandSpec = { shape: [3, 1], dtype: "bool", values: [1, 0, 1] };
  const built = buildCase({ ...spec, inputs: [q, keys, keys, mask] }, "shared");
  const [before] = evaluateCase(built);
  upgradeGraph(built.model.graph, 23, 24);
  const [after] = evaluateCase({ ...built, opset: 24 });
  expect(after?.toNumbers()).toEqual(before?.toNumbers());
});
for (const is_causal of [0, 1]) {
  for (const lengths of [
    [5, 3],
    [2, 4],
    [0, 5],
  ]) {
    checkOp(`causal ${is_causal}, ${lengths} keys`, {
      ...spec,
      opset: 24,
      attributes: { is_causal },
      inputs: [q, keys, keys, { shape: [3, 5] }, null, null, { shape: [2], dtype: "int64", values: lengths }],
    });
  }
}
for (const softmax_precision of [1, 10]) {
  const half: OperandSpec = { ...q, dtype: "float16" };
  checkOp(`float16, softmax in type ${softmax_precision}`, {
    ...spec,
    outputs: 4,
    attributes: { softmax_precision, qk_matmul_output_mode: 3 },
    inputs: [half, half, half],
  });
}
checkOp("an empty past", {
  ...spec,
  outputs: 3,
  attributes: { is_causal: 1 },
  inputs: [q, q, q, null, { shape: [2, 2, 0, 4] }, { shape: [2, 2, 0, 4] }],
});
checkOp(
  "one head of keys for all",
  { ...spec, inputs: [{ shape: [2, 4, 3, 4] }, { shape: [2, 1, 5, 4] }, { shape: [2, 1, 5, 6] }] },
  { namings: ["static"] },
);
