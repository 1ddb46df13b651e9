/** How files lay out the numbers of quantised weights: what it takes to write other numbers in their place. */
import { inlineTensor } from "../ir/constant.ts";
import type { Tensor } from "../ir/tensor.ts";
import { encodeElements } from "../ops/elements.ts";

export interface NumberLayout {
  readonly lowest: number;
  readonly highest: number;
  /** Whether a weight is `scale * (number - zero)`, with scale and zero of its own; else numbers are places in a table. */
  readonly linear: boolean;
  /** A tensor such as the file's, of numbers in the order of the weight's elements. */
  readonly pack: (numbers: Float64Array<ArrayBuffer>) => Tensor;
}

const ranges: Readonly<Record<string, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int4: [-8, 7],
  uint4: [0, 15],
  int16: [-32768, 32767],
  uint16: [0, 65535],
};

/** One element of the tensor for each of the weight; undefined for types that are no whole numbers of few bits. */
export function plainLayout({ dtype, dims, name }: Tensor): NumberLayout | undefined {
  const range = ranges[dtype];
  if (range === undefined) return undefined;
  const [lowest, highest] = range;
  return {
    lowest,
    highest,
    linear: true,
    pack: (numbers) => inlineTensor(dtype, dims, encodeElements(dtype, numbers), name),
  };
}

export interface PackedForm {
  readonly bits: number;
  /** Rows that start at a byte of their own, and numbers in each, behind which a row may be filled up. */
  readonly rows: number;
  readonly columns: number;
  readonly first?: "low" | "high";
  readonly linear?: boolean;
}

/** Several numbers to a byte; undefined for numbers that would lie across two. */
export function packedLayout(
  { dtype, dims, name, size }: Tensor,
  form: PackedForm,
): NumberLayout | undefined {
  const { bits, rows, columns, first = "low", linear = true } = form;
  const each = 8 / bits;
  if (!Number.isInteger(each) || size % rows !== 0) return undefined;
  const rowBytes = size / rows;
  const pack = (numbers: Float64Array<ArrayBuffer>): Tensor => {
    const bytes = new Uint8Array(size);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const at = row * rowBytes + Math.floor(column / each);
        const place = first === "low" ? column % each : each - 1 - (column % each);
        bytes[at] = (bytes[at] ?? 0) | ((numbers[row * columns + column] ?? 0) << (place * bits));
      }
    }
    return inlineTensor(dtype, dims, bytes, name);
  };
  return { lowest: 0, highest: 2 ** bits - 1, linear, pack };
}
