/** Every tolerance of the operator tests: how far two computations of the same thing may lie apart. */
import type { DType } from "../../src/ir/dtype.ts";

/** `|actual - expected| <= absolute + relative * |expected|`. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

const equal: Tolerance = { absolute: 0, relative: 0 };

/**
 * The runtime against the evaluator, which sums in double precision and rounds once. Some tens of roundings, and the
 * rational approximations that the runtime takes for exponentials and the error function.
 */
const runtime: Partial<Record<DType, Tolerance>> = {
  float64: { absolute: 1e-12, relative: 1e-11 },
  float32: { absolute: 4e-6, relative: 2e-5 },
  float16: { absolute: 2e-3, relative: 2e-3 },
  bfloat16: { absolute: 2e-2, relative: 2e-2 },
};

/** Tolerance for elements of a type computed by the runtime; whole numbers and truth values must be equal. */
export function runtimeTolerance(dtype: DType): Tolerance {
  return runtime[dtype] ?? equal;
}

/** Unit roundoff of the constants in a gradient graph of each type, which the evaluator's exact mode keeps. */
const constants: Partial<Record<DType, number>> = {
  float64: 2 ** -53,
  float32: 2 ** -24,
  float16: 2 ** -11,
  bfloat16: 2 ** -8,
};

/**
 * A directional derivative against central differences of step {@link differenceStep}, both in double precision: the
 * third derivative and cancellation leave about 1e-9, rounded constants a few units of their type.
 */
export function gradientTolerance(dtype: DType): Tolerance {
  const roundoff = 4 * (constants[dtype] ?? 0);
  return { absolute: 2e-8 + roundoff, relative: 2e-8 + roundoff };
}

/** Step of central differences for operands of order 1 in double precision. */
export const differenceStep = 1e-5;

const byPrecision = ["bfloat16", "float16", "float32", "float64"] as const;

/** The float type of least precision among some types: what a computation over them is as good as. */
export function narrowest(types: readonly DType[]): DType | undefined {
  return byPrecision.find((dtype) => types.includes(dtype));
}
