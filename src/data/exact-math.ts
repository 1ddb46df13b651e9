/**
 * Logarithm and circle from additions, multiplications and divisions alone. IEEE 754 rounds these the same way
 * everywhere, while Math.log, Math.sin and Math.cos may differ in the last bit between engines and versions.
 */

const scratch = new DataView(new ArrayBuffer(8));

/** Natural logarithm of a positive, normal number, within 2 units in the last place. */
export function naturalLog(value: number): number {
  scratch.setFloat64(0, value);
  const high = scratch.getUint32(0);
  let exponent = (high >>> 20) - 1023;
  scratch.setUint32(0, (high & 0xfffff) | 0x3ff00000);
  let mantissa = scratch.getFloat64(0);
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent++;
  }
  // ln m = 2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1) / (m + 1), |s| < 0.172.
  const s = (mantissa - 1) / (mantissa + 1);
  const square = s * s;
  let series = 0;
  for (let power = 23; power >= 3; power -= 2) series = (series + 1 / power) * square;
  return exponent * Math.LN2 + 2 * (s + s * series);
}

/** Cosine and sine of a part of a full turn in [0, 1), within 1e-15. */
export function pointOnCircle(turn: number): readonly [cosine: number, sine: number] {
  const quarter = Math.round(turn * 4);
  // Exact: both are multiples of the same power of two and close to each other.
  const angle = (turn - quarter / 4) * 2 * Math.PI;
  const square = angle * angle;
  let cosine = 1;
  let sine = 1;
  for (let k = 8; k >= 1; k--) {
    cosine = 1 - (cosine * square) / ((2 * k - 1) * (2 * k));
    sine = 1 - (sine * square) / (2 * k * (2 * k + 1));
  }
  sine *= angle;
  switch (quarter % 4) {
    case 0:
      return [cosine, sine];
    case 1:
      return [-sine, cosine];
    case 2:
      return [-cosine, -sine];
    default:
      return [sine, -cosine];
  }
}
