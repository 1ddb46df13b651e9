/** RotaryEmbedding over four and three axes, halves and interleaved, whole and partial. */
import { checkOp } from "../harness/check-op.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const table: OperandSpec = { shape: [5, 2], range: [-1, 1] };
const positions: OperandSpec = { shape: [2, 3], dtype: "int64", values: [0, 1, 4, 2, 2, 3] };
const rows: OperandSpec = { shape: [2, 3, 2], range: [-1, 1] };

for (const interleaved of [0, 1]) {
  const spec = { op: "RotaryEmbedding", opset: 23 };
  checkOp(`four axes, interleaved ${interleaved}`, {
    ...spec,
    attributes: { interleaved },
    inputs: [{ shape: [2, 3, 3, 4] }, table, table, positions],
  });
  checkOp(`three axes, interleaved ${interleaved}`, {
    ...spec,
    attributes: { interleaved, num_heads: 2 },
    inputs: [{ shape: [2, 3, 8] }, table, table, positions],
  });
  checkOp(`tables by row, interleaved ${interleaved}`, {
    ...spec,
    attributes: { interleaved },
    inputs: [{ shape: [2, 2, 3, 4] }, rows, rows],
  });
  checkOp(`part of the channels, interleaved ${interleaved}`, {
    ...spec,
    attributes: { interleaved, rotary_embedding_dim: 4, num_heads: 2 },
    inputs: [{ shape: [2, 3, 12] }, table, table, positions],
  });
}
