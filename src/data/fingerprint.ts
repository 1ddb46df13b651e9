/** What a data set is recognised by when a run goes on: its size, and its first and last example as the model sees them. */
import { createHash } from "node:crypto";
import type { Dataset, FieldRequest } from "./batch.ts";

/** A hash that also changes with the tokenizer, the columns and the length to which inputs are cut. */
export function fingerprint(dataset: Dataset, wanted: readonly FieldRequest[]): string {
  const digest = createHash("sha256").update(String(dataset.rows));
  for (const row of [0, dataset.rows - 1]) {
    for (const [name, { dtype, shape, data }] of Object.entries(dataset.collate([row], wanted))) {
      digest.update(`${name} ${dtype} [${shape}]`);
      digest.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
  }
  return digest.digest("hex").slice(0, 32);
}
