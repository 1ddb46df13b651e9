/**
 * Arrays in NumPy's npy format, versions 1 to 3, on bytes in memory: plain numbers and bool, little-endian.
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { formatErrors } from "../diagnostics/formats.ts";
import {
  bytesPerElement,
  type ElementArray,
  type ElementType,
  viewElements,
  zeroElements,
} from "./element-type.ts";

/** An array of a file, its elements in C order (the last axis runs fastest). */
export interface NpyArray {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  readonly data: ElementArray;
}

/** Type codes without byte order: kind and bytes. */
const dtypes: Readonly<Record<string, ElementType>> = {
  f2: "float16",
  f4: "float32",
  f8: "float64",
  i1: "int8",
  i2: "int16",
  i4: "int32",
  i8: "int64",
  u1: "uint8",
  u2: "uint16",
  u4: "uint32",
  u8: "uint64",
  b1: "bool",
};

/** Why a type code that is not in the table is refused, by its kind. */
const refusals: Readonly<Record<string, string>> = {
  c: "complex numbers",
  O: "Python objects",
  U: "text",
  S: "byte strings",
  V: "raw bytes, as numpy stores bfloat16 and float8",
  M: "dates",
  m: "time spans",
};

/**
 * Decodes an npy file; Fortran order is turned into C order.
 *
 * @throws DiagnosticError `E_NPY_HEADER` or `E_NPY_DTYPE`.
 */
export function decodeNpy(file: Uint8Array, place = "npy data"): NpyArray {
  const { text, dataOffset } = readHeaderText(file, place);
  const { descr, fortran, shape } = parseHeader(text, place);
  const dtype = parseDType(descr, place);
  const data = file.subarray(dataOffset);
  const length = shape.reduce((product, dim) => product * dim, bytesPerElement(dtype));
  if (data.byteLength !== length) {
    const expected = `${length} bytes for ${dtype}[${shape.join(",")}]`;
    throw formatErrors.E_NPY_HEADER(place, expected, `${data.byteLength} bytes`);
  }
  const elements = viewElements(dtype, data);
  return { dtype, shape, data: fortran ? toRowMajor(dtype, shape, elements) : elements };
}

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

function readHeaderText(file: Uint8Array, place: string): { text: string; dataOffset: number } {
  const refuse = (expected: string, got: string): Error => formatErrors.E_NPY_HEADER(place, expected, got);
  if (file.byteLength < 12 || magic.some((byte, i) => file[i] !== byte)) {
    throw refuse("the npy signature", `${file.byteLength} bytes without it`);
  }
  const [major = 0] = file.subarray(6);
  if (major < 1 || major > 3) throw refuse("format version 1, 2 or 3", `version ${major}`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const start = major === 1 ? 10 : 12;
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (start + length > file.byteLength) {
    throw refuse(`a header of at most ${file.byteLength - start} bytes`, `${length} bytes`);
  }
  const text = new TextDecoder(major === 3 ? "utf-8" : "latin1").decode(file.subarray(start, start + length));
  return { text, dataOffset: start + length };
}

/** The header is a Python dict of three keys, which NumPy writes sorted; other writers may not. */
function parseHeader(text: string, place: string): { descr: string; fortran: boolean; shape: number[] } {
  const descr = /'descr'\s*:\s*('[^']*'|\[)/.exec(text)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)\b/.exec(text)?.[1];
  const dims = /'shape'\s*:\s*\(([0-9,\s]*)\)/.exec(text)?.[1];
  if (descr === undefined || order === undefined || dims === undefined) {
    throw formatErrors.E_NPY_HEADER(place, "descr, fortran_order and shape", text.trim().slice(0, 80));
  }
  const shape = dims
    .split(",")
    .map((dim) => dim.trim())
    .filter((dim) => dim !== "")
    .map(Number);
  return { descr, fortran: order === "True", shape };
}

function parseDType(descr: string, place: string): ElementType {
  if (descr === "[") throw formatErrors.E_NPY_DTYPE(place, "of records", "each element has several fields");
  const [, order = "", code = descr] = /^'([<>|=]?)(.*)'$/.exec(descr) ?? [];
  const dtype = dtypes[code];
  if (dtype === undefined) {
    throw formatErrors.E_NPY_DTYPE(place, descr, refusals[code.slice(0, 1)] ?? "not a type of plain numbers");
  }
  if (order === ">") throw formatErrors.E_NPY_DTYPE(place, descr, "big-endian byte order");
  return dtype;
}

/** Moves elements from column-major places (the first axis runs fastest) to row-major ones. */
function toRowMajor(dtype: ElementType, shape: readonly number[], from: ElementArray): ElementArray {
  const strides = columnStrides(shape);
  const to = zeroElements(dtype, from.length);
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0, source = 0; i < to.length; i++) {
    to[i] = from[source] ?? 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const stride = strides[axis] ?? 0;
      const next = (index[axis] ?? 0) + 1;
      if (next < (shape[axis] ?? 0)) {
        index[axis] = next;
        source += stride;
        break;
      }
      source -= stride * (next - 1);
      index[axis] = 0;
    }
  }
  return to;
}

function columnStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (const dim of shape) {
    strides.push(stride);
    stride *= dim;
  }
  return strides;
}
