/** Shapes as lists of symbolic dimensions, and the arithmetic on them that shape rules share. */
import {
  addDims,
  type Dim,
  dimsDiffer,
  dimsEqual,
  floorDivDims,
  isUnknown,
  maxDims,
  mulDims,
  subDims,
  symbol,
  symbolsOf,
  unknownDim,
} from "./dim.ts";

/** The dimensions of a tensor, outermost first; a tensor of unknown rank has no Shape at all. */
export type Shape = readonly Dim[];

/** A tensor of more dimensions is none that any operator takes. */
export const mostAxes = 64;

/** Number of elements of a shape that is known. */
export function countElements(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** Number of elements. */
export function sizeOf(shape: Shape): Dim {
  return shape.reduce<Dim>(mulDims, 1);
}

/** Whether both shapes have the same rank and provably equal dimensions. */
export function shapesEqual(left: Shape, right: Shape): boolean {
  return left.length === right.length && left.every((dim, i) => dimsEqual(dim, right[i] ?? Number.NaN));
}

/** The shape as numbers, or undefined where a dimension is symbolic. */
export function staticShape(shape: Shape | undefined): readonly number[] | undefined {
  if (shape === undefined) return undefined;
  const numbers = shape.filter((dim): dim is number => typeof dim === "number");
  return numbers.length === shape.length ? numbers : undefined;
}

/** A position between 0 and rank - 1 for an axis that may count from the end; undefined when outside. */
export function normalizeAxis(axis: number, rank: number): number | undefined {
  const position = axis < 0 ? axis + rank : axis;
  return position >= 0 && position < rank ? position : undefined;
}

/**
 * NumPy broadcasting of several shapes, symbolic dimensions included (ONNX `Broadcasting.md`).
 * A symbol against a number other than 1 gives the number; two different symbols give their maximum,
 * which is what a run that does not fail computes. Undefined when a pair can never be broadcast.
 */
export function broadcastShapes(...shapes: readonly Shape[]): Shape | undefined {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    let dim: Dim = 1;
    for (const shape of shapes) {
      const other = shape[axis - rank + shape.length];
      if (other === undefined || other === 1 || dimsEqual(dim, other)) continue;
      if (dim === 1) dim = other;
      else if (typeof dim === "number" && typeof other === "number") return undefined;
      else if (typeof dim === "number") continue;
      else if (typeof other === "number") dim = other;
      else dim = maxDims(dim, other);
    }
    result.push(dim);
  }
  return result;
}

/** Joins what two sources know of one shape: numbers win over names, names over unknowns and what is computed from them. */
export function refineShape(known: Shape | undefined, other: Shape | undefined): Shape | undefined {
  if (known === undefined || other === undefined) return known ?? other;
  if (known.length !== other.length) return known;
  return known.map((dim, i) => {
    const second = other[i] ?? dim;
    if (typeof dim === "number") return dim;
    if (typeof second === "number") return second;
    return holdsUnknown(dim) && !holdsUnknown(second) ? second : dim;
  });
}

/** Whether a dimension is computed from one about which nothing is known. */
function holdsUnknown(dim: Dim): boolean {
  return [...symbolsOf(dim)].some((name) => isUnknown(symbol(name)));
}

/** Whether two shapes can never be the same: ranks differ, or a pair of dimensions differs by a number. */
export function shapesConflict(left: Shape, right: Shape): boolean {
  return left.length !== right.length || left.some((dim, i) => dimsDiffer(dim, right[i] ?? dim));
}

/** A shape of `rank` dimensions about which nothing is known. */
export function unknownShape(rank: number): Shape {
  return Array.from({ length: rank }, unknownDim);
}

/**
 * Output size of a sliding window: `floor((input + padding - dilation*(kernel-1) - 1) / stride) + 1`
 * (ONNX Conv, Pool), or with the quotient rounded up where `ceil` is set.
 */
export function windowSize(
  input: Dim,
  window: { kernel: Dim; stride: number; dilation: number; padding: number; ceil?: boolean },
): Dim {
  const { kernel, stride, dilation, padding, ceil = false } = window;
  const span = subDims(addDims(input, padding - 1), mulDims(subDims(kernel, 1), dilation));
  return addDims(floorDivDims(ceil ? addDims(span, stride - 1) : span, stride), 1);
}

/** Text of a shape, such as `[batch, 8, seq]`. */
export function formatShape(shape: Shape | undefined): string {
  return shape === undefined ? "[...]" : `[${shape.map(String).join(", ")}]`;
}
