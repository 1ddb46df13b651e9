/** RotaryEmbedding of com.microsoft. */
import { expect, test } from "vitest";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const spec = { op: "RotaryEmbedding", domain: "com.microsoft" };
const table: OperandSpec = { shape: [6, 2], range: [-1, 1] };
const offset: OperandSpec = { shape: [1], dtype: "int64", values: [2] };
const matrix: OperandSpec = { shape: [2, 3], dtype: "int64", values: [0, 1, 4, 2, 2, 3] };

for (const interleaved of [0, 1]) {
  for (const [what, positions] of [
    ["an offset", offset],
    ["positions", matrix],
  ] as const) {
    const flags = `${what}, interleaved ${interleaved}`;
    const fixed = { ...table, constant: true };
    checkOp(`three axes, ${flags}`, {
      ...spec,
      attributes: { interleaved },
      inputs: [{ shape: [2, 3, 8] }, positions, fixed, fixed],
    });
    checkOp(`four axes, ${flags}`, {
      ...spec,
      attributes: { interleaved },
      inputs: [{ shape: [2, 2, 3, 4] }, positions, table, table],
    });
    checkOp(`part of the channels, ${flags}`, {
      ...spec,
      attributes: { interleaved, rotary_embedding_dim: 4, num_heads: 2 },
      inputs: [{ shape: [2, 3, 12] }, positions, table, table],
    });
    checkOp(`part of the channels of four axes, ${flags}`, {
      ...spec,
      attributes: { interleaved, rotary_embedding_dim: 4, num_heads: 2 },
      inputs: [{ shape: [2, 2, 3, 6] }, positions, table, table],
    });
  }
}
checkOp("attributes that change nothing", {
  ...spec,
  attributes: { scale: float(0.5), is_packed_batching: 1, num_heads: 2 },
  inputs: [{ shape: [2, 3, 8] }, offset, table, table],
});

test("heads that cannot be counted are refused", () => {
  const inputs = [{ shape: [2, 3, 8] }, offset, table, table];
  expect(() => buildBackward({ ...spec, inputs }, "shared")).toThrow(/E_UNKNOWN_SIZE|channels of a head/);
});
