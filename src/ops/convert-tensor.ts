/** Float tensors in another float type, converted when they are read. */
import type { DType } from "../ir/dtype.ts";
import { Tensor } from "../ir/tensor.ts";
import { decodeElements, encodeElements } from "./elements.ts";

/** The same elements, rounded to nearest even where the type is narrower; the tensor itself where it has the type. */
export function convertTensor(tensor: Tensor, dtype: DType): Tensor {
  if (tensor.dtype === dtype) return tensor;
  const compute = (): Uint8Array =>
    encodeElements(dtype, decodeElements(tensor.dtype, tensor.bytes(), tensor.size));
  return new Tensor(dtype, tensor.dims, { kind: "lazy", compute }, { name: tensor.name });
}
