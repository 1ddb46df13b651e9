/** float16 and bfloat16 as bits: conversion to and from float32, rounding to nearest even (IEEE 754). */

const scratch = new DataView(new ArrayBuffer(4));

/** Bits of a float32 after rounding a number to it. */
function bitsOfNumber(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}

function numberOfBits(bits: number): number {
  scratch.setUint32(0, bits);
  return scratch.getFloat32(0);
}

/** The nearest float16 of a number that is first rounded to float32: subnormals, infinities and NaN included. */
export function float32ToFloat16Bits(value: number): number {
  return narrowToFloat16(bitsOfNumber(value));
}

export function float16BitsToFloat32(bits: number): number {
  return numberOfBits(widenFloat16(bits));
}

/** The nearest bfloat16 of a number that is first rounded to float32; NaN stays NaN. */
export function float32ToBfloat16Bits(value: number): number {
  return narrowToBfloat16(bitsOfNumber(value));
}

export function bfloat16BitsToFloat32(bits: number): number {
  return numberOfBits((bits << 16) >>> 0);
}

/** The number that storing `value` as float16 leaves. */
export function roundToFloat16(value: number): number {
  return float16BitsToFloat32(float32ToFloat16Bits(value));
}

/** The number that storing `value` as bfloat16 leaves. */
export function roundToBfloat16(value: number): number {
  return bfloat16BitsToFloat32(float32ToBfloat16Bits(value));
}

export function float32ToFloat16Array(values: Float32Array): Uint16Array<ArrayBuffer> {
  return convert(bitsOfArray(values), new Uint16Array(values.length), narrowToFloat16);
}

export function float16ToFloat32Array(bits: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(convert(bits, new Uint32Array(bits.length), widenFloat16).buffer);
}

export function float32ToBfloat16Array(values: Float32Array): Uint16Array<ArrayBuffer> {
  return convert(bitsOfArray(values), new Uint16Array(values.length), narrowToBfloat16);
}

export function bfloat16ToFloat32Array(bits: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(convert(bits, new Uint32Array(bits.length), (element) => element << 16).buffer);
}

type Bits = Uint16Array | Uint32Array;

/** A loop, since `TypedArray.from` with a function is several times slower on the weights of a model. */
function convert<T extends Bits>(from: Bits, to: T, one: (bits: number) => number): T {
  for (let i = 0; i < to.length; i++) to[i] = one(from[i] ?? 0);
  return to;
}

function bitsOfArray(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

function narrowToFloat16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 and above round to infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal: the integer nearest to the value in units of 2^-24.
    const units = numberOfBits(magnitude) * 2 ** 24;
    const floor = Math.floor(units);
    const rest = units - floor;
    const up = rest > 0.5 || (rest === 0.5 && floor % 2 === 1);
    return sign | (floor + (up ? 1 : 0));
  }
  const even = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfff + even) >>> 13);
}

function widenFloat16(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return (sign | bitsOfNumber(fraction * 2 ** -24)) >>> 0;
  // Infinities and NaN have the highest exponent in both formats.
  const widened = exponent === 0x1f ? 0xff : exponent + 112;
  return (sign | (widened << 23) | (fraction << 13)) >>> 0;
}

function narrowToBfloat16(bits: number): number {
  // Rounding could carry a NaN over into infinity or zero.
  if ((bits & 0x7fffffff) > 0x7f800000) return ((bits >>> 16) & 0x8000) | 0x7fc0;
  const even = (bits >>> 16) & 1;
  return ((bits + 0x7fff + even) >>> 16) & 0xffff;
}
