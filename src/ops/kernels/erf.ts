/** The error function in double precision. */

const inverseSqrtPi = 1 / Math.sqrt(Math.PI);

/**
 * `erf(x)` to about one unit in the last place: the series of Abramowitz and Stegun, "Handbook of Mathematical
 * Functions", 7.1.6 near zero, whose terms are all of one sign, and 1 minus the continued fraction 7.1.14 beyond.
 */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (Number.isNaN(x)) return Number.NaN;
  if (size > 6) return Math.sign(x);
  return Math.sign(x) * (size < 2.5 ? series(size) : 1 - complement(size));
}

/** `2/sqrt(pi) e^(-x^2) sum of 2^n x^(2n+1) / (1*3*...*(2n+1))`. */
function series(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return 2 * inverseSqrtPi * Math.exp(-x * x) * sum;
}

/** `erfc(x) = e^(-x^2)/sqrt(pi) * 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + ...))))`, from its 60th level up. */
function complement(x: number): number {
  let fraction = x;
  for (let level = 60; level > 0; level--) fraction = x + level / 2 / fraction;
  return (inverseSqrtPi * Math.exp(-x * x)) / fraction;
}
