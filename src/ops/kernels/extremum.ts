/** Maximum and minimum of two elements, 64-bit integers included; NaN wins. */
import type { BinaryFunctions } from "./elementwise.ts";

export const maximum = {
  numbers: Math.max,
  bigints: (x: bigint, y: bigint): bigint => (x > y ? x : y),
} satisfies BinaryFunctions<number>;

export const minimum = {
  numbers: Math.min,
  bigints: (x: bigint, y: bigint): bigint => (x < y ? x : y),
} satisfies BinaryFunctions<number>;
