/** ONNX Runtime's `.onnx_adapter` files: a FlatBuffers table of named tensors that a run of a session activates. */
import { Builder, type Offset } from "flatbuffers";

/** A tensor of an adapter file. */
export interface AdapterParameter {
  /** Name of the model's input that the tensor feeds. */
  readonly name: string;
  /** ONNX's number of the element type, which is also the file's. */
  readonly elementType: number;
  readonly dims: readonly number[];
  /** Elements in row-major order, little-endian. */
  readonly bytes: Uint8Array;
}

const fileIdentifier = "TORT";
const formatVersion = 1;
/** Of the adapter; only its writer gives it a meaning. */
const adapterVersion = 1;

/**
 * The bytes of an adapter file.
 *
 * @param modelVersion of the model that it is for; the runtime does not compare it.
 *
 * Source: ONNX Runtime, adapter file specification (format version 1): `Adapter {format_version, adapter_version,
 * model_version: int32; parameters: [Parameter]}` and `Parameter {name: string; dims: [int64]; data_type: int32;
 * raw_data: [uint8], aligned to 8}`, identifier `TORT`.
 */
export function encodeOnnxAdapter(parameters: readonly AdapterParameter[], modelVersion: number): Uint8Array {
  const builder = new Builder(parameters.reduce((sum, { bytes }) => sum + bytes.length + 128, 1024));
  const offsets = parameters.map((parameter) => addParameter(builder, parameter));
  builder.startVector(4, offsets.length, 4);
  for (const offset of offsets.toReversed()) builder.addOffset(offset);
  const list = builder.endVector();
  builder.startObject(4);
  builder.addFieldInt32(0, formatVersion, 0);
  builder.addFieldInt32(1, adapterVersion, 0);
  builder.addFieldInt32(2, modelVersion, 0);
  builder.addFieldOffset(3, list, 0);
  builder.finish(builder.endObject(), fileIdentifier);
  return builder.asUint8Array();
}

function addParameter(builder: Builder, { name, elementType, dims, bytes }: AdapterParameter): Offset {
  const nameAt = builder.createString(name);
  builder.startVector(8, dims.length, 8);
  for (const dim of dims.toReversed()) builder.addInt64(BigInt(dim));
  const dimsAt = builder.endVector();
  // The runtime maps the file and reads elements of up to 8 bytes where they lie.
  builder.prep(8, bytes.length);
  const dataAt = builder.createByteVector(bytes);
  builder.startObject(4);
  builder.addFieldOffset(0, nameAt, 0);
  builder.addFieldOffset(1, dimsAt, 0);
  builder.addFieldInt32(2, elementType, 0);
  builder.addFieldOffset(3, dataAt, 0);
  return builder.endObject();
}
