/** ImageDecoder. */
import { expect, test } from "vitest";
import { lookupOp } from "../../src/ops/registry.ts";
import { buildCase } from "../harness/op-case.ts";

test.each([
  ["RGB", 3],
  ["BGR", 3],
  ["Grayscale", 1],
])("%s has %i channels", (pixel_format, channels) => {
  const spec = {
    op: "ImageDecoder",
    inputs: [{ shape: [9], dtype: "uint8" as const }],
    attributes: { pixel_format },
  };
  const type = buildCase(spec, "static").outputs[0]?.tensorType;
  expect(type?.dtype).toBe("uint8");
  expect(type?.shape?.length).toBe(3);
  expect(type?.shape?.[2]).toBe(channels);
});

test("is not evaluated, and says why", () => {
  expect(lookupOp("", "ImageDecoder")?.evaluationRefusal).toMatch(/not read/);
});

test("other formats are refused", () => {
  const spec = {
    op: "ImageDecoder",
    inputs: [{ shape: [9], dtype: "uint8" as const }],
    attributes: { pixel_format: "CMYK" },
  };
  expect(() => buildCase(spec, "static")).toThrow(/"pixel_format"/);
});
