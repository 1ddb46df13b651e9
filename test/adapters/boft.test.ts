/** BOFT with several butterfly factors, which the oracle set has not: PEFT's numbers, its CUDA extension replaced by block_diag. */
import { describe, expect, it } from "vitest";
import { type OneLayer, runOneLayer } from "./one-layer.ts";

const layer: OneLayer = {
  inputs: 16,
  outputs: 2,
  weight: Array.from({ length: 32 }, (_, i) => i / 10),
  bias: [1, -1],
  method: "boft",
  options: {},
  fill: (key, i) => (key === "boft_R" ? Math.sin(i) : i === 0 ? 2 : 0.5),
};
const row = Array.from({ length: 16 }, (_, i) => Math.cos(i));

function expectAll(actual: readonly number[] | undefined, expected: readonly number[], digits: number): void {
  expect(actual?.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(actual?.[i]).toBeCloseTo(value, digits);
  });
}

describe("boft", () => {
  it("multiplies three factors of blocks of 2", () => {
    const options = { boft_block_size: 2, boft_n_butterfly_factor: 3 };
    const { y, merged } = runOneLayer({ ...layer, options }, row);
    expectAll(y, [7.125643, 4.120765], 5);
    expectAll(
      merged.get("weight"),
      [
        0.78792, 1.15302, 0.24695, -0.23046, -1.16027, 0.62889, 1.26684, 0.43473, 3.916, -1.57599, -1.35462,
        4.60482, 1.39944, -0.33519, -0.31965, 0.98432, 0.97067, 1.5259, 1.15717, -0.57494, -0.66813, 0.48262,
        1.44432, 0.0669, 2.39531, -0.87375, -0.9424, 2.70565, 0.56345, -0.2821, -0.20981, 0.28158,
      ],
      4,
    );
  });

  it("multiplies two factors of blocks of 4", () => {
    const options = { boft_block_size: 4, boft_n_butterfly_factor: 2 };
    const { y, merged } = runOneLayer({ ...layer, options }, row);
    expectAll(y, [6.708995, 1.607641], 5);
    expectAll(
      merged.get("weight"),
      [
        -0.28786, -1.25862, -1.45344, -1.09849, -0.06367, -0.73659, -0.24924, 0.07138, -0.33861, -1.13595,
        -4.37604, -2.00755, 1.14261, 0.95503, 3.47764, 2.25906, -1.00606, -1.84323, -1.37621, -0.95479,
        0.56219, -0.30629, -0.04421, 0.28797, -0.29416, -0.74953, -2.34507, -1.01743, 0.86726, 0.74727,
        2.21313, 1.35597,
      ],
      4,
    );
  });

  it("refuses what does not fit", () => {
    const run = (options: OneLayer["options"]): unknown => runOneLayer({ ...layer, options }, row);
    expect(() => run({ boft_block_size: 4, boft_block_num: 4 })).toThrow("just one of");
    expect(() => run({ boft_block_size: 0 })).toThrow("just one of");
  });
});
