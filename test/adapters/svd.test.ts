/** Singular values against what they are of: products give the matrix back, and vectors are orthonormal. */
import { describe, expect, it } from "vitest";
import { singularParts } from "../../passes/adapters/parts/svd.ts";
import { Random } from "../../src/data/random.ts";

function randomMatrix(rows: number, columns: number): Float64Array {
  const random = new Random(7);
  return Float64Array.from({ length: rows * columns }, () => random.normal());
}

/** Largest distance between left diag(values) right and the matrix. */
function residual(matrix: Float64Array, rows: number, columns: number, count: number): number {
  const { left, values, right } = singularParts(matrix, rows, columns, count);
  return Math.max(
    ...matrix.map((element, at) => {
      const [row, column] = [Math.floor(at / columns), at % columns];
      const sum = values.reduce(
        (total, value, i) =>
          total + value * (left[row * count + i] ?? 0) * (right[i * columns + column] ?? 0),
        0,
      );
      return Math.abs(element - sum);
    }),
  );
}

describe("singularParts", () => {
  it.each([
    [6, 6],
    [9, 4],
    [4, 9],
    [1, 5],
    [5, 1],
  ])("takes a matrix of %i x %i apart", (rows, columns) => {
    expect(residual(randomMatrix(rows, columns), rows, columns, Math.min(rows, columns))).toBeLessThan(1e-12);
  });

  it("takes matrices apart whose rank is not full", () => {
    const matrix = Float64Array.from({ length: 12 }, (_, i) => (Math.floor(i / 3) + 1) * ((i % 3) + 1));
    expect(residual(matrix, 4, 3, 3)).toBeLessThan(1e-12);
    expect(residual(new Float64Array(12), 4, 3, 3)).toBe(0);
  });

  it.each([
    [70, 90],
    [90, 70],
  ])("finds the same few by iteration as by rotations, %i x %i", (rows, columns) => {
    const matrix = randomMatrix(rows, columns);
    const few = singularParts(matrix, rows, columns, 3);
    const all = singularParts(matrix, rows, columns, Math.min(rows, columns));
    few.values.forEach((value, i) => {
      expect(value).toBeCloseTo(all.values[i] ?? 0, 10);
    });
    const count = all.values.length;
    for (let i = 0; i < 3; i++) {
      for (let k = 0; k < columns; k++)
        expect(few.right[i * columns + k]).toBeCloseTo(all.right[i * columns + k] ?? 0, 5);
      for (let row = 0; row < rows; row++)
        expect(few.left[row * 3 + i]).toBeCloseTo(all.left[row * count + i] ?? 0, 5);
    }
  });

  it("gives falling values, and left vectors whose largest element is positive", () => {
    const { left, values } = singularParts(randomMatrix(8, 5), 8, 5, 5);
    expect([...values].sort((a, b) => b - a)).toEqual([...values]);
    for (let i = 0; i < 5; i++) {
      const column = Array.from({ length: 8 }, (_, row) => left[row * 5 + i] ?? 0);
      expect(Math.max(...column)).toBe(Math.max(...column.map(Math.abs)));
    }
  });
});
