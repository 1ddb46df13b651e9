/** Labelled rows of text as token sequences, encoded when they are first used. */
import { assembleBatch, type Batch, type Dataset, type Field, type FieldRequest } from "./batch.ts";
import { type Column, rowAt, textCell } from "./columns.ts";
import type { RowLabels } from "./labels.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { type Padding, type TokenRow, tokenFieldNames, tokenFields } from "./tokens.ts";

export interface TextRowsOptions {
  readonly tokenizer: Tokenizer;
  readonly text: Column;
  /** Second text of a pair. */
  readonly pair?: Column;
  /** Labels of rows; `"next-token"` makes each row's own ids its labels; without labels there is no such field. */
  readonly labels?: RowLabels | "next-token";
  readonly labelField?: string;
  /** Most tokens of a row; longer ones are cut and counted. */
  readonly maxLength?: number;
  /** Length of every batch, which then also limits rows; else each batch is as long as its longest row. */
  readonly length?: number;
}

export class TextRows implements Dataset {
  readonly rows: number;
  readonly fields: readonly string[];
  readonly #options: TextRowsOptions;
  readonly #padding: Padding;
  readonly #labelField: string;
  readonly #encoded: (TokenRow | undefined)[];
  readonly lengthOf: ((row: number) => number) | undefined;
  /** Rows that were longer than the limit: those encoded, and those of them that were put into batches. */
  readonly #long = new Set<number>();
  readonly #cut = new Set<number>();

  constructor(options: TextRowsOptions) {
    const { tokenizer, text, labels, labelField = "labels", length } = options;
    this.rows = text.table.rows.length;
    this.fields = labels === undefined ? tokenFieldNames : [...tokenFieldNames, labelField];
    this.#options = options;
    this.#padding = { padId: tokenizer.padId, length: length ?? "longest" };
    this.#labelField = labelField;
    this.#encoded = new Array<undefined>(this.rows).fill(undefined);
    // Tokens, although all must be encoded first: in batches that are alike in characters, six times as much is padding.
    this.lengthOf = length === undefined ? (row) => this.#encode(row).ids.length : undefined;
  }

  /** How many of the rows used so far were longer than the limit. */
  get cutRows(): number {
    return this.#cut.size;
  }

  collate(rows: ArrayLike<number>, wanted: readonly FieldRequest[]): Batch {
    const { text, labels } = this.#options;
    const sequences = Array.from(rows, (row) => this.#encode(row));
    for (const row of Array.from(rows)) if (this.#long.has(row)) this.#cut.add(row);
    const byToken = labels === "next-token";
    const makers: Map<string, () => Field> = tokenFields(
      sequences,
      this.#padding,
      byToken ? this.#labelField : undefined,
    );
    if (labels !== undefined && !byToken) makers.set(this.#labelField, () => labels.collate(rows));
    return assembleBatch(text.table.file, makers, wanted);
  }

  #encode(index: number): TokenRow {
    const known = this.#encoded[index];
    if (known !== undefined) return known;
    const { tokenizer, text, pair, labels, maxLength, length } = this.#options;
    const row = rowAt(text, index);
    const limit = Math.min(maxLength ?? Number.POSITIVE_INFINITY, length ?? Number.POSITIVE_INFINITY);
    const { ids, typeIds, cut } = tokenizer.encode(textCell(text, row), {
      ...(pair === undefined ? {} : { pair: textCell(pair, row) }),
      ...(Number.isFinite(limit) ? { maxLength: limit } : {}),
    });
    if (cut) this.#long.add(index);
    const encoded = { ids, typeIds, ...(labels === "next-token" ? { labels: ids } : {}) };
    this.#encoded[index] = encoded;
    return encoded;
  }
}
