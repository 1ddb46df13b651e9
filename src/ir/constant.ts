/** Constants as the rest of the compiler sees them: data of a value whatever way the file says it, and new ones. */
import { byteLength, type DType } from "./dtype.ts";
import { countElements } from "./shape.ts";
import { Tensor } from "./tensor.ts";
import type { Value } from "./value.ts";

/**
 * Data of a value that cannot change at run time: an initializer that is no graph input, or the result of a
 * Constant node that holds a tensor. Undefined for everything else.
 */
export function constantOf(value: Value | null | undefined): Tensor | undefined {
  if (value == null) return undefined;
  if (value.initializer !== undefined)
    return value.graph?.initializers.has(value) ? value.initializer : undefined;
  const node = value.producer;
  if (node === undefined || node.op !== "Constant" || node.domain !== "") return undefined;
  return constantNodeTensor(node.attributes);
}

function constantNodeTensor(attributes: NonNullable<Value["producer"]>["attributes"]): Tensor | undefined {
  for (const attribute of attributes.values()) {
    switch (attribute.kind) {
      case "tensor":
        return attribute.value;
      case "int":
        return int64Tensor([attribute.value], []);
      case "ints":
        return int64Tensor(attribute.value);
      case "float":
        return float32Tensor([attribute.value], []);
      case "floats":
        return float32Tensor(attribute.value);
    }
  }
  return undefined;
}

/** A tensor over bytes that lie in memory. */
export function inlineTensor(dtype: DType, dims: readonly number[], bytes: Uint8Array, name = ""): Tensor {
  return new Tensor(dtype, dims, { kind: "inline", bytes }, { name });
}

/** A float32 tensor of the given elements; a vector unless `dims` says otherwise. */
export function float32Tensor(values: readonly number[], dims: readonly number[] = [values.length]): Tensor {
  return inlineTensor("float32", dims, new Uint8Array(Float32Array.from(values).buffer));
}

/** An int64 tensor of the given elements; a vector unless `dims` says otherwise. */
export function int64Tensor(
  values: readonly (number | bigint)[],
  dims: readonly number[] = [values.length],
): Tensor {
  return inlineTensor("int64", dims, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
}

/** The elements of an int64 or int32 constant of at most `limit` elements, as numbers. */
export function smallIntegers(tensor: Tensor | undefined, limit = 1024): readonly number[] | undefined {
  if (tensor === undefined || tensor.size > limit) return undefined;
  const bytes = Uint8Array.from(tensor.dtype === "int64" || tensor.dtype === "int32" ? tensor.bytes() : []);
  if (tensor.dtype === "int64") return Array.from(new BigInt64Array(bytes.buffer), Number);
  return tensor.dtype === "int32" ? Array.from(new Int32Array(bytes.buffer)) : undefined;
}

/** A tensor whose bytes are all zero and are made only when read. */
export function zeroTensor(dtype: DType, dims: readonly number[]): Tensor {
  const length = byteLength(dtype, countElements(dims));
  const part = (start: number, end: number): Uint8Array => new Uint8Array(end - start);
  return new Tensor(dtype, dims, { kind: "lazy", compute: () => part(0, length), part });
}
