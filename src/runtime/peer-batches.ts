/** Batches of an npz file whose arrays hold one batch per row of their first axis, for benchmarks. */
import type { Batch, Field, FieldRequest } from "../data/batch.ts";
import { castField } from "../data/batch.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import { bytesPerElement, viewElements } from "../formats/element-type.ts";
import { NpzReader } from "../formats/npz.ts";
import { readBytes } from "../formats/read-file.ts";

/** Names under which other programs keep inputs and labels where they are not named after the model's. */
const usualNames: Readonly<Record<string, readonly string[]>> = {
  data: ["all_data"],
  input_ids: ["all_data"],
  pixel_values: ["all_data"],
  labels: ["class_labels", "all_labels"],
};

/**
 * Reads all batches. Masks are ones and token types zeros where the file has none; labels of a causal model are its ids.
 *
 * @throws DiagnosticError `E_BATCH_FIELD` for an input that the file has nothing for.
 */
export function readPeerBatches(file: string, wanted: readonly FieldRequest[]): Batch[] {
  const reader = new NpzReader(readBytes(file), file);
  const fields = new Map<string, Field[]>();
  for (const { name, dtype } of wanted) {
    const key = [name, ...(usualNames[name] ?? [])].find((candidate) => reader.names.includes(candidate));
    if (key !== undefined)
      fields.set(
        name,
        rowsOf(reader.array(key)).map((field) => castField(name, field, dtype)),
      );
  }
  const ids = fields.get("data") ?? fields.get("input_ids") ?? fields.get("pixel_values");
  if (ids === undefined) throw runtimeErrors.E_BATCH_FIELD("input_ids", reader.names);
  return ids.map((first, index) =>
    Object.fromEntries(
      wanted.map(({ name, dtype }) => [
        name,
        fields.get(name)?.[index] ?? derived(name, dtype, first, reader.names),
      ]),
    ),
  );
}

function derived(
  name: string,
  dtype: FieldRequest["dtype"],
  ids: Field,
  available: readonly string[],
): Field {
  if (name === "labels") return castField(name, ids, dtype);
  const value = /mask/.test(name) ? 1 : /type/.test(name) ? 0 : undefined;
  if (value === undefined) throw runtimeErrors.E_BATCH_FIELD(name, available);
  const data = new Int32Array(ids.data.length).fill(value);
  return castField(name, { dtype: "int32", shape: ids.shape, data }, dtype);
}

/** An array cut along its first axis. */
function rowsOf({ dtype, shape, data }: Field): Field[] {
  const [count = 0, ...rest] = shape;
  const size = rest.reduce((product, dim) => product * dim, 1) * bytesPerElement(dtype);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return Array.from({ length: count }, (_, i) => ({
    dtype,
    shape: rest,
    data: viewElements(dtype, bytes.slice(i * size, (i + 1) * size)),
  }));
}
