/** Arithmetic of symbolic dimensions, held against numbers: whatever sizes the axes have, the results are the same. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addDims,
  ceilDivDims,
  type Dim,
  DimExpr,
  dimsDiffer,
  dimsEqual,
  floorDivDims,
  isUnknown,
  maxDims,
  minDims,
  modDims,
  mulDims,
  subDims,
  substituteDim,
  symbol,
  symbolsOf,
  unknownDim,
} from "../../src/ir/dim.ts";
import { compareEqual, compareLess, isNonNegative } from "../../src/ir/dim-sign.ts";

const operations = {
  "+": [addDims, (a: number, b: number) => a + b],
  "-": [subDims, (a: number, b: number) => a - b],
  "*": [mulDims, (a: number, b: number) => a * b],
  "/": [floorDivDims, (a: number, b: number) => Math.floor(a / b)],
  "%": [modDims, (a: number, b: number) => a - b * Math.floor(a / b)],
  max: [maxDims, Math.max],
  min: [minDims, Math.min],
  "^/": [ceilDivDims, (a: number, b: number) => Math.ceil(a / b)],
} as const;

type Operation = keyof typeof operations;

type Sizes = Readonly<Record<string, number>>;

/** An expression as written, before any simplification. */
type Expression =
  | number
  | string
  | { readonly op: Operation; readonly left: Expression; readonly right: Expression };

const names = ["a", "b", "c"];

const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom(...names),
    fc.integer({ min: -3, max: 4 }),
    fc.record({
      op: fc.constantFrom(...(["+", "-", "*", "/", "%", "max", "min", "^/"] as const)),
      left: tie("expression"),
      right: tie("expression"),
    }),
  ),
}));

/** Polynomials: what exact division and equality are about. */
const { polynomial } = fc.letrec<{ polynomial: Expression }>((tie) => ({
  polynomial: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom(...names),
    fc.integer({ min: -3, max: 4 }),
    fc.record({
      op: fc.constantFrom(...(["+", "-", "*"] as const)),
      left: tie("polynomial"),
      right: tie("polynomial"),
    }),
  ),
}));

const sizes: fc.Arbitrary<Sizes> = fc.record({
  a: fc.integer({ min: 1, max: 9 }),
  b: fc.integer({ min: 1, max: 9 }),
  c: fc.integer({ min: 1, max: 9 }),
});

function build(written: Expression): Dim {
  if (typeof written === "number") return written;
  if (typeof written === "string") return symbol(written);
  return operations[written.op][0](build(written.left), build(written.right));
}

/** The number that is meant; undefined where something is divided by zero. */
function compute(written: Expression, at: Sizes): number | undefined {
  if (typeof written === "number") return written;
  if (typeof written === "string") return at[written];
  const [left, right] = [compute(written.left, at), compute(written.right, at)];
  if (left === undefined || right === undefined) return undefined;
  if (right === 0 && (written.op === "/" || written.op === "%" || written.op === "^/")) return undefined;
  return operations[written.op][1](left, right);
}

function substitute(dim: Dim, at: Sizes): Dim {
  return substituteDim(dim, (name) => at[name]);
}

describe("dimensions against numbers", () => {
  it("have the value of what was written", () => {
    fc.assert(
      fc.property(expression, sizes, (written, at) => {
        const wanted = compute(written, at);
        if (wanted === undefined || Math.abs(wanted) > 2 ** 40) return;
        expect(Number(substitute(build(written), at)) === wanted, `${build(written)} is not ${wanted}`).toBe(
          true,
        );
      }),
      { numRuns: 2000, seed: 1 },
    );
  });

  it("have the same value when axes are replaced one after the other", () => {
    fc.assert(
      fc.property(expression, sizes, (written, at) => {
        const wanted = compute(written, at);
        if (wanted === undefined || Math.abs(wanted) > 2 ** 40) return;
        const stepwise = names.reduce<Dim>(
          (dim, name) => substituteDim(dim, (each) => (each === name ? at[name] : undefined)),
          build(written),
        );
        // A quotient by an axis that is still unknown may be a division by zero on the way, which nothing is known of.
        if (symbolsOf(stepwise).size === 0) expect(Number(stepwise) === wanted).toBe(true);
      }),
      { numRuns: 1000, seed: 2 },
    );
  });

  it("name the axes that they depend on, and no others", () => {
    fc.assert(
      fc.property(expression, (written) => {
        const dim = build(written);
        for (const name of symbolsOf(dim)) expect(names.includes(name) || isUnknown(symbol(name))).toBe(true);
        const closed = substitute(dim, { a: 2, b: 3, c: 5 });
        expect([...symbolsOf(closed)].filter((name) => !isUnknown(symbol(name)))).toEqual([]);
      }),
      { numRuns: 1000, seed: 3 },
    );
  });
});

