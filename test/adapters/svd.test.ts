/** Singular values against what they are of: products give the matrix back, and vectors are orthonormal. */
import { describe, expect, it } from "vitest";
import { allPairs } from "../../passes/adapters/parts/all-eigen.ts";
import { inverseOf, lowerFactor } from "../../passes/adapters/parts/cholesky.ts";
import { gramOfRows, product, timesTransposed, transposed } from "../../passes/adapters/parts/dense.ts";
import { ofWider } from "../../passes/adapters/parts/singular-parts.ts";
import { singularParts } from "../../passes/adapters/parts/svd.ts";
import { byRotations } from "../../passes/adapters/parts/svd-rotations.ts";
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
    [70, 90],
    [83, 71],
  ])("takes a matrix of %i x %i apart", (rows, columns) => {
    expect(residual(randomMatrix(rows, columns), rows, columns, Math.min(rows, columns))).toBeLessThan(1e-12);
  });

  it("takes matrices apart whose rank is not full", () => {
    const matrix = Float64Array.from({ length: 12 }, (_, i) => (Math.floor(i / 3) + 1) * ((i % 3) + 1));
    expect(residual(matrix, 4, 3, 3)).toBeLessThan(1e-12);
    expect(residual(new Float64Array(12), 4, 3, 3)).toBe(0);
    const wide = Float64Array.from({ length: 70 * 80 }, (_, i) => (Math.floor(i / 80) + 1) * ((i % 80) - 9));
    const scale = Math.max(...wide);
    expect(residual(wide, 70, 80, 70) / scale).toBeLessThan(1e-12);
    expect(residual(wide, 70, 80, 3) / scale).toBeLessThan(1e-12);
  });

  it.each([
    [70, 90],
    [90, 70],
  ])("finds the same few by iteration as by rotations, %i x %i", (rows, columns) => {
    const matrix = randomMatrix(rows, columns);
    const few = singularParts(matrix, rows, columns, 3);
    const all = ofWider(matrix, rows, columns, byRotations);
    few.values.forEach((value, i) => {
      expect(value).toBeCloseTo(all.values[i] ?? 0, 10);
    });
    const count = all.values.length;
    for (let i = 0; i < 3; i++) {
      // Signs are each library's own.
      const sign = Math.sign((few.right[i * columns] ?? 0) * (all.right[i * columns] ?? 0));
      for (let k = 0; k < columns; k++)
        expect(few.right[i * columns + k]).toBeCloseTo(sign * (all.right[i * columns + k] ?? 0), 5);
      for (let row = 0; row < rows; row++)
        expect(few.left[row * 3 + i]).toBeCloseTo(sign * (all.left[row * count + i] ?? 0), 5);
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

describe("dense products", () => {
  it.each([
    [1, 1, 1],
    [3, 5, 2],
    [4, 4, 7],
    [7, 6, 3],
  ])("multiply (%i, %i) by (%i rows)", (rows, columns, others) => {
    const a = randomMatrix(rows, columns);
    const b = randomMatrix(others, columns);
    const expected = Float64Array.from({ length: rows * others }, (_, at) => {
      const [i, j] = [Math.floor(at / others), at % others];
      return Array.from({ length: columns }).reduce<number>(
        (sum, _each, k) => sum + (a[i * columns + k] ?? 0) * (b[j * columns + k] ?? 0),
        0,
      );
    });
    expectNear(timesTransposed(a, rows, b, others, columns), expected);
    expectNear(product(a, rows, transposed(b, others, columns), columns, others), expected);
    expectNear(gramOfRows(a, rows, columns), timesTransposed(a, rows, a, rows, columns));
  });
});

describe("symmetric matrices", () => {
  it.each([1, 2, 3, 8, 9, 30])("of size %i are taken apart", (size) => {
    const base = randomMatrix(size, size);
    const matrix = base.map((value, i) => value + (base[(i % size) * size + Math.floor(i / size)] ?? 0));
    const pairs = allPairs(matrix, size);
    if (pairs === undefined) throw new Error("no pairs");
    const { values, vectors } = pairs;
    expect([...values].sort((a, b) => b - a)).toEqual([...values]);
    expectNear(gramOfRows(vectors, size, size), identity(size));
    const scaled = vectors.map((value, i) => value * (values[Math.floor(i / size)] ?? 0));
    expectNear(product(transposed(vectors, size, size), size, scaled, size, size), matrix);
  });

  it.each([1, 2, 7, 20])("of size %i are inverted where they are positive definite", (size) => {
    const gram = gramOfRows(randomMatrix(size, size + 3), size, size + 3);
    const lower = lowerFactor(gram, size);
    const inverse = inverseOf(gram, size);
    if (lower === undefined || inverse === undefined) throw new Error("no factor");
    expectNear(gramOfRows(lower, size, size), gram);
    expectNear(product(gram, size, inverse, size, size), identity(size), 1e-9);
  });

  it("that are not positive definite have no factor", () => {
    expect(lowerFactor(Float64Array.of(1, 2, 2, 4), 2)).toBeUndefined();
    expect(lowerFactor(Float64Array.of(1, 2, 2, 1), 2)).toBeUndefined();
    expect(inverseOf(new Float64Array(4), 2)).toBeUndefined();
  });
});

function identity(size: number): Float64Array {
  return Float64Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
}

function expectNear(actual: Float64Array, expected: Float64Array, most = 1e-11): void {
  expect(actual.length).toBe(expected.length);
  expect(Math.max(...actual.map((value, i) => Math.abs(value - (expected[i] ?? 0))))).toBeLessThan(most);
}
