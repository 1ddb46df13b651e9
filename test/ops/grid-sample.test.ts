/** GridSample. */
import { describe, expect, test } from "vitest";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { checkOp } from "../harness/check-op.ts";
import { difference } from "../harness/compare.ts";
import { gradientAt } from "../harness/gradient.ts";
import { buildCase, evaluateCase, type OpCase, type OperandSpec } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";
import { upgradedCase } from "../harness/upgrade.ts";

const namings = ["static", "shared", "separate"] as const;
// Inside, near the ends, and far beyond them.
const ranges = { inside: [-0.95, 0.95], around: [-1.6, 1.6], beyond: [-9, 9] } as const;

for (const mode of ["linear", "nearest", "cubic"]) {
  for (const padding_mode of ["zeros", "border", "reflection"]) {
    for (const align_corners of [0, 1]) {
      for (const [place, range] of Object.entries(ranges)) {
        const attributes = { mode, padding_mode, align_corners };
        const name = `${mode}, ${padding_mode}, align_corners ${align_corners}, ${place}`;
        const images = { shape: [2, 3, 4, 5] };
        const grid: OperandSpec = { shape: [2, 3, 2, 2], range };
        checkOp(name, { op: "GridSample", inputs: [images, grid], attributes }, { namings });
        if (mode === "cubic") continue;
        const volume = { shape: [2, 2, 3, 4, 2] };
        const places: OperandSpec = { shape: [2, 2, 3, 2, 3], range };
        checkOp(`${name}, volumes`, { op: "GridSample", inputs: [volume, places], attributes });
      }
    }
  }
}
for (const mode of ["bilinear", "nearest", "bicubic"]) {
  checkOp(`com.microsoft, ${mode}`, {
    op: "GridSample",
    domain: "com.microsoft",
    inputs: [{ shape: [1, 2, 4, 5] }, { shape: [1, 3, 2, 2], range: [-1.2, 1.2] }],
    attributes: { mode, padding_mode: "border", align_corners: 1 },
  });
}
checkOp("in float64", {
  op: "GridSample",
  inputs: [
    { shape: [1, 2, 4, 5], dtype: "float64" },
    { shape: [1, 3, 2, 2], dtype: "float64", range: [-1.2, 1.2] },
  ],
});
checkOp(
  "gradients of gradients",
  {
    op: "GridSample",
    inputs: [{ shape: [1, 2, 3, 3] }, { shape: [1, 2, 2, 2], range: [-1.2, 1.2] }],
    attributes: { mode: "cubic" },
  },
  { twice: true },
);
checkOp("one column", {
  op: "GridSample",
  inputs: [{ shape: [1, 2, 4, 1] }, { shape: [1, 3, 2, 2], range: [-1.2, 1.2] }],
  attributes: { padding_mode: "border", align_corners: 1 },
});
checkOp(
  "no places",
  { op: "GridSample", inputs: [{ shape: [1, 2, 4, 3] }, { shape: [1, 0, 2, 2] }] },
  { namings: ["static"] },
);

describe("at the ends the derivative is that of PyTorch", () => {
  // From torch.nn.functional.grid_sample on [0, 1, 4, 9], with gradients of ones: x = -1, -0.2, 1.
  test.each([
    ["border", [0, 4.5, 0]],
    ["reflection", [0, 4.5, 0]],
    ["zeros", [1.5, 4.5, -13.5]],
  ])("%s", (padding_mode, wanted) => {
    const [, grid] = gradientAt({
      op: "GridSample",
      inputs: [
        { shape: [1, 1, 1, 4], values: [0, 1, 4, 9] },
        { shape: [1, 1, 3, 2], values: [-1, 0, -0.2, 0, 1, 0] },
      ],
      attributes: { padding_mode, align_corners: 1 },
    });
    const along = grid?.filter((_, i) => i % 2 === 0);
    along?.forEach((value, i) => {
      expect(value).toBeCloseTo(wanted[i] ?? Number.NaN, 4);
    });
  });
});

describe("older versions", () => {
  const inputs: OperandSpec[] = [{ shape: [1, 2, 4, 5] }, { shape: [1, 3, 2, 2], range: [-1.2, 1.2] }];
  test.each([undefined, "bilinear", "nearest", "bicubic"])("mode %s of opset 16", async (mode) => {
    const spec: OpCase = {
      op: "GridSample",
      opset: 16,
      inputs,
      attributes: mode === undefined ? {} : { mode },
    };
    const old = buildCase(spec, "static");
    const [wanted] = await runModel(old.model, old.feeds);
    const [got] = evaluateCase(upgradedCase(spec));
    if (wanted === undefined || got === undefined) throw new Error("no result");
    expect(difference(got, wanted, runtimeTolerance("float32"))).toBeUndefined();
  });
});

describe("what does not fit is refused", () => {
  const x: OperandSpec = { shape: [1, 2, 4, 5] };
  const cases: readonly (readonly [string, OpCase])[] = [
    ["E_BAD_OPERAND", { op: "GridSample", inputs: [x, { shape: [1, 3, 2] }] }],
    ["E_BAD_OPERAND", { op: "GridSample", inputs: [x, { shape: [1, 3, 2, 3] }] }],
    [
      "E_BAD_ATTRIBUTE",
      { op: "GridSample", inputs: [x, { shape: [1, 3, 2, 2] }], attributes: { mode: "area" } },
    ],
    [
      "E_BAD_ATTRIBUTE",
      { op: "GridSample", inputs: [x, { shape: [1, 3, 2, 2] }], attributes: { padding_mode: "wrap" } },
    ],
  ];
  test.each(cases)("%s", (code, spec) => {
    let caught: unknown;
    try {
      buildCase(spec, "static");
    } catch (error) {
      caught = error;
    }
    expect(caught instanceof DiagnosticError ? caught.diagnostics[0]?.code : caught).toBe(code);
  });
});
