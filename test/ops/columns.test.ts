/** Col2Im. */
import { expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { gradientAt } from "../harness/gradient.ts";
import type { OperandSpec } from "../harness/op-case.ts";

type Attributes = Readonly<Record<string, readonly number[]>>;

const namings = ["static", "shared", "separate"] as const;
const known = (values: readonly number[]): OperandSpec => ({
  shape: [values.length],
  dtype: "int64",
  values,
  constant: true,
});
const late = (values: readonly number[]): OperandSpec => ({
  shape: [values.length],
  dtype: "int64",
  values,
  host: true,
});

const rows: readonly (readonly [
  string,
  readonly number[],
  readonly number[],
  readonly number[],
  Attributes,
])[] = [
  ["next to each other", [2, 8, 6], [4, 6], [2, 2], { strides: [2, 2] }],
  ["overlapping", [1, 12, 9], [5, 4], [3, 2], {}],
  ["dilations", [1, 8, 9], [5, 6], [2, 2], { dilations: [2, 3] }],
  ["padding", [1, 9, 20], [4, 5], [3, 3], { pads: [1, 1, 1, 1] }],
  ["padding that differs", [1, 4, 15], [4, 3], [2, 2], { pads: [0, 1, 2, 0] }],
  ["strides that leave a rest", [1, 4, 4], [5, 6], [2, 2], { strides: [3, 3] }],
  ["one dimension", [2, 6, 5], [7], [3], {}],
  ["three dimensions", [1, 16, 12], [3, 4, 3], [2, 2, 2], {}],
];
for (const [name, shape, image, block, attributes] of rows) {
  const spec = { op: "Col2Im", inputs: [{ shape }, known(image), known(block)], attributes };
  checkOp(name, spec, { namings });
  const atRunTime = { op: "Col2Im", inputs: [{ shape }, late(image), known(block)], attributes };
  checkOp(`${name}, image known at run time`, atRunTime, { namings });
}
checkOp(
  "gradients of gradients",
  { op: "Col2Im", inputs: [{ shape: [1, 8, 6] }, known([4, 3]), known([2, 2])] },
  { twice: true },
);

test("elements that no window reached give nothing", () => {
  const spec = {
    op: "Col2Im",
    inputs: [{ shape: [1, 4, 1] }, known([3, 3]), known([2, 2])],
    attributes: { strides: [2, 2] },
  };
  expect(gradientAt(spec)[0]).toEqual([1, 1, 1, 1]);
});

checkOp(
  "a block known at run time",
  {
    op: "Col2Im",
    inputs: [{ shape: [1, 8, 9] }, late([4, 5]), late([2, 2])],
    attributes: { dilations: [1, 2] },
  },
  { namings },
);
