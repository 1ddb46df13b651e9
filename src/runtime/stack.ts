/** Fields of several steps as one field with a new first axis. */
import type { Field } from "../data/batch.ts";
import { InternalError } from "../diagnostics/define.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import { bytesPerElement, viewElements } from "../formats/element-type.ts";

/** @throws DiagnosticError `E_BATCH_SHAPES` when the fields differ in type or shape. */
export function stackFields(name: string, fields: readonly (Field | undefined)[]): Field {
  const [first] = fields;
  if (first === undefined) throw new InternalError(`nothing to stack for "${name}"`);
  const length = first.data.length * bytesPerElement(first.dtype);
  const bytes = new Uint8Array(length * fields.length);
  fields.forEach((field, i) => {
    if (field?.dtype !== first.dtype || field.shape.join() !== first.shape.join()) {
      throw runtimeErrors.E_BATCH_SHAPES(name, `[${first.shape}]`, `[${field?.shape ?? []}]`);
    }
    bytes.set(new Uint8Array(field.data.buffer, field.data.byteOffset, field.data.byteLength), i * length);
  });
  return {
    dtype: first.dtype,
    shape: [fields.length, ...first.shape],
    data: viewElements(first.dtype, bytes),
  };
}
