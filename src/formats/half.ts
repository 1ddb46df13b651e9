/** float16 and bfloat16 as bits: conversion to and from float32, rounding to nearest even (IEEE 754). */

const view = new DataView(new ArrayBuffer(4));

/** Bits of a float32 after rounding a number to it. */
function float32Bits(value: number): number {
  view.setFloat32(0, value);
  return view.getUint32(0);
}

function float32FromBits(bits: number): number {
  view.setUint32(0, bits);
  return view.getFloat32(0);
}

/** The nearest bfloat16 of a number that is first rounded to float32; NaN stays NaN. */
export function float32ToBfloat16Bits(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  const bits = float32Bits(value);
  const even = (bits >>> 16) & 1;
  return ((bits + 0x7fff + even) >>> 16) & 0xffff;
}

export function bfloat16BitsToFloat32(bits: number): number {
  return float32FromBits((bits << 16) >>> 0);
}

/** The nearest float16 of a number that is first rounded to float32: subnormals, infinities and NaN included. */
export function float32ToFloat16Bits(value: number): number {
  const bits = float32Bits(value);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 and above round to infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal: the integer nearest to the value in units of 2^-24.
    const units = float32FromBits(magnitude) * 2 ** 24;
    const floor = Math.floor(units);
    const rest = units - floor;
    const up = rest > 0.5 || (rest === 0.5 && floor % 2 === 1);
    return sign | (floor + (up ? 1 : 0));
  }
  const even = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfff + even) >>> 13);
}

export function float16BitsToFloat32(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
