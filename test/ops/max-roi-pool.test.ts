/** MaxRoiPool. */
import { expect, test } from "vitest";
import { floatAttribute } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildCase, type OperandSpec } from "../harness/op-case.ts";

const namings = ["static", "shared", "separate"] as const;
const x = { shape: [2, 3, 7, 6] };
const regions: Readonly<Record<string, readonly number[]>> = {
  inside: [1, 0, 1, 4, 5, 0, 2, 2, 5, 3, 1, 1, 0, 3, 6],
  beyond: [0, -3, -2, 4, 9, 1, 4, 5, 12, 11, 0, -9, -8, -5, -5],
  "turned around": [0, 4, 5, 0, 1, 1, 2, 2, 2, 2, 1, 3, 3, 1, 1],
};
for (const [place, values] of Object.entries(regions)) {
  const rois: OperandSpec = { shape: [3, 5], values, host: true };
  for (const pooled_shape of [
    [2, 2],
    [3, 1],
    [7, 7],
  ]) {
    for (const scale of [1, 0.6]) {
      const spec = {
        op: "MaxRoiPool",
        inputs: [x, rois],
        attributes: { pooled_shape, spatial_scale: floatAttribute(scale) },
      };
      // Clear of ties, which the search for differences would meet.
      checkOp(`${place}, to [${pooled_shape}], scale ${scale}`, spec, { namings });
    }
  }
}

test("a pool without a shape is refused", () => {
  const rois: OperandSpec = { shape: [3, 5], values: regions.inside ?? [] };
  expect(() => buildCase({ op: "MaxRoiPool", inputs: [x, rois] }, "static")).toThrow(/"pooled_shape"/);
});
