/** Elements of tensors as literals: numbers, or for small floats and packed types the whole numbers of their bits. */
import { InternalError } from "../diagnostics/define.ts";
import { byteLength, type DType } from "../ir/dtype.ts";
import { formatFloat32, formatFloat64, parseFloat32, parseFloat64 } from "./numbers.ts";

/** How the elements of a type are written, one literal for each unit of `bytes` bytes. */
interface Codec {
  readonly bytes: number;
  /** Text of the unit at a byte offset; a number that text cannot tell apart from others gives its bits too. */
  readonly print: (view: DataView, at: number) => string;
  /** Writes a literal; false where it is not one or out of range. */
  readonly parse: (literal: string, view: DataView, at: number) => boolean;
  /** What is expected, for messages. */
  readonly expected: string;
}

function wholeNumbers(bits: 8 | 16 | 32 | 64, signed: boolean): Codec {
  const bytes = bits / 8;
  const width = BigInt(bits);
  const least = signed ? -(1n << (width - 1n)) : 0n;
  const most = signed ? (1n << (width - 1n)) - 1n : (1n << width) - 1n;
  const sign = signed ? BigInt.asIntN : BigInt.asUintN;
  return {
    bytes,
    print: (view, at) => sign(bits, readBits(view, at, bytes)).toString(),
    parse: (literal, view, at) => {
      if (!/^-?\d{1,20}$/.test(literal)) return false;
      const value = BigInt(literal);
      if (value < least || value > most) return false;
      writeBits(view, at, bytes, value);
      return true;
    },
    expected: `a whole number from ${least} to ${most}`,
  };
}

function floats(bytes: 4 | 8, format: (value: number) => string, parse: (literal: string) => number): Codec {
  return {
    bytes,
    print: (view, at) => {
      const value = bytes === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true);
      if (!Number.isNaN(value)) return format(value);
      return readBits(view, at, bytes) >> BigInt(bytes * 8 - 1) === 1n ? "-nan" : "nan";
    },
    parse: (literal, view, at) => {
      if (!/^-?(\d+\.?\d*(e[+-]?\d+)?|inf|infinity|nan)$/i.test(literal)) return false;
      const value = parse(literal);
      if (Number.isNaN(value)) writeBits(view, at, bytes, quietNaN(bytes, literal.startsWith("-")));
      else if (bytes === 4) view.setFloat32(at, value, true);
      else view.setFloat64(at, value, true);
      return Number.isFinite(value) || /[a-z]{3}/i.test(literal);
    },
    expected: `a number that float${bytes * 8} can hold, inf or nan`,
  };
}

const float32 = floats(4, formatFloat32, parseFloat32);
const float64 = floats(8, formatFloat64, parseFloat64);
const byte = wholeNumbers(8, false);

/** Complex numbers are two literals; types below a byte are written as the bytes that pack them, as ONNX stores them. */
const codecs: Readonly<Record<Exclude<DType, "string">, Codec>> = {
  float32,
  float64,
  complex64: float32,
  complex128: float64,
  float16: wholeNumbers(16, false),
  bfloat16: wholeNumbers(16, false),
  int8: wholeNumbers(8, true),
  int16: wholeNumbers(16, true),
  int32: wholeNumbers(32, true),
  int64: wholeNumbers(64, true),
  uint8: byte,
  uint16: wholeNumbers(16, false),
  uint32: wholeNumbers(32, false),
  uint64: wholeNumbers(64, false),
  bool: byte,
  float8e4m3fn: byte,
  float8e4m3fnuz: byte,
  float8e5m2: byte,
  float8e5m2fnuz: byte,
  float8e8m0: byte,
  float6e2m3: byte,
  float6e3m2: byte,
  float4e2m1: byte,
  uint4: byte,
  int4: byte,
  uint2: byte,
  int2: byte,
};

/** A type whose elements are numbers. */
export type NumericDType = keyof typeof codecs;

