/** The logarithm of the gamma function and its derivative, in operators that have gradients themselves. */
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";

/** Steps by which arguments are moved up to where Stirling's series is exact in float32. */
const steps = 6;

/** ln gamma(x) for x > 0: Stirling's series at x + 6, by ln gamma(x + 1) = ln gamma(x) + ln x (Abramowitz and Stegun 6.1.41). */
export function logGamma(x: Value, b: OpBuilder): Value {
  const z = b.add(x, steps);
  const inverse = b.reciprocal(z);
  const square = b.mul(inverse, inverse);
  const series = b.mul(inverse, b.sub(1 / 12, b.mul(square, b.sub(1 / 360, b.mul(square, 1 / 1260)))));
  const large = b.add(b.sub(b.mul(b.sub(z, 0.5), b.log(z)), z), b.add(series, Math.log(2 * Math.PI) / 2));
  return movedDown(x, b).reduce((sum, at) => b.sub(sum, b.log(at)), large);
}

/** The derivative of ln gamma, by the derivative of the same series (6.3.18). */
export function digamma(x: Value, b: OpBuilder): Value {
  const z = b.add(x, steps);
  const inverse = b.reciprocal(z);
  const square = b.mul(inverse, inverse);
  const series = b.mul(square, b.sub(1 / 12, b.mul(square, b.sub(1 / 120, b.mul(square, 1 / 252)))));
  const large = b.sub(b.log(z), b.add(b.mul(inverse, 0.5), series));
  return movedDown(x, b).reduce((sum, at) => b.sub(sum, b.reciprocal(at)), large);
}

function movedDown(x: Value, b: OpBuilder): Value[] {
  return Array.from({ length: steps }, (_, i) => (i === 0 ? x : b.add(x, i)));
}
