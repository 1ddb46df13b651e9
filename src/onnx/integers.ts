/** 64-bit fields of messages as JavaScript numbers, or bigints where a double does not hold them. */

/** A 64-bit field: a number, or its two halves. Decoding gives halves; encoding takes both. */
export type Int64 = number | Halves;

interface Halves {
  /** Lower and upper 32 bits, in two's complement. */
  readonly low: number;
  readonly high: number;
  readonly unsigned: boolean;
}

/** The value of a 64-bit field; 0 where it is absent. */
export function toInt(value: Int64 | undefined): number | bigint {
  if (value === undefined) return 0;
  if (typeof value === "number") return value;
  const high = value.unsigned ? value.high >>> 0 : value.high;
  const rounded = high * 2 ** 32 + (value.low >>> 0);
  return Number.isSafeInteger(rounded) ? rounded : (BigInt(high) << 32n) | BigInt(value.low >>> 0);
}

/** A 64-bit field with the given value, which is taken modulo 2^64. */
export function fromInt(value: number | bigint): Int64 {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  const whole = BigInt(value);
  return {
    low: Number(BigInt.asIntN(32, whole)),
    high: Number(BigInt.asIntN(32, whole >> 32n)),
    unsigned: false,
  };
}
