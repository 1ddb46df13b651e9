/** Runs models in onnxruntime-node on the CPU, as bytes that our writer makes. */
import { InferenceSession, Tensor } from "onnxruntime-node";
import { type DType, dtypes } from "../../src/ir/dtype.ts";
import type { Model } from "../../src/ir/model.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import { decodeElements, encodeElements } from "../../src/ops/elements.ts";
import type { Environment } from "../../src/ops/evaluate.ts";
import { NDArray } from "../../src/ops/ndarray.ts";

/** Runs a model on the arrays of its inputs and gives its outputs in order. */
export async function runModel(
  model: Model,
  feeds: Environment,
  options: InferenceSession.SessionOptions = {},
): Promise<NDArray[]> {
  const session = await InferenceSession.create(encodeModel(model), {
    logSeverityLevel: 3,
    intraOpNumThreads: 1,
    ...options,
  });
  try {
    const inputs = model.graph.inputs.flatMap((input) => {
      const array = feeds.get(input);
      return array === undefined ? [] : [[input.name, toRuntime(array)] as const];
    });
    const results = await session.run(Object.fromEntries(inputs));
    return model.graph.outputs.map((output) => {
      const tensor = results[output.name];
      if (tensor === undefined) throw new Error(`the runtime gave no "${output.name}"`);
      return fromRuntime(tensor);
    });
  } finally {
    await session.release();
  }
}

type Maker = (buffer: ArrayBuffer, shape: readonly number[]) => Tensor;

const makers: Partial<Record<DType, Maker>> = {
  float32: (buffer, shape) => new Tensor("float32", new Float32Array(buffer), shape),
  float64: (buffer, shape) => new Tensor("float64", new Float64Array(buffer), shape),
  float16: (buffer, shape) => new Tensor("float16", new Uint16Array(buffer), shape),
  int8: (buffer, shape) => new Tensor("int8", new Int8Array(buffer), shape),
  int16: (buffer, shape) => new Tensor("int16", new Int16Array(buffer), shape),
  int32: (buffer, shape) => new Tensor("int32", new Int32Array(buffer), shape),
  int64: (buffer, shape) => new Tensor("int64", new BigInt64Array(buffer), shape),
  uint8: (buffer, shape) => new Tensor("uint8", new Uint8Array(buffer), shape),
  uint16: (buffer, shape) => new Tensor("uint16", new Uint16Array(buffer), shape),
  uint32: (buffer, shape) => new Tensor("uint32", new Uint32Array(buffer), shape),
  uint64: (buffer, shape) => new Tensor("uint64", new BigUint64Array(buffer), shape),
  bool: (buffer, shape) => new Tensor("bool", new Uint8Array(buffer), shape),
};

/** An array as the tensor of an input. */
export function toRuntime(array: NDArray): Tensor {
  if (Array.isArray(array.data)) return new Tensor("string", array.data, array.shape);
  const make = makers[array.dtype];
  if (make === undefined) throw new Error(`the runtime takes no ${array.dtype} at its boundary`);
  return make(Uint8Array.from(encodeElements(array.dtype, array.data)).buffer, array.shape);
}

/** An output tensor as an array. */
export function fromRuntime({ type, data, dims, size }: Tensor): NDArray {
  const dtype = dtypes.find((known) => known === type);
  if (dtype === "string" && Array.isArray(data)) return new NDArray(dtype, dims, data.map(String));
  if (dtype === undefined || Array.isArray(data)) throw new Error(`the runtime gave ${type}`);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return new NDArray(dtype, dims, decodeElements(dtype, bytes, size));
}
