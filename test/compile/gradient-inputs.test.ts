/** By which inputs `gradient` differentiates a model that names none. */
import { expect, test } from "vitest";
import { makeGradient } from "../../src/compile/gradient.ts";
import { parseModel } from "../../src/text/parse.ts";

const resized = (): ReturnType<typeof parseModel> =>
  parseModel(`<ir_version: 10, opset_import: ["" : 20]>
  f (float[1, 2, h, w] x, float[4] scales) => (float[1, 2, a, b] y) {
    y = Resize <mode = "linear"> (x, , scales)
  }`);

test("inputs that say places are left out", () => {
  expect(Object.keys(makeGradient(resized()).gradients)).toEqual(["x"]);
});

test("inputs that say places are refused where they are asked for", () => {
  expect(() => makeGradient(resized(), { wrt: ["scales"] })).toThrow(/"scales" says sizes or places/);
});

test("inputs that are also read as something else are kept", () => {
  const model = parseModel(`<ir_version: 10, opset_import: ["" : 20]>
  f (float[1, 2, h, w] x, float[4] scales) => (float[1, 2, a, b] y, float[4] z) {
    y = Resize <mode = "linear"> (x, , scales)
    z = Exp (scales)
  }`);
  const { gradients } = makeGradient(model, { of: ["z"] });
  expect(Object.keys(gradients)).toEqual(["x", "scales"]);
});
