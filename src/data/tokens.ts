/** Token sequences put together to padded batches: ids, mask, types, positions and labels by token. */
import { type Field, integerField } from "./batch.ts";

/** One sequence. */
export interface TokenRow {
  readonly ids: Int32Array;
  /** Token types; all 0 where it is absent. */
  readonly typeIds?: Uint8Array;
  /** A label for each token, {@link ignoredLabel} where none counts. */
  readonly labels?: Int32Array;
}

/** The label that losses leave out, as PyTorch's `ignore_index`. */
export const ignoredLabel = -100;

/** How sequences are brought to one length; always on the right. */
export interface Padding {
  readonly padId: number;
  /** Length of every batch, or that of the longest sequence of each. */
  readonly length: number | "longest";
}

/** Names of the fields that every token sequence gives. */
export const tokenFieldNames = ["input_ids", "attention_mask", "token_type_ids", "position_ids"] as const;

/**
 * Makers of the token fields, each of shape [rows, length].
 *
 * @param labelField Name of the field for labels by token; left out where the rows have none.
 */
export function tokenFields(
  rows: readonly TokenRow[],
  { padId, length }: Padding,
  labelField?: string,
): Map<string, () => Field> {
  const width = length === "longest" ? Math.max(0, ...rows.map(({ ids }) => ids.length)) : length;
  const fill = (pad: number, values: (row: TokenRow) => ArrayLike<number>): Field => {
    const data = new Int32Array(rows.length * width).fill(pad);
    for (const [i, row] of rows.entries()) data.set(values(row), i * width);
    return integerField(data, [rows.length, width]);
  };
  const makers = new Map([
    ["input_ids", () => fill(padId, ({ ids }) => ids)],
    ["attention_mask", () => fill(0, ({ ids }) => new Int32Array(ids.length).fill(1))],
    ["token_type_ids", () => fill(0, ({ typeIds }) => typeIds ?? [])],
    // Positions count on through the padding, which is masked.
    ["position_ids", () => fill(0, () => Int32Array.from({ length: width }, (_, position) => position))],
  ]);
  if (labelField !== undefined)
    makers.set(labelField, () => fill(ignoredLabel, ({ labels }) => labels ?? []));
  return makers;
}
