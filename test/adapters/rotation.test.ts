/** Inverses, rotations and detached values: against arithmetic by hand, and gradients against central differences. */
import { describe, expect, it } from "vitest";
import { inverseOf } from "../../passes/adapters/parts/inverse.ts";
import { orthonormalBasis } from "../../passes/adapters/parts/orthonormal.ts";
import {
  aboveDiagonal,
  cayley,
  cayleySeries,
  skewOf,
  turnBlocks,
} from "../../passes/adapters/parts/rotation.ts";
import { differentiate } from "../../src/autodiff/differentiate.ts";
import { Random } from "../../src/data/random.ts";
import { Graph } from "../../src/ir/graph.ts";
import { tensorType } from "../../src/ir/type.ts";
import type { Value } from "../../src/ir/value.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { detach } from "../../src/ops/detach.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { NDArray } from "../../src/ops/ndarray.ts";

const opset = 20;

type Make = (x: Value, b: OpBuilder) => Value;

function randomArray(shape: readonly number[]): NDArray {
  const random = new Random(3);
  const size = shape.reduce((product, dim) => product * dim, 1);
  return new NDArray(
    "float32",
    shape,
    Float64Array.from({ length: size }, () => random.normal()),
  );
}

/** What `make` builds of one input, in float64, and its gradient where it is asked for the sum of sines of elements. */
function run(make: Make, x: NDArray): { y: number[]; gradient: number[] } {
  const graph = new Graph("part");
  const input = graph.addInput({ name: "x", type: tensorType("float32", x.shape) });
  const b = new OpBuilder({ graph }, opset);
  const y = make(input, b);
  const total = b.reduceSum(b.op("Sin", [y]), undefined, false);
  const [gradient] = differentiate(
    graph,
    [{ value: total, gradient: b.scalar(1, "float32") }],
    [input],
    opset,
  );
  if (gradient === undefined) throw new Error("no gradient");
  graph.addOutput(y);
  graph.addOutput(gradient);
  const [result, slope] = evaluateGraph(graph, new Map([[input, x]]), { opset, exact: true });
  return { y: [...(result?.numbers ?? [])], gradient: [...(slope?.numbers ?? [])] };
}

function expectAll(actual: readonly number[], expected: readonly number[], digits: number): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(actual[i]).toBeCloseTo(value, digits);
  });
}

function expectTrueGradient(make: Make, shape: readonly number[]): void {
  const x = randomArray(shape);
  const step = 1e-5;
  const total = (at: number, change: number): number => {
    const moved = Float64Array.from(x.numbers);
    moved[at] = (moved[at] ?? 0) + change;
    return run(make, new NDArray("float32", shape, moved)).y.reduce((sum, value) => sum + Math.sin(value), 0);
  };
  const differences = Array.from(x.numbers, (_, at) => (total(at, step) - total(at, -step)) / (2 * step));
  expectAll(run(make, x).gradient, differences, 6);
}

/** X^T X for matrices (count, size, size), row-major. */
function gram(x: readonly number[], count: number, rows: number, columns: number): number[] {
  return Array.from({ length: count * columns * columns }, (_, at) => {
    const [matrix, i, j] = [
      Math.floor(at / columns ** 2),
      Math.floor((at % columns ** 2) / columns),
      at % columns,
    ];
    let sum = 0;
    for (let row = 0; row < rows; row++) {
      const start = (matrix * rows + row) * columns;
      sum += (x[start + i] ?? 0) * (x[start + j] ?? 0);
    }
    return sum;
  });
}

const identities = (count: number, size: number): number[] =>
  Array.from({ length: count * size * size }, (_, i) => ((i % size ** 2) % (size + 1) === 0 ? 1 : 0));

const skewed =
  (count: number, size: number, then: (skew: Value, b: OpBuilder) => Value): Make =>
  (x, b) =>
    then(skewOf(x, count, size, b), b);

describe("skewOf", () => {
  it("puts elements above the diagonal row by row, their negatives below", () => {
    const x = new NDArray("float32", [1, 3], Float64Array.of(1, 2, 3));
    expect(run((each, b) => skewOf(each, 1, 3, b), x).y).toEqual([0, 1, 2, -1, 0, 3, -2, -3, 0]);
  });
});

