/** TensorScatter: linear and circular writes, with and without places to start at. */
import { expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { buildCase, evaluateCase, type OperandSpec } from "../harness/op-case.ts";

const spec = { op: "TensorScatter", opset: 24 };
const [cache, update]: readonly OperandSpec[] = [{ shape: [2, 3, 6, 2] }, { shape: [2, 3, 2, 2] }];
const starts = (...values: readonly number[]): OperandSpec => ({
  shape: [values.length],
  dtype: "int64",
  values,
});
const operands = [cache, update].filter((operand) => operand !== undefined);

for (const mode of ["linear", "circular"]) {
  const attributes = { mode };
  checkOp(`${mode} from the start`, { ...spec, attributes, inputs: operands });
  checkOp(`${mode} from places inside`, { ...spec, attributes, inputs: [...operands, starts(4, 1)] });
  checkOp(`${mode}, another axis`, {
    ...spec,
    attributes: { mode, axis: 1 },
    inputs: [{ shape: [2, 5, 3] }, { shape: [2, 2, 3] }, starts(0, 3)],
  });
  checkOp(`${mode}, all that fits`, {
    ...spec,
    attributes,
    inputs: [{ shape: [2, 3, 4] }, { shape: [2, 3, 4] }],
  });
  checkOp(`${mode}, nothing`, { ...spec, attributes, inputs: [{ shape: [2, 3, 4] }, { shape: [2, 0, 4] }] });
}
checkOp("around the end", { ...spec, attributes: { mode: "circular" }, inputs: [...operands, starts(5, 1)] });
checkOp("whole numbers", {
  ...spec,
  inputs: [
    { shape: [1, 4, 1], dtype: "int64", range: [0, 9] },
    { shape: [1, 2, 1], dtype: "int64", range: [0, 9] },
  ],
});

test("what does not fit is refused", () => {
  const run = (attributes: Readonly<Record<string, string | number>>, ...values: readonly number[]) =>
    evaluateCase(buildCase({ ...spec, attributes, inputs: [...operands, starts(...values)] }, "static"));
  expect(() => run({}, 5, 0)).toThrow(/E_BAD_OPERAND[\s\S]*from 0 to 4[\s\S]*5/);
  expect(() => run({ mode: "circular" }, -1, 0)).toThrow(/E_BAD_OPERAND[\s\S]*-1/);
  expect(() => run({ axis: 0 }, 0, 0)).toThrow(/E_BAD_ATTRIBUTE[\s\S]*that of the batch/);
  expect(() => run({ mode: "random" }, 0, 0)).toThrow(/E_BAD_ATTRIBUTE[\s\S]*linear, circular/);
});
