/** BitCast between types of equal size. */
import { expect, test } from "vitest";
import { dtypeCode } from "../../src/ir/dtype.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";
import { buildCase, evaluateCase } from "../harness/op-case.ts";

const spec = { op: "BitCast", opset: 26 };
for (const [from, to] of [
  ["float32", "int32"],
  ["int32", "float32"],
  ["float64", "int64"],
  ["uint64", "int64"],
  ["int16", "float16"],
  ["int8", "uint8"],
] as const) {
  checkOp(
    `${from} as ${to}`,
    { ...spec, attributes: { to: dtypeCode(to) }, inputs: [{ shape: [2, 3], dtype: from, range: [0, 3] }] },
    { noGradient: "bits have none" },
  );
}

test("bits of a number", () => {
  const inputs = [{ shape: [2], values: [1, -2] }];
  const [y] = evaluateCase(buildCase({ ...spec, attributes: { to: dtypeCode("uint32") }, inputs }, "static"));
  expect(y?.toNumbers()).toEqual([0x3f800000, 0xc0000000]);
});

test("a type of another size is refused, and a gradient", () => {
  const cast = (to: "int64" | "bfloat16") => ({
    ...spec,
    attributes: { to: dtypeCode(to) },
    inputs: [{ shape: [2], dtype: "float16" as const }],
  });
  expect(() => buildCase(cast("int64"), "static")).toThrow(/E_BAD_ATTRIBUTE[\s\S]*16 bits/);
  expect(() => buildBackward(cast("bfloat16"), "static")).toThrow(/E_NO_GRADIENT[\s\S]*BitCast/);
});
