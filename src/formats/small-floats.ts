/** Floats of 8 and 4 bits as bits: what each pattern means, and the nearest pattern of a number. */

/** The formats of "FP8 Formats for Deep Learning" (arXiv:2209.05433), their `fnuz` kin, and OCP's 4-bit float. */
export type SmallFloat = "float8e4m3fn" | "float8e4m3fnuz" | "float8e5m2" | "float8e5m2fnuz" | "float4e2m1";

interface Format {
  readonly bits: number;
  readonly mantissa: number;
  readonly bias: number;
  /**
   * What stands beside finite numbers: the largest exponent as in IEEE 754, one pattern of NaN for each sign, a NaN
   * where negative zero would be, or nothing.
   */
  readonly special: "ieee" | "nan" | "nanAtMinusZero" | "none";
}

const formats: Readonly<Record<SmallFloat, Format>> = {
  float8e4m3fn: { bits: 8, mantissa: 3, bias: 7, special: "nan" },
  float8e4m3fnuz: { bits: 8, mantissa: 3, bias: 8, special: "nanAtMinusZero" },
  float8e5m2: { bits: 8, mantissa: 2, bias: 15, special: "ieee" },
  float8e5m2fnuz: { bits: 8, mantissa: 2, bias: 16, special: "nanAtMinusZero" },
  float4e2m1: { bits: 4, mantissa: 1, bias: 1, special: "none" },
};

interface Table {
  readonly sign: number;
  /** Meaning of the patterns without sign, up to the largest finite number. */
  readonly finite: readonly number[];
  readonly special: Format["special"];
}

const tables = new Map<SmallFloat, Table>();

function tableOf(type: SmallFloat): Table {
  const known = tables.get(type);
  if (known !== undefined) return known;
  const { bits, mantissa, bias, special } = formats[type];
  const sign = 2 ** (bits - 1);
  const count = special === "ieee" ? sign - 2 ** mantissa : special === "nan" ? sign - 1 : sign;
  const finite = Array.from({ length: count }, (_, pattern) => {
    const exponent = pattern >> mantissa;
    const fraction = (pattern & (2 ** mantissa - 1)) / 2 ** mantissa;
    return exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias);
  });
  const table = { sign, finite, special };
  tables.set(type, table);
  return table;
}

/** Whether a type is one of the formats here. */
export function isSmallFloat(type: string): type is SmallFloat {
  return type in formats;
}

/** The largest finite number of a format. */
export function largestSmallFloat(type: SmallFloat): number {
  return tableOf(type).finite.at(-1) ?? 0;
}

/** The number that a pattern means. */
export function smallFloatOfBits(type: SmallFloat, bits: number): number {
  const { sign, finite, special } = tableOf(type);
  const negative = (bits & sign) !== 0;
  const magnitude = bits & (sign - 1);
  if (special === "nanAtMinusZero" && bits === sign) return Number.NaN;
  const value = finite[magnitude] ?? (special === "ieee" && magnitude === finite.length ? Infinity : NaN);
  return negative ? -value : value;
}

/**
 * The nearest pattern of a number, to even where two are as near.
 *
 * @param saturate gives the largest finite number for what lies beyond it; else infinity, or NaN where there is none.
 */
export function bitsOfSmallFloat(type: SmallFloat, value: number, saturate = true): number {
  const { sign, finite, special } = tableOf(type);
  if (Number.isNaN(value)) return nanBits(type);
  const negative = value < 0 || Object.is(value, -0) ? sign : 0;
  const magnitude = Math.abs(value);
  const last = finite.length - 1;
  const top = finite[last] ?? 0;
  // Beyond the largest number, what would round to the next one is too large.
  const step = top - (finite[last - 1] ?? 0);
  if (magnitude >= top + step / 2 && !saturate && special !== "none") {
    return special === "ieee" ? negative | finite.length : nanBits(type) | (special === "nan" ? negative : 0);
  }
  const pattern = magnitude >= top ? last : nearest(finite, magnitude);
  // Where NaN has the place of negative zero, zero has no sign.
  return pattern === 0 && special === "nanAtMinusZero" ? 0 : negative | pattern;
}

/** The number that storing `value` leaves. */
export function roundToSmallFloat(type: SmallFloat, value: number, saturate = true): number {
  return smallFloatOfBits(type, bitsOfSmallFloat(type, value, saturate));
}

function nanBits(type: SmallFloat): number {
  const { sign, finite, special } = tableOf(type);
  if (special === "nanAtMinusZero") return sign;
  return special === "ieee" ? finite.length + 1 : finite.length === sign ? 0 : finite.length;
}

/** Index of the nearest number of an ascending list that `value` does not exceed; to the even index on a tie. */
function nearest(list: readonly number[], value: number): number {
  let [low, high] = [0, list.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((list[middle] ?? 0) <= value) low = middle;
    else high = middle;
  }
  const [below, above] = [value - (list[low] ?? 0), (list[high] ?? 0) - value];
  if (below === above) return low % 2 === 0 ? low : high;
  return below < above ? low : high;
}
