/** Pools of p-norms. */
import { expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { gradientAt } from "../harness/gradient.ts";
import { buildCase } from "../harness/op-case.ts";

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;

const namings = ["static", "shared", "separate"] as const;
const rows: readonly (readonly [string, readonly number[], Attributes])[] = [
  ["neighbours", [2, 3, 4, 6], { kernel_shape: [2, 2], strides: [2, 2] }],
  ["overlapping", [1, 2, 5, 6], { kernel_shape: [3, 2] }],
  ["padding", [1, 2, 5, 6], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] }],
  ["padding that differs", [1, 2, 5, 7], { kernel_shape: [3, 3], pads: [0, 1, 2, 0], strides: [2, 1] }],
  ["a rest", [1, 2, 8, 7], { kernel_shape: [2, 2], strides: [3, 2] }],
  ["rounding up", [1, 2, 5, 6], { kernel_shape: [2, 3], strides: [2, 2], ceil_mode: 1 }],
  ["dilations", [1, 2, 6, 7], { kernel_shape: [2, 3], dilations: [2, 2] }],
  ["same, upper", [1, 2, 5, 6], { kernel_shape: [3, 2], auto_pad: "SAME_UPPER", strides: [2, 2] }],
  ["same, lower", [1, 2, 5, 6], { kernel_shape: [2, 3], auto_pad: "SAME_LOWER" }],
  ["valid", [1, 2, 5, 6], { kernel_shape: [2, 3], auto_pad: "VALID" }],
  ["one dimension", [2, 3, 7], { kernel_shape: [3], strides: [2] }],
  ["three dimensions", [1, 2, 4, 3, 4], { kernel_shape: [2, 2, 3], strides: [2, 1, 1] }],
];
for (const [name, shape, attributes] of rows) {
  for (const p of [1, 2, 3]) {
    const spec = { op: "LpPool", inputs: [{ shape, kinks: [0] }], attributes: { ...attributes, p } };
    checkOp(`${name}, p ${p}`, spec, { namings });
  }
}
for (const opset of [7, 11, 18, 22]) {
  const spec = {
    op: "LpPool",
    opset,
    inputs: [{ shape: [1, 2, 5, 6] }],
    attributes: { kernel_shape: [2, 2] },
  };
  checkOp(`opset ${opset}`, spec, opset < 20 ? { noGradient: "older models are upgraded first" } : {});
}
for (const shape of [
  [2, 3, 4, 5],
  [2, 3, 4],
  [2, 3, 2, 2, 2],
]) {
  for (const p of [1, 2, 3]) {
    const spec = { op: "GlobalLpPool", inputs: [{ shape, kinks: [0] }], attributes: { p } };
    checkOp(`[${shape}], p ${p}`, spec, { namings });
  }
}

test("the derivative of a norm that is 0 is 0", () => {
  const x = { shape: [1, 1, 4], values: [0, 0, 3, 4] };
  const spec = { op: "LpPool", inputs: [x], attributes: { kernel_shape: [2], strides: [2] } };
  expect(gradientAt(spec)[0]).toEqual([0, 0, Math.fround(0.6), Math.fround(0.8)]);
});

test("a power below 1 is refused", () => {
  const attributes = { kernel_shape: [2], p: 0 };
  expect(() => buildCase({ op: "LpPool", inputs: [{ shape: [1, 1, 4] }], attributes }, "static")).toThrow(
    /"p"/,
  );
});
