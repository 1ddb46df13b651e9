/** Groups of rows, directions and draws against scikit-learn 1.9, torch 2 and NumPy 2, which gave the numbers below. */
import { describe, expect, it } from "vitest";
import { clusterRows } from "../../passes/adapters/parts/clusters.ts";
import { lowRankParts } from "../../passes/adapters/parts/subspaces.ts";
import { legacyChoice } from "../../src/adapt/numpy-random.ts";

const seed = 123_456_789;

/** Numbers without a pattern that every language makes alike. */
function points(rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_, i) =>
    Math.fround(Math.sin(1.7 * i * i + 0.3 * i)),
  );
}

describe("rows", () => {
  it.each([
    [12, 2, 3, 10, [0, 1, 2, 1, 0, 0, 0, 2, 1, 2, 0, 0]],
    [20, 3, 4, 10, [1, 0, 3, 1, 2, 0, 0, 1, 1, 0, 0, 1, 1, 3, 1, 3, 0, 1, 1, 0]],
    [20, 3, 4, 1, [1, 0, 3, 1, 2, 0, 3, 1, 0, 0, 0, 1, 1, 3, 1, 3, 0, 1, 0, 0]],
  ])(
    "%i of %i columns are grouped as by KMeans: %i groups, %i rounds",
    (rows, columns, count, rounds, wanted) => {
      expect([...clusterRows(points(rows, columns), columns, { count, rounds, seed })]).toEqual(wanted);
    },
  );

  it("fill groups that were left empty, unless all rows are where a centre is", () => {
    const few = Float64Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 5, 9, 1]);
    expect([...clusterRows(few, 2, { count: 3, rounds: 10, seed })]).toEqual([0, 0, 0, 0, 0, 1, 2]);
    const own = points(3, 2);
    const repeated = Float64Array.from({ length: 24 }, (_, i) => own[Math.floor(i / 8) * 2 + (i % 2)] ?? 0);
    expect([...clusterRows(repeated, 2, { count: 5, rounds: 10, seed })]).toEqual([
      2, 2, 2, 2, 0, 0, 0, 0, 1, 1, 1, 1,
    ]);
  });

  it("are chosen as by RandomState", () => {
    expect(legacyChoice(seed, 30, 12)).toEqual([15, 16, 21, 7, 22, 26, 4, 20, 19, 25, 2, 0]);
    expect(legacyChoice(seed, 5, 3)).toEqual([2, 3, 1]);
  });
});

describe("directions are those of svd_lowrank", () => {
  it.each([
    [
      9,
      6,
      [0.28834, 0.3651, 0.02716, 0.19621, 0.42034, 0.45855, 0.50575, 0.47189, 0.26667],
      [0.32927, 0.75526, 0.51849, 0.76888, 0.36507, 0.26304],
    ],
    [
      6,
      9,
      [0.13153, 0.90213, 0.29379, 0.20279, 0.91516, 0.5546],
      [0.26016, 0.28723, 0.57761, 0.39124, 0.28968, 0.58596, 0.389, 0.16488, 0.05424],
    ],
  ])("for %i x %i", (rows, columns, ofLeft, ofRight) => {
    const { left, right } = lowRankParts(Float32Array.from(points(rows, columns)), [rows, columns], 3, 3);
    const squares = (at: (i: number) => number): number => [0, 1, 2].reduce((sum, i) => sum + at(i) ** 2, 0);
    ofLeft.forEach((wanted, row) => {
      expect(squares((i) => left[row * 3 + i] ?? 0)).toBeCloseTo(wanted, 4);
    });
    ofRight.forEach((wanted, column) => {
      expect(squares((i) => right[i * columns + column] ?? 0)).toBeCloseTo(wanted, 4);
    });
  });
});
