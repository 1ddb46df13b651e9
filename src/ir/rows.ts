/** Rows of constant tensors, read or computed only when they are asked for. */
import { byteLength } from "./dtype.ts";
import { countElements } from "./shape.ts";
import { partOfBytes, Tensor } from "./tensor.ts";

/** Rows `start` to `start + size` of a tensor; of a vector, its elements. */
export function rowsOf(
  tensor: Tensor,
  { start, size }: { readonly start: number; readonly size: number },
): Tensor {
  const [, ...rest] = tensor.dims;
  const width = byteLength(tensor.dtype, countElements(rest));
  const compute = (): Uint8Array => partOfBytes(tensor, start * width, (start + size) * width);
  return new Tensor(tensor.dtype, [size, ...rest], { kind: "lazy", compute });
}