describe("equality", () => {
  it("of polynomials is decided: the difference is the number 0 or the keys differ", () => {
    fc.assert(
      fc.property(polynomial, polynomial, sizes, (first, second, at) => {
        const [left, right] = [build(first), build(second)];
        expect(dimsEqual(left, right)).toBe(
          subDims(left, right) === 0 || Object.is(subDims(left, right), -0),
        );
        if (dimsEqual(left, right)) expect(compute(first, at) === compute(second, at)).toBe(true);
        if (dimsDiffer(left, right)) expect(compute(first, at) === compute(second, at)).toBe(false);
      }),
      { numRuns: 1000, seed: 4 },
    );
  });

  it("does not depend on the order in which sums and products are written", () => {
    fc.assert(
      fc.property(polynomial, polynomial, polynomial, (...written) => {
        const [a = 0, b = 0, c = 0] = written.map(build);
        expect(dimsEqual(addDims(a, b), addDims(b, a))).toBe(true);
        expect(dimsEqual(mulDims(a, b), mulDims(b, a))).toBe(true);
        expect(dimsEqual(mulDims(a, addDims(b, c)), addDims(mulDims(a, b), mulDims(a, c)))).toBe(true);
        expect(dimsEqual(addDims(a, addDims(b, c)), addDims(addDims(a, b), c))).toBe(true);
      }),
      { numRuns: 500, seed: 5 },
    );
  });

  it("does not depend on the order of operands of a maximum", () => {
    const [a, b] = [symbol("a"), symbol("b")];
    expect(dimsEqual(maxDims(a, b), maxDims(b, a))).toBe(true);
    expect(dimsEqual(minDims(a, addDims(b, 1)), minDims(addDims(b, 1), a))).toBe(true);
  });

  it("of something unknown holds with itself only", () => {
    const [one, other] = [unknownDim(), unknownDim()];
    expect(dimsEqual(one, one)).toBe(true);
    expect(dimsEqual(one, other)).toBe(false);
    expect(dimsDiffer(one, other)).toBe(false);
    expect(dimsDiffer(one, addDims(one, 1))).toBe(true);
    expect(isUnknown(one)).toBe(true);
    expect(isUnknown(symbol("?"))).toBe(false);
    expect(isUnknown(addDims(one, 1))).toBe(false);
  });
});

describe("exact division", () => {
  it("undoes a product", () => {
    fc.assert(
      fc.property(polynomial, polynomial, (first, second) => {
        const [left, right] = [build(first), build(second)];
        if (typeof right === "number") return;
        expect(dimsEqual(floorDivDims(mulDims(left, right), right), left)).toBe(true);
        expect(modDims(mulDims(left, right), right)).toBe(0);
      }),
      { numRuns: 1000, seed: 6 },
    );
  });

  it("is not claimed where a rest may remain", () => {
    const [a, b] = [symbol("a"), symbol("b")];
    expect(String(floorDivDims(a, 2))).toBe("floordiv(a, 2)");
    expect(String(floorDivDims(addDims(a, 1), a))).toBe("floordiv(a + 1, a)");
    expect(String(modDims(mulDims(3, a), 2))).toBe("mod(3*a, 2)");
    expect(String(floorDivDims(mulDims(a, a), addDims(a, b)))).toBe("floordiv(a*a, a + b)");
  });

  it("by zero gives something unknown", () => {
    expect(isUnknown(floorDivDims(3, 0))).toBe(true);
    expect(isUnknown(modDims(3, 0))).toBe(true);
  });
});

describe("signs and comparisons", () => {
  it("that are claimed hold for every size", () => {
    fc.assert(
      fc.property(expression, expression, sizes, (first, second, at) => {
        const [left, right] = [build(first), build(second)];
        const [x, y] = [compute(first, at), compute(second, at)];
        if (x === undefined || y === undefined) return;
        const less = compareLess(left, right);
        if (less !== undefined) expect(x < y, `${left} < ${right}`).toBe(less);
        const equal = compareEqual(left, right);
        if (equal !== undefined) expect(x === y, `${left} == ${right}`).toBe(equal);
        if (isNonNegative(left)) expect(x >= 0, `${left} >= 0`).toBe(true);
      }),
      { numRuns: 3000, seed: 7 },
    );
  });

  it("are claimed where they are plain", () => {
    const [a, b] = [symbol("a"), symbol("b")];
    expect(isNonNegative(addDims(mulDims(a, b), 2))).toBe(true);
    expect(isNonNegative(subDims(a, b))).toBe(false);
    expect(isNonNegative(unknownDim())).toBe(false);
    expect(compareLess(a, addDims(a, 1))).toBe(true);
    expect(compareLess(a, b)).toBeUndefined();
    expect(compareEqual(a, addDims(a, b))).toBe(false);
    expect(compareEqual(a, b)).toBeUndefined();
  });
});

describe("text", () => {
  it("is the canonical form", () => {
    const [a, b] = [symbol("a"), symbol("b")];
    expect(String(addDims(mulDims(b, a), 1))).toBe("a*b + 1");
    expect(String(subDims(1, mulDims(2, a)))).toBe("-2*a + 1");
    expect(String(mulDims(addDims(a, b), addDims(a, b)))).toBe("a*a + 2*a*b + b*b");
    expect(subDims(a, a)).toBe(0);
    expect(symbol("a")).toBeInstanceOf(DimExpr);
  });
});

describe("size", () => {
  it("stays within bounds where each step doubles an expression", () => {
    let dim: Dim = symbol("h");
    for (let layer = 0; layer < 60; layer++) {
      const padding = maxDims(subDims(mulDims(floorDivDims(addDims(dim, 1), 2), 2), dim), 0);
      dim = addDims(floorDivDims(addDims(dim, padding), 2), 1);
      expect(String(dim).length).toBeLessThanOrEqual(600);
    }
    expect(symbolsOf(dim).has("h")).toBe(false);
  });
});
