/** 64-bit fields of messages as JavaScript numbers, or bigints where a double does not hold them. */
import Long from "long";
import type { Int64 } from "./messages.ts";

export function toInt(value: Int64 | undefined): number | bigint {
  if (value === undefined) return 0;
  if (typeof value === "number") return value;
  const number = value.toNumber();
  return Number.isSafeInteger(number) ? number : BigInt(value.toString());
}

export function fromInt(value: number | bigint): Int64 {
  return typeof value === "number" && Number.isSafeInteger(value) ? value : Long.fromString(String(value));
}
