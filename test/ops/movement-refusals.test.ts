/** Bad input of movement, product and gather operators: refused by code, with the node and what is wrong. */
import { describe, expect, test } from "vitest";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { buildBackward } from "../harness/gradient.ts";
import { buildCase, type Naming, type OpCase, type OperandSpec } from "../harness/op-case.ts";

const x: OperandSpec = { shape: [2, 3] };
const image: OperandSpec = { shape: [1, 2, 4, 4] };
const ints = (...values: readonly number[]): OperandSpec => ({
  shape: [values.length],
  dtype: "int64",
  values,
  constant: true,
});
const index: OperandSpec = { shape: [1, 1], dtype: "int64", values: [0] };

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    const [{ code, got, message }] = error.diagnostics;
    return `${code} ${message} ${got}`;
  }
  return "nothing";
}

const badAxes: readonly OpCase[] = [
  { op: "Concat", inputs: [x, x], attributes: { axis: 2 } },
  { op: "Split", inputs: [x], attributes: { axis: -3, num_outputs: 1 } },
  { op: "Gather", inputs: [x, index], attributes: { axis: 2 } },
  { op: "ScatterElements", inputs: [x, index, { shape: [1, 1] }], attributes: { axis: 2 } },
  { op: "TopK", inputs: [x, ints(1)], attributes: { axis: 2 }, outputs: 2 },
  { op: "Compress", inputs: [x, { shape: [1], dtype: "bool", values: [1] }], attributes: { axis: 2 } },
  { op: "Squeeze", inputs: [x, ints(2)] },
  { op: "Unsqueeze", inputs: [x, ints(3)] },
  { op: "Slice", inputs: [x, ints(0), ints(1), ints(2)] },
  { op: "Pad", inputs: [x, ints(0, 1), null, ints(-3)] },
  { op: "CenterCropPad", inputs: [x, ints(2)], attributes: { axes: [2] } },
  { op: "Transpose", inputs: [x], attributes: { perm: [0, 2] } },
  { op: "Flatten", inputs: [x], attributes: { axis: 3 } },
];
describe("an axis that the operand does not have", () => {
  test.each(badAxes)("$op", (spec) => {
    expect(codeOf(() => buildCase(spec, "static"))).toMatch(new RegExp(`^E_BAD_AXIS ${spec.op} .*of rank`));
  });
});

const badAttributes: readonly (readonly [OpCase, string])[] = [
  [{ op: "Pad", inputs: [x, ints(0, 1, 0, 0)], attributes: { mode: "mirror" } }, '"mirror"'],
  [{ op: "ScatterND", inputs: [x, index, { shape: [1, 3] }], attributes: { reduction: "mean" } }, '"mean"'],
  [
    { op: "DepthToSpace", inputs: [{ shape: [1, 4, 1, 1] }], attributes: { blocksize: 2, mode: "CDR" } },
    '"CDR"',
  ],
  [{ op: "MaxPool", inputs: [image] }, "nothing"],
  [{ op: "Conv", inputs: [image, image], attributes: { auto_pad: "SAME" } }, '"SAME"'],
  [{ op: "Einsum", inputs: [x], attributes: { equation: "ijk->i" } }, "rank 2"],
  [{ op: "If", inputs: [{ shape: [], dtype: "bool" }] }, "nothing"],
];
describe("an attribute that does not fit", () => {
  test.each(badAttributes)("$op", (spec, got) => {
    const said = codeOf(() => buildCase(spec, "static"));
    expect(said).toMatch(/^E_BAD_ATTRIBUTE /);
    expect(said).toContain(got);
  });
});

const unknownSizes: readonly (readonly [OpCase, Naming, string])[] = [
  [
    { op: "GatherND", inputs: [{ shape: [3, 2] }, { shape: [2, 2], dtype: "int64", values: [0, 1, 2, 0] }] },
    "shared",
    "",
  ],
  [
    {
      op: "Conv",
      inputs: [{ shape: [1, 4, 5, 5] }, { shape: [2, 4, 3, 3] }],
      attributes: { auto_pad: "SAME_UPPER" },
    },
    "shared",
    "",
  ],
  [
    {
      op: "ConvTranspose",
      inputs: [{ shape: [1, 2, 3, 3] }, { shape: [2, 2, 3, 3] }],
      attributes: { output_shape: [6, 6], strides: [2, 2] },
    },
    "shared",
    "padding",
  ],
];
describe("a size that only a run knows and the gradient needs", () => {
  test.each(unknownSizes)("$op", (spec, naming, what) => {
    const said = codeOf(() => buildBackward(spec, naming));
    expect(said).toMatch(/^E_UNKNOWN_(SIZE|TYPE) /);
    expect(said).toContain(what);
  });
});
