/** PyTorch 2's own draws on the CPU. */
import { describe, expect, it } from "vitest";
import {
  drawNormal,
  drawUniform,
  drawUniformBfloat16,
  randomPermutation,
  TorchGenerator,
} from "../../src/adapt/torch-random.ts";

function expectAll(actual: ArrayLike<number>, expected: readonly number[], digits: number): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(actual[i]).toBeCloseTo(value, digits);
  });
}

describe("TorchGenerator", () => {
  it("permutes as torch.randperm", () => {
    const whole = [5, 9, 0, 3, 1, 7, 4, 8, 6, 2];
    expect(randomPermutation(new TorchGenerator(777), 10, 10)).toEqual(whole);
    expect(randomPermutation(new TorchGenerator(777), 10, 4)).toEqual(whole.slice(0, 4));
  });

  it("draws as torch.rand, bit for bit", () => {
    const generator = new TorchGenerator(0);
    expect([0, 1, 2].map(() => generator.uniform())).toEqual([
      0.49625658988952637, 0.7682217955589294, 0.08847743272781372,
    ]);
  });

  it("draws as uniform_ between bounds, bit for bit", () => {
    expect([...drawUniform(new TorchGenerator(0), 3, 0.5)]).toEqual([
      -0.003743410110473633, 0.26822179555892944, -0.4115225672721863,
    ]);
  });

  it("draws as uniform_ of bfloat16, where the upper bound becomes the lower one", () => {
    const drawn = drawUniformBfloat16(new TorchGenerator(1), 175, 1 / Math.sqrt(5));
    expect([...drawn.slice(0, 3), drawn[174]]).toEqual([
      0.23046875, -0.197265625, -0.0869140625, -0.447265625,
    ]);
  });

  it("draws as torch.normal, of whole blocks of 16 and with a rest", () => {
    expectAll(
      drawNormal(new TorchGenerator(42), 16, 0.5),
      [
        0.963458, 0.743642, 0.450359, -1.05276, 0.339209, -0.617272, -0.021534, -0.802333, -0.376068,
        0.824362, -0.196239, -0.701804, -0.363941, -0.279715, -0.384419, 0.381223,
      ],
      5,
    );
    expectAll(
      drawNormal(new TorchGenerator(42), 21, 0.5),
      [
        0.963458, 0.743642, 0.450359, -1.05276, 0.339209, 0.539159, 0.4004, 0.84031, 0.17793, -0.343311,
        -0.246678, 0.120744, -0.555452, 0.02088, -0.125788, 0.429929, -0.154863, -0.197855, 0.401705,
        -0.310798, -0.296,
      ],
      5,
    );
  });
});
