/** Transposes of constant matrices and of their columns, made when they are read. */
import { Tensor } from "./tensor.ts";

/** The transpose of a matrix, computed when it is read. */
export function transposedTensor(tensor: Tensor): Tensor {
  const { dtype, dims, source } = transposedColumns(tensor, 0, tensor.dims[1] ?? 0);
  return new Tensor(dtype, dims, source, { name: tensor.name });
}

/** The transpose of the columns from `start` to `end` of a matrix, computed when it is read. */
export function transposedColumns(tensor: Tensor, start: number, end: number): Tensor {
  const [rows = 0, columns = 0] = tensor.dims;
  const width = tensor.byteLength / Math.max(1, tensor.size);
  const compute = (): Uint8Array => {
    const from = tensor.bytes();
    const to = new Uint8Array(rows * (end - start) * width);
    for (let i = 0; i < rows; i++) {
      for (let j = start; j < end; j++) {
        const at = (i * columns + j) * width;
        to.set(from.subarray(at, at + width), ((j - start) * rows + i) * width);
      }
    }
    return to;
  };
  return new Tensor(tensor.dtype, [end - start, rows], { kind: "lazy", compute });
}
