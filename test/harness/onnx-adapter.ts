/** Reads `.onnx_adapter` files, by table offsets alone. */
import { readFileSync } from "node:fs";
import { ByteBuffer } from "flatbuffers";
import { expect } from "vitest";
import { NDArray } from "../../src/ops/ndarray.ts";

/** The version of models that the file is for, and its parameters, all of float32. */
export function readOnnxAdapter(file: string): {
  readonly modelVersion: number;
  readonly parameters: ReadonlyMap<string, NDArray>;
} {
  const bytes = readFileSync(file);
  const buffer = new ByteBuffer(bytes);
  expect(buffer.getBufferIdentifier()).toBe("TORT");
  const root = buffer.readInt32(0);
  const field = (table: number, index: number): number => table + buffer.__offset(table, 4 + 2 * index);
  const list = buffer.__vector(field(root, 3));
  const parameters = new Map<string, NDArray>();
  for (let i = 0; i < buffer.__vector_len(field(root, 3)); i++) {
    const table = buffer.__indirect(list + 4 * i);
    const name = String(buffer.__string(field(table, 0)));
    const [dims, data] = [buffer.__vector(field(table, 1)), buffer.__vector(field(table, 3))];
    const shape = Array.from({ length: buffer.__vector_len(field(table, 1)) }, (_, axis) =>
      Number(buffer.readInt64(dims + 8 * axis)),
    );
    expect(buffer.readInt32(field(table, 2))).toBe(1);
    expect(data % 8).toBe(0);
    const length = buffer.__vector_len(field(table, 3));
    const values = Float64Array.from(
      new Float32Array(Uint8Array.from(bytes.subarray(data, data + length)).buffer),
    );
    parameters.set(name, new NDArray("float32", shape, values));
  }
  return { modelVersion: buffer.readInt32(field(root, 2)), parameters };
}