describe("inverseOf", () => {
  it("inverts several matrices, large elements off the diagonal included", () => {
    const shifted: Make = (x, b) =>
      inverseOf(b.add(b.mul(skewOf(x, 2, 4, b), 30), identityOf(4, b)), 2, 4, b);
    const product: Make = (x, b) =>
      b.matmul(shifted(x, b), b.add(b.mul(skewOf(x, 2, 4, b), 30), identityOf(4, b)));
    expectAll(run(product, randomArray([2, aboveDiagonal(4)])).y, identities(2, 4), 10);
  });

  it("inverts numbers", () => {
    expect(
      run((x, b) => inverseOf(x, 1, 1, b), new NDArray("float32", [1, 1, 1], Float64Array.of(4))).y,
    ).toEqual([0.25]);
  });

  it("has the gradient of the inverse", () => {
    expectTrueGradient(
      skewed(2, 3, (skew, b) => inverseOf(b.add(skew, identityOf(3, b)), 2, 3, b)),
      [2, 3],
    );
  });
});

describe("cayley", () => {
  it("gives rotations", () => {
    const { y } = run(
      skewed(2, 4, (skew, b) => cayley(skew, 2, 4, b)),
      randomArray([2, 6]),
    );
    expectAll(gram(y, 2, 4, 4), identities(2, 4), 10);
  });

  it("has its gradient", () => {
    expectTrueGradient(
      skewed(1, 3, (skew, b) => cayley(skew, 1, 3, b)),
      [1, 3],
    );
  });

  it("is what its series of the negative comes to", () => {
    const small = new NDArray("float32", [1, 3], Float64Array.of(0.01, -0.02, 0.03));
    const series = run(
      skewed(1, 3, (skew, b) => cayleySeries(b.neg(skew), 3, 12, b)),
      small,
    );
    const exact = run(
      skewed(1, 3, (skew, b) => cayley(skew, 1, 3, b)),
      small,
    );
    expectAll(series.y, exact.y, 12);
  });

  it.each([
    [2, [1, 2, -2, 1]],
    [3, [-1, 1, -1, -1]],
    [4, [-1, 1, -1, -1]],
    [5, [0, 0, -0, 0]],
  ])("takes %i terms of the series as PEFT does", (terms, expected) => {
    // Q = (0 1; -1 0): Q^2 = -I, Q^3 = -Q, Q^4 = I.
    const x = new NDArray("float32", [1, 1], Float64Array.of(1));
    expectAll(
      run(
        skewed(1, 2, (skew, b) => cayleySeries(skew, 2, terms, b)),
        x,
      ).y,
      expected,
      12,
    );
  });
});

describe("turnBlocks", () => {
  it("gives every block its own matrix, or all the same", () => {
    const swap = Float64Array.of(0, 1, 1, 0);
    const x = new NDArray("float32", [1, 4], Float64Array.of(1, 2, 3, 4));
    const constant = (b: OpBuilder, values: readonly number[], shape: readonly number[]): Value =>
      b.reshape(b.cast(b.ints(values), "float32"), shape);
    expect(run((each, b) => turnBlocks(each, constant(b, [...swap], [1, 2, 2]), 2, 2, b), x).y).toEqual([
      2, 1, 4, 3,
    ]);
    expect(
      run((each, b) => turnBlocks(each, constant(b, [...swap, 1, 0, 0, -1], [2, 2, 2]), 2, 2, b), x).y,
    ).toEqual([2, 1, 3, -4]);
  });
});

describe("orthonormalBasis", () => {
  it.each([
    [5, 3],
    [3, 3],
    [4, 1],
  ])("spans %i x %i by orthonormal columns", (rows, columns) => {
    const x = randomArray([rows, columns]);
    const basis = run((each, b) => orthonormalBasis(each, rows, columns, b), x).y;
    expectAll(gram(basis, 1, rows, columns), identities(1, columns), 10);
    const projected = run((each, b) => {
      const q = orthonormalBasis(each, rows, columns, b);
      return b.matmul(q, b.matmul(b.transpose(q, [1, 0]), each));
    }, x).y;
    expectAll(projected, [...x.numbers], 10);
  });

  it("has the signs of LAPACK: the first column turns away from its first element", () => {
    const x = new NDArray("float32", [2, 1], Float64Array.of(3, 4));
    expectAll(run((each, b) => orthonormalBasis(each, 2, 1, b), x).y, [-0.6, -0.8], 12);
  });

  it("has its gradient", () => {
    expectTrueGradient((x, b) => orthonormalBasis(x, 4, 2, b), [4, 2]);
  });
});

describe("detach", () => {
  it("leaves the value and stops the gradient", () => {
    const x = new NDArray("float32", [2], Float64Array.of(0.3, -0.7));
    const { y, gradient } = run((each, b) => b.mul(each, detach(b, each)), x);
    expectAll(y, [0.09, 0.49], 12);
    // sin(x d)' = cos(x d) d, with d held still.
    expectAll(gradient, [0.3 * Math.cos(0.09), -0.7 * Math.cos(0.49)], 12);
  });
});

function identityOf(size: number, b: OpBuilder): Value {
  return b.reshape(b.cast(b.ints(identities(1, size)), "float32"), [size, size]);
}
