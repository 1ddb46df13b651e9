/** Transposes of constant matrices, made when they are read. */
import { Tensor } from "./tensor.ts";

/** The transpose of a matrix, computed when it is read. */
export function transposedTensor(tensor: Tensor): Tensor {
  const [rows = 0, columns = 0] = tensor.dims;
  const width = tensor.byteLength / Math.max(1, tensor.size);
  const compute = (): Uint8Array => {
    const from = tensor.bytes();
    const to = new Uint8Array(rows * columns * width);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        const at = (i * columns + j) * width;
        to.set(from.subarray(at, at + width), (j * rows + i) * width);
      }
    }
    return to;
  };
  return new Tensor(tensor.dtype, [columns, rows], { kind: "lazy", compute }, { name: tensor.name });
}