/** Literals that a tensor of `size` elements has. */
export function literalCount(dtype: NumericDType, size: number): number {
  return byteLength(dtype, size) / codecs[dtype].bytes;
}

/** What a literal of the type must be, for messages. */
export function expectedLiteral(dtype: NumericDType): string {
  return codecs[dtype].expected;
}

/** Literals of a tensor, and by position the bits of every not-a-number that differs from the usual one of its sign. */
export function printElements(
  dtype: NumericDType,
  data: Uint8Array,
): { readonly literals: readonly string[]; readonly bits: ReadonlyMap<string, string> } {
  const { bytes, print } = codecs[dtype];
  if (data.length % bytes !== 0)
    throw new InternalError(`${data.length} bytes are no whole number of ${dtype}`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const literals: string[] = [];
  const bits = new Map<string, string>();
  for (let at = 0; at < data.length; at += bytes) {
    const literal = print(view, at);
    if (literal.endsWith("nan")) {
      const found = readBits(view, at, bytes);
      const digits = found.toString(16);
      if (found !== quietNaN(bytes, literal.startsWith("-"))) bits.set(String(literals.length), digits);
    }
    literals.push(literal);
  }
  return { literals, bits };
}

/** Collects literals into the bytes of a tensor; memory grows with the literals, not with the tensor's claimed size. */
export class ElementCollector {
  readonly #codec: Codec;
  #view = new DataView(new ArrayBuffer(64));
  #length = 0;

  constructor(dtype: NumericDType) {
    this.#codec = codecs[dtype];
  }

  /** Literals so far. */
  get count(): number {
    return this.#length / this.#codec.bytes;
  }

  /** Adds a literal; false where it is none of the type. */
  add(literal: string): boolean {
    const { bytes, parse } = this.#codec;
    if (this.#length + bytes > this.#view.byteLength) {
      const larger = new Uint8Array(this.#view.byteLength * 2);
      larger.set(new Uint8Array(this.#view.buffer));
      this.#view = new DataView(larger.buffer);
    }
    if (!parse(literal, this.#view, this.#length)) return false;
    this.#length += bytes;
    return true;
  }

  /** Sets the bits of a literal, given in hexadecimal; false where there is no such literal or too many bits. */
  setBits(position: string, hexadecimal: string): boolean {
    const { bytes } = this.#codec;
    const at = Number(position) * bytes;
    if (!/^\d{1,15}$/.test(position) || at >= this.#length) return false;
    if (hexadecimal.length > bytes * 2 || !/^[0-9a-f]+$/.test(hexadecimal)) return false;
    writeBits(this.#view, at, bytes, BigInt(`0x${hexadecimal}`));
    return true;
  }

  /** The bytes of all literals. */
  finish(): Uint8Array {
    return new Uint8Array(this.#view.buffer.slice(0, this.#length));
  }
}

/** The not-a-number of a float32 or float64 that `nan` and `-nan` stand for. */
function quietNaN(bytes: number, negative: boolean): bigint {
  const bits = bytes === 4 ? 0x7fc00000n : 0x7ff8000000000000n;
  return negative ? bits | (1n << BigInt(bytes * 8 - 1)) : bits;
}

function readBits(view: DataView, at: number, bytes: number): bigint {
  if (bytes === 8) return view.getBigUint64(at, true);
  return BigInt(
    bytes === 4 ? view.getUint32(at, true) : bytes === 2 ? view.getUint16(at, true) : view.getUint8(at),
  );
}

function writeBits(view: DataView, at: number, bytes: number, value: bigint): void {
  if (bytes === 8) view.setBigUint64(at, BigInt.asUintN(64, value), true);
  else if (bytes === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
  else if (bytes === 2) view.setUint16(at, Number(BigInt.asUintN(16, value)), true);
  else view.setUint8(at, Number(BigInt.asUintN(8, value)));
}
