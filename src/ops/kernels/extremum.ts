/** Maximum and minimum of two elements, 64-bit integers included; NaN wins. */
import type { BinaryFunctions } from "./elementwise.ts";

export const maximum: BinaryFunctions<number> = {
  numbers: Math.max,
  // biome-ignore lint/complexity/useMathMinMax: Math.max takes no bigint
  bigints: (x, y) => (x > y ? x : y),
};

export const minimum: BinaryFunctions<number> = {
  numbers: Math.min,
  // biome-ignore lint/complexity/useMathMinMax: Math.min takes no bigint
  bigints: (x, y) => (x < y ? x : y),
};
