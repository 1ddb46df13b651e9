/** Random draws: their types, and that they are never computed ahead. */
import { expect, test } from "vitest";
import { formatType } from "../../src/ir/type.ts";
import { lookupOp } from "../../src/ops/registry.ts";
import { buildCase, type OpCase } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";

const matrix = [{ shape: [2, 3], range: [0.1, 0.9] as const }];
const rows: [string, OpCase][] = [
  ["float32[4, 5]", { op: "RandomNormal", inputs: [], attributes: { shape: [4, 5] } }],
  ["float32[4, 5]", { op: "RandomUniform", inputs: [], attributes: { shape: [4, 5] } }],
  ["float32[2, 3]", { op: "RandomNormalLike", inputs: matrix }],
  ["float32[2, 3]", { op: "RandomUniformLike", inputs: matrix }],
  ["float64[2, 3]", { op: "RandomNormalLike", inputs: matrix, attributes: { dtype: 11 } }],
  ["float32[2, 3]", { op: "Bernoulli", inputs: matrix }],
  ["int64[2, 3]", { op: "Bernoulli", inputs: matrix, attributes: { dtype: 7 } }],
  ["int32[2, 7]", { op: "Multinomial", inputs: matrix, attributes: { sample_size: 7 } }],
];

test.each(rows)("%s of %j", async (type, spec) => {
  const built = buildCase(spec, "static");
  expect(formatType(built.outputs[0]?.type)).toBe(type);
  const [drawn] = await runModel(built.model, built.feeds);
  expect(drawn && `${drawn.dtype}[${drawn.shape.join(", ")}]`).toBe(type);
  expect(lookupOp("", spec.op)?.evaluationRefusal).toContain("draws");
});
