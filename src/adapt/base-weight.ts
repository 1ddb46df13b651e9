/** Starting values that depend on the frozen weight of a site. */
import { dequantizedNow } from "../analysis/quantized-weight.ts";
import type { Site, SiteParameter } from "../analysis/sites.ts";
import { InternalError } from "../diagnostics/define.ts";
import { countElements } from "../ir/shape.ts";
import { fromTensor, type NDArray } from "../ops/ndarray.ts";
import type { Initializer } from "./initializers.ts";

/** A weight in PyTorch's layout, row-major: (rows, columns), where all axes behind the first count as columns. */
interface WeightMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly at: (row: number, column: number) => number;
}

/** The elements of a weight or bias as floats, laid out as the file has them. */
function readParameter(path: string, { value, quantized }: SiteParameter): NDArray {
  const tensor = value.initializer;
  const array = quantized === undefined ? tensor && fromTensor(tensor) : dequantizedNow(quantized);
  if (array === undefined) throw new InternalError(`a parameter of "${path}" has no data`);
  return array;
}

function readWeight({ path, weight }: Site): WeightMatrix {
  const { numbers, shape } = readParameter(path, weight);
  const [first = 0, ...rest] = shape;
  const second = countElements(rest);
  const isTorch = weight.storedAs === "torch";
  // Of several modules in one initializer, those rows that are the site's.
  const { start, size } = weight.rows ?? { start: 0, size: isTorch ? first : second };
  return isTorch
    ? { rows: size, columns: second, at: (row, column) => numbers[(start + row) * second + column] ?? 0 }
    : { rows: size, columns: first, at: (row, column) => numbers[column * second + start + row] ?? 0 };
}

/** Shape of the weight in PyTorch's layout. */
export function weightShape({ weight }: Site): readonly number[] {
  const dims = weight.quantized?.shape ?? weight.value.initializer?.dims ?? [];
  const own = weight.storedAs === "torch" ? dims : [...dims].reverse();
  return weight.rows === undefined ? own : [weight.rows.size, ...own.slice(1)];
}

/** The weight itself, in PyTorch's layout. */
export function baseWeight(site: Site): Initializer {
  return () => weightElements(site);
}

/** Elements of the weight in PyTorch's layout, row-major. */
export function weightElements(site: Site): Float32Array<ArrayBuffer> {
  const { numbers, shape } = readParameter(site.path, site.weight);
  const [first = 0, ...rest] = shape;
  const second = countElements(rest);
  const own = site.weight.rows;
  if (site.weight.storedAs === "torch") {
    const { start, size } = own ?? { start: 0, size: first };
    return Float32Array.from(numbers.subarray(start * second, (start + size) * second));
  }
  const { start, size } = own ?? { start: 0, size: second };
  const turned = new Float32Array(size * first);
  for (let column = 0; column < first; column++)
    for (let row = 0; row < size; row++)
      turned[row * first + column] = numbers[column * second + start + row] ?? 0;
  return turned;
}

/** Chosen rows of the weight, one below the other. */
export function baseRows(site: Site, rows: readonly number[]): Initializer {
  return () => {
    const { columns, at } = readWeight(site);
    return Float32Array.from({ length: rows.length * columns }, (_, i) =>
      at(rows[Math.floor(i / columns)] ?? 0, i % columns),
    );
  };
}

/** Elements of the bias. */
export function biasElements({ path, bias }: Site): Float32Array<ArrayBuffer> {
  if (bias === undefined) throw new InternalError(`"${path}" has no bias`);
  const { start, size } = bias.rows ?? { start: 0, size: undefined };
  const all = Float32Array.from(readParameter(path, bias).numbers);
  return size === undefined ? all : all.slice(start, start + size);
}

/** The bias itself. */
export function baseBias(site: Site): Initializer {
  return () => biasElements(site);
}

/** Euclidean norms of the weight over everything but its output axis: one per output feature, channel or table column. */
export function outputNorms(site: Site): Initializer {
  return () => {
    const { rows, columns, at } = readWeight(site);
    const byColumn = site.kind === "embedding";
    const sums = new Float64Array(byColumn ? columns : rows);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const index = byColumn ? column : row;
        sums[index] = (sums[index] ?? 0) + at(row, column) ** 2;
      }
    }
    return Float32Array.from(sums, Math.sqrt);
  };
}
