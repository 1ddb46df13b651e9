/** Floating-point numbers as the shortest decimal text that reads back to the same bits, and back. */

/** Shortest text of the float32 nearest to `value`; `inf`, `-inf` and `nan` for the rest. */
export function formatFloat32(value: number): string {
  const single = Math.fround(value);
  const special = formatSpecial(single);
  if (special !== undefined) return special;
  for (let digits = 1; digits < 9; digits++) {
    const candidate = Number(single.toPrecision(digits));
    // Rounding by way of a double may be wrong at the middle of two float32, so there the text is read exactly.
    if (Math.fround(candidate) !== single) continue;
    const text = formatFloat64(candidate);
    if (tieBeside(candidate) === undefined || parseFloat32(text) === single) return text;
  }
  return formatFloat64(Number(single.toPrecision(9)));
}

/** Shortest text of a double. */
export function formatFloat64(value: number): string {
  return formatSpecial(value) ?? String(value);
}

function formatSpecial(value: number): string | undefined {
  if (Number.isNaN(value)) return "nan";
  if (Object.is(value, -0)) return "-0";
  if (Number.isFinite(value)) return undefined;
  return value > 0 ? "inf" : "-inf";
}

/** The double that a literal of the grammar means; `inf`, `infinity` and `nan` in any case. */
export function parseFloat64(literal: string): number {
  const word = /^(-?)([a-z]+)$/i.exec(literal);
  if (word === null) return Number(literal);
  if (word[2]?.toLowerCase() === "nan") return Number.NaN;
  return word[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/**
 * The float32 nearest to a literal. Rounding to a double first would be wrong for decimals so near to the middle of two
 * float32 that the double is that middle, so those are compared exactly.
 */
export function parseFloat32(literal: string): number {
  const value = parseFloat64(literal);
  const rounded = Math.fround(value);
  const mirror = tieBeside(value);
  if (mirror === undefined) return rounded;
  const side = compareDecimal(literal, value);
  if (side === 0) return rounded;
  return side > 0 ? Math.max(rounded, mirror) : Math.min(rounded, mirror);
}

/** The other float32 at the same distance, where `value` is exactly the middle of two. */
function tieBeside(value: number): number | undefined {
  const rounded = Math.fround(value);
  if (rounded === value || !Number.isFinite(rounded)) return undefined;
  const mirror = 2 * value - rounded;
  return Math.fround(mirror) === mirror ? mirror : undefined;
}

/** Longer literals are rounded through a double, so that no text makes the comparison slow. */
const longestCompared = 1000;

/** Sign of the decimal number `literal` minus the finite double `value`, exactly. */
function compareDecimal(literal: string, value: number): number {
  const match = /^(-?)(\d+)(?:\.(\d*))?(?:e([+-]?\d+))?$/i.exec(literal);
  if (match === null || literal.length > longestCompared) return 0;
  const [, sign, whole = "", fraction = "", exponent = "0"] = match;
  const tens = Number(exponent) - fraction.length;
  if (Math.abs(tens) > longestCompared) return 0;
  const digits = BigInt(`${whole}${fraction}`) * (sign === "-" ? -1n : 1n);
  // value = mantissa / 2^149, the smallest float32; a middle of two has one bit more.
  const mantissa = BigInt(value * 2 ** 100 * 2 ** 50);
  const left = (tens > 0 ? digits * 10n ** BigInt(tens) : digits) * 2n ** 150n;
  const right = mantissa * (tens < 0 ? 10n ** BigInt(-tens) : 1n);
  return left > right ? 1 : left < right ? -1 : 0;
}
