/** DeformConv. */
import { expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";
import type { OperandSpec } from "../harness/op-case.ts";

type Attributes = Readonly<Record<string, number | readonly number[]>>;

interface Row {
  readonly name: string;
  readonly x?: readonly number[];
  readonly w?: readonly number[];
  readonly out: readonly number[];
  readonly attributes?: Attributes;
}

const rows: readonly Row[] = [
  { name: "plain", out: [3, 4] },
  { name: "padding", out: [5, 5], attributes: { pads: [1, 0, 1, 1] } },
  { name: "strides", out: [2, 2], attributes: { strides: [2, 2] } },
  { name: "dilations", out: [1, 3], attributes: { dilations: [2, 2] } },
  { name: "groups", w: [2, 2, 3, 2], out: [3, 4], attributes: { group: 2 } },
  { name: "offset groups", out: [3, 4], attributes: { offset_group: 2 } },
  { name: "both", w: [4, 2, 3, 2], out: [3, 4], attributes: { group: 2, offset_group: 4 } },
];
for (const { name, x = [2, 4, 5, 5], w = [3, 4, 3, 2], out, attributes = {} } of rows) {
  const parts = typeof attributes.offset_group === "number" ? attributes.offset_group : 1;
  const offset: OperandSpec = { shape: [2, parts * 12, ...out], range: [-1.7, 1.7] };
  const mask: OperandSpec = { shape: [2, parts * 6, ...out], range: [0, 1] };
  const bias: OperandSpec = { shape: [w[0] ?? 1] };
  for (const rest of [[], [bias], [bias, mask], [null, mask]]) {
    const inputs = [{ shape: x }, { shape: w }, offset, ...rest];
    const spec = { op: "DeformConv", inputs, attributes };
    checkOp(`${name}, ${inputs.length} operands`, spec, { namings: ["static"] });
    // Sizes of images may be known at run time only, those of weights may not.
    const known = inputs.map((operand, at) => (at === 1 ? { shape: w, constant: true } : operand));
    checkOp(
      `${name}, ${inputs.length} operands`,
      { ...spec, inputs: known },
      { namings: ["shared", "separate"] },
    );
  }
}
checkOp(
  "opset 22",
  {
    op: "DeformConv",
    opset: 22,
    inputs: [{ shape: [1, 1, 3, 3] }, { shape: [1, 1, 2, 2] }, { shape: [1, 8, 2, 2], range: [-1, 1] }],
  },
  { namings: ["static"] },
);
checkOp(
  "one axis",
  {
    op: "DeformConv",
    inputs: [{ shape: [1, 2, 6] }, { shape: [3, 2, 3] }, { shape: [1, 3, 4], range: [-1.5, 1.5] }],
  },
  { namings: ["static"], noRuntime: "the CPU has two axes only" },
);

test("weights of sizes known at run time only are refused", () => {
  const spec = {
    op: "DeformConv",
    inputs: [{ shape: [2, 4, 5, 5] }, { shape: [3, 4, 3, 2] }, { shape: [2, 12, 3, 4] }],
  };
  expect(() => buildBackward(spec, "separate")).toThrow(/the sizes of its weights/);
});
