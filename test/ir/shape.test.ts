/** Arithmetic of shapes: broadcasting against NumPy's rule on numbers, and what joins and conflicts say. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addDims,
  type Dim,
  isUnknown,
  maxDims,
  mulDims,
  substituteDim,
  symbol,
  unknownDim,
} from "../../src/ir/dim.ts";
import {
  broadcastShapes,
  formatShape,
  normalizeAxis,
  refineShape,
  type Shape,
  shapesConflict,
  shapesEqual,
  sizeOf,
  staticShape,
  windowSize,
} from "../../src/ir/shape.ts";

const [n, m] = [symbol("n"), symbol("m")];

/** NumPy's rule on numbers, from its documentation; undefined where it refuses. */
function broadcastNumbers(shapes: readonly (readonly number[])[]): number[] | undefined {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result: number[] = [];
  for (let axis = 1; axis <= rank; axis++) {
    const found = new Set(shapes.map((shape) => shape.at(-axis) ?? 1).filter((size) => size !== 1));
    if (shapes.every((shape) => shape.length < axis)) throw new Error("rank");
    if (found.size > 1) return undefined;
    result.unshift([...found][0] ?? 1);
  }
  return result;
}

describe("broadcastShapes", () => {
  const size = fc.constantFrom(0, 1, 1, 2, 3);
  const shapes = fc.array(fc.array(size, { maxLength: 3 }), { maxLength: 3 });

  it("is NumPy's rule on numbers", () => {
    fc.assert(
      fc.property(shapes, (given) => {
        expect(broadcastShapes(...given)).toEqual(broadcastNumbers(given));
      }),
      { numRuns: 1000, seed: 1 },
    );
  });

  it("with names gives what the run gives, wherever the run does not fail", () => {
    const named = fc.constantFrom<Dim>(1, 2, 3, n, m, addDims(n, 1), mulDims(n, m));
    const dims = fc.array(fc.array(named, { maxLength: 3 }), { maxLength: 3 });
    const at = fc.record({ n: fc.integer({ min: 1, max: 3 }), m: fc.integer({ min: 1, max: 3 }) });
    let checked = 0;
    fc.assert(
      fc.property(dims, at, (given, sizes: Readonly<Record<string, number>>) => {
        const numbers = (shape: Shape): number[] =>
          shape.map((dim) => Number(substituteDim(dim, (name) => sizes[name])));
        const wanted = broadcastNumbers(given.map(numbers));
        const result = broadcastShapes(...given);
        if (wanted === undefined) return;
        checked += 1;
        expect(result && numbers(result)).toEqual(wanted);
      }),
      { numRuns: 2000, seed: 2 },
    );
    expect(checked).toBeGreaterThan(500);
  });

  it("keeps names", () => {
    expect(broadcastShapes([n, 1], [3])?.map(String)).toEqual(["n", "3"]);
    expect(broadcastShapes([n], [4])).toEqual([4]);
    expect(broadcastShapes([n], [m])?.map(String)).toEqual(["max(m, n)"]);
    expect(broadcastShapes([n], [n])?.map(String)).toEqual(["n"]);
    expect(broadcastShapes([2], [3])).toBeUndefined();
    expect(broadcastShapes()).toEqual([]);
  });
});

describe("refineShape", () => {
  it("prefers numbers to names, and names to what is not known", () => {
    const unknown = unknownDim();
    expect(refineShape([unknown, n, 3], [n, 4, m])?.map(String)).toEqual(["n", "4", "3"]);
    expect(refineShape([n], [unknown])?.map(String)).toEqual(["n"]);
    expect(refineShape([maxDims(addDims(unknown, n), n)], [n])?.map(String)).toEqual(["n"]);
    expect(refineShape([n], [addDims(unknown, 1)])?.map(String)).toEqual(["n"]);
    expect(refineShape(undefined, [n])?.map(String)).toEqual(["n"]);
    expect(refineShape([n], undefined)?.map(String)).toEqual(["n"]);
    expect(refineShape(undefined, undefined)).toBeUndefined();
  });

  it("keeps what is known where ranks differ", () => {
    expect(refineShape([n], [n, 2])?.map(String)).toEqual(["n"]);
  });
});

describe("shapes", () => {
  it("conflict where they can never be the same", () => {
    expect(shapesConflict([n], [n, 1])).toBe(true);
    expect(shapesConflict([2], [3])).toBe(true);
    expect(shapesConflict([n], [addDims(n, 1)])).toBe(true);
    expect(shapesConflict([n], [m])).toBe(false);
    expect(shapesConflict([n], [3])).toBe(false);
  });

  it("are equal where that is proven", () => {
    expect(shapesEqual([n, 2], [n, 2])).toBe(true);
    expect(shapesEqual([n], [m])).toBe(false);
    expect(shapesEqual([2], [2, 2])).toBe(false);
  });

  it("have sizes, numbers and text", () => {
    expect(String(sizeOf([n, 2, m]))).toBe("2*m*n");
    expect(sizeOf([])).toBe(1);
    expect(staticShape([2, 3])).toEqual([2, 3]);
    expect(staticShape([n, 3])).toBeUndefined();
    expect(formatShape([n, 3])).toBe("[n, 3]");
    expect(formatShape(undefined)).toBe("[...]");
  });
});

describe("normalizeAxis", () => {
  it("counts from the end, and knows the bounds", () => {
    expect([-3, -1, 0, 2].map((axis) => normalizeAxis(axis, 3))).toEqual([0, 2, 0, 2]);
    expect([-4, 3].map((axis) => normalizeAxis(axis, 3))).toEqual([undefined, undefined]);
  });
});

describe("windowSize", () => {
  it("counts the windows", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 6, max: 20 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 0, max: 3 }),
        fc.boolean(),
        (input, kernel, stride, dilation, padding, ceil) => {
          const span = dilation * (kernel - 1) + 1;
          let count = 0;
          while (count * stride + span <= input + padding) count += 1;
          // Rounded up: one more window that begins inside and ends beyond.
          if (ceil && (count - 1) * stride + span < input + padding) count += 1;
          const window = { kernel, stride, dilation, padding, ceil };
          expect(windowSize(input, window)).toBe(count);
          const named = windowSize(n, window);
          expect(substituteDim(named, () => input)).toBe(count);
        },
      ),
      { numRuns: 500, seed: 3 },
    );
  });
});

it("an unknown dimension is no number to anyone", () => {
  const unknown = unknownDim();
  expect(broadcastShapes([unknown], [3])).toEqual([3]);
  const [both] = broadcastShapes([unknown], [n]) ?? [];
  expect(both !== undefined && !isUnknown(both)).toBe(true);
});
