/** Damaged files: whatever happens to the bytes, reading gives a valid model or a diagnostic, and nothing else. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { verifyModel } from "../../src/ir/verify.ts";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import { errorCode } from "./error-code.ts";
import { fixture } from "./fixture-files.ts";
import { inTensor } from "./small-models.ts";

const structure = Uint8Array.from(readFileSync(fixture("structure.onnx")));
const weights = inTensor({ dims: [400], data_type: 1, float_data: Array(400).fill(0.5) });
const everything = Uint8Array.from(readFileSync(fixture("every-field.onnx")));

/** Reads bytes, checks the model if there is one, and gives the code of the diagnostic if not. */
function attempt(bytes: Uint8Array): string {
  return errorCode(() => {
    const model = readModel(bytes);
    verifyModel(model);
    encodeModel(model);
  });
}

test.each([
  ["structure", structure],
  ["weights", weights],
])("%s: cut off anywhere, it is refused or its end was not needed", (_, bytes) => {
  const codes = new Map<string, number>();
  for (let length = 0; length < bytes.length; length++) {
    const code = attempt(bytes.subarray(0, length));
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  // Only between the fields of the model itself can a cut go unnoticed.
  expect(codes.get("none") ?? 0).toBeLessThan(15);
  expect([...codes.values()].reduce((sum, count) => sum + count, 0)).toBe(bytes.length);
});

test.each([
  ["structure", structure],
  ["weights", weights],
  ["everything", everything],
])("%s: bytes overwritten at random", (_, bytes) => {
  const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
  const codes = new Set<string>();
  fc.assert(
    fc.property(damage, (changes) => {
      const copy = Uint8Array.from(bytes);
      for (const [at, value] of changes) copy[at] = value;
      codes.add(attempt(copy));
    }),
    { numRuns: 1500, seed: 1 },
  );
  expect(codes.size).toBeGreaterThan(2);
});

test("parts moved, doubled and left out", () => {
  const part = fc.tuple(fc.nat(structure.length - 1), fc.nat(200));
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
      const pieces = parts.map(([at, length]) => structure.subarray(at, at + length));
      attempt(Uint8Array.from(Buffer.concat([structure.subarray(0, 60), ...pieces])));
    }),
    { numRuns: 1500, seed: 2 },
  );
});
