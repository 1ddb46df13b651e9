/** RoiAlign. */
import { describe, expect, test } from "vitest";
import { floatAttribute } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { difference } from "../harness/compare.ts";
import { buildBackward } from "../harness/gradient.ts";
import { buildCase, evaluateCase, type OperandSpec } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";
import { upgradedCase } from "../harness/upgrade.ts";

const namings = ["static", "shared", "separate"] as const;
const x = { shape: [2, 3, 6, 5] };
const regions: Readonly<Record<string, readonly number[]>> = {
  inside: [0.3, 0.7, 3.2, 4.4, 1.1, 0.2, 2.4, 4.9, 2.3, 1.4, 3.9, 2.2],
  beyond: [-2.7, -1.4, 3.3, 4.6, 2.2, 3.1, 8.4, 9.3, -9.2, -8.1, -4.4, -5.3],
  "turned around": [3.2, 4.4, 0.3, 0.7, 1.1, 0.2, 2.4, 4.9, 2.3, 1.4, 2.4, 1.6],
};
const images: OperandSpec = { shape: [3], dtype: "int64", values: [1, 0, 1], constant: true };

for (const coordinate_transformation_mode of ["half_pixel", "output_half_pixel"]) {
  for (const mode of ["avg", "max"]) {
    for (const sampling_ratio of [0, 1, 2]) {
      for (const [place, values] of Object.entries(regions)) {
        const rois: OperandSpec = { shape: [3, 4], values, host: true };
        const attributes = {
          coordinate_transformation_mode,
          mode,
          sampling_ratio,
          output_height: 2,
          output_width: 3,
          spatial_scale: floatAttribute(1.2),
        };
        const spec = { op: "RoiAlign", inputs: [x, rois, images], attributes };
        checkOp(`${coordinate_transformation_mode}, ${mode}, sampling ${sampling_ratio}, ${place}`, spec, {
          namings,
        });
      }
    }
  }
}
const rois: OperandSpec = { shape: [3, 4], values: regions.inside ?? [], host: true };
checkOp("one bin", { op: "RoiAlign", inputs: [x, rois, images] });
checkOp("gradients of gradients", { op: "RoiAlign", inputs: [x, rois, images] }, { twice: true });
checkOp("in float64", {
  op: "RoiAlign",
  inputs: [{ ...x, dtype: "float64" }, { ...rois, dtype: "float64" }, images],
  attributes: { output_height: 2, output_width: 2 },
});

test("regions are constants, as in torchvision", () => {
  const { gradients } = buildBackward(
    { op: "RoiAlign", inputs: [x, { shape: [3, 4], values: regions.inside ?? [] }, images] },
    "static",
  );
  expect(gradients.map((gradient) => gradient !== undefined)).toEqual([true, false]);
});

describe("older versions", () => {
  test.each([10, 16])("opset %i means the same after the upgrade", async (opset) => {
    const attributes = { output_height: 2, output_width: 2, sampling_ratio: 2 };
    const spec = { op: "RoiAlign", opset, inputs: [x, rois, images], attributes };
    const old = buildCase(spec, "static");
    const [wanted] = await runModel(old.model, old.feeds);
    const [got] = evaluateCase(upgradedCase(spec));
    if (wanted === undefined || got === undefined) throw new Error("no result");
    expect(difference(got, wanted, runtimeTolerance("float32"))).toBeUndefined();
  });
});

test.each([{ mode: "sum" }, { coordinate_transformation_mode: "asymmetric" }])(
  "%o is refused",
  (attributes) => {
    expect(() => buildCase({ op: "RoiAlign", inputs: [x, rois, images], attributes }, "static")).toThrow(
      /does not fit/,
    );
  },
);
