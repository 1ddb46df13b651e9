/** Smooth activations. */
import { describe, expect, test } from "vitest";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { gradientAt } from "../harness/gradient.ts";

for (const op of ["Sigmoid", "Softplus", "Gelu", "Mish"]) {
  checkOp("a matrix", { op, inputs: [{ shape: [3, 5], range: [-4, 4] }] });
  checkOp("a scalar", { op, inputs: [{ shape: [], values: [0.3] }] });
}
checkOp("a matrix", { op: "Softsign", inputs: [{ shape: [3, 5], kinks: [0] }] });
checkOp("tanh approximation", {
  op: "Gelu",
  attributes: { approximate: "tanh" },
  inputs: [{ shape: [3, 5], range: [-4, 4] }],
});
checkOp("default", { op: "Swish", opset: 24, inputs: [{ shape: [3, 5], range: [-4, 4] }] });
checkOp("alpha", {
  op: "Swish",
  opset: 24,
  attributes: { alpha: float(1.7) },
  inputs: [{ shape: [3, 5], range: [-4, 4] }],
});

describe("far from zero", () => {
  test("Softplus neither overflows nor loses its slope", () => {
    expect(gradientAt({ op: "Softplus", inputs: [{ shape: [2], values: [-200, 200] }] })[0]?.[1]).toBe(1);
  });
  test.each(["none", "tanh"])("Gelu (%s) in float16 has slopes 0 and 1", (approximate) => {
    const inputs = [{ shape: [2], dtype: "float16" as const, values: [-3000, 3000] }];
    expect(gradientAt({ op: "Gelu", attributes: { approximate }, inputs })).toEqual([[0, 1]]);
  });
  test("Softsign has slope 1 at 0", () => {
    expect(gradientAt({ op: "Softsign", inputs: [{ shape: [], values: [0] }] })).toEqual([[1]]);
  });
});
