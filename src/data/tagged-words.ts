/** Rows of words with a label each, for token classification. */
import { dataErrors } from "../diagnostics/data.ts";
import { assembleBatch, type Batch, type Dataset, type FieldRequest } from "./batch.ts";
import { type Column, listCell, rowAt } from "./columns.ts";
import { idLookup } from "./labels.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { ignoredLabel, type Padding, type TokenRow, tokenFieldNames, tokenFields } from "./tokens.ts";

export interface TaggedWordsOptions {
  readonly tokenizer: Tokenizer;
  /** Words of each row: a list in JSON lines, else separated by spaces. */
  readonly words: Column;
  /** Label names, as many as words. */
  readonly tags: Column;
  readonly names: readonly string[];
  readonly labelField?: string;
  readonly maxLength?: number;
  /** Length of every batch; else each is as long as its longest row. */
  readonly length?: number;
}

/** Label names of all words, in the order in which they first occur. */
export function tagNames(tags: Column): string[] {
  return [...new Set(tags.table.rows.flatMap((row) => listCell(tags, row, /\s+/)))];
}

/** The first token of each word carries the word's label; the others, and special tokens, are left out of the loss. */
export class TaggedWords implements Dataset {
  readonly rows: number;
  readonly fields: readonly string[];
  readonly #sequences: readonly TokenRow[];
  readonly #padding: Padding;
  readonly #labelField: string;
  readonly #file: string;
  /** How many rows were longer than the limit. */
  readonly cutRows: number;

  /** @throws DiagnosticError `E_CELL`, `E_TAG_COUNT`, `E_LABEL_UNKNOWN` or `E_MAX_LENGTH`. */
  constructor(options: TaggedWordsOptions) {
    const { tokenizer, words, labelField = "labels", length } = options;
    const encoded = words.table.rows.map((_, index) => encodeRow(options, index));
    this.rows = encoded.length;
    this.fields = [...tokenFieldNames, labelField];
    this.cutRows = encoded.filter(({ cut }) => cut).length;
    this.#sequences = encoded;
    this.#padding = { padId: tokenizer.padId, length: length ?? "longest" };
    this.#labelField = labelField;
    this.#file = words.table.file;
  }

  collate(rows: ArrayLike<number>, wanted: readonly FieldRequest[]): Batch {
    const sequences = Array.from(rows, (row) => this.#sequences[row] ?? { ids: new Int32Array() });
    return assembleBatch(this.#file, tokenFields(sequences, this.#padding, this.#labelField), wanted);
  }
}

function encodeRow(options: TaggedWordsOptions, index: number): TokenRow & { readonly cut: boolean } {
  const { tokenizer, words, tags, names, maxLength, length } = options;
  const row = rowAt(words, index);
  const list = listCell(words, row, /\s+/);
  const labels = listCell(tags, row, /\s+/).map((tag) => idLookup(names)(tags, row, tag));
  if (list.length !== labels.length) {
    throw dataErrors.E_TAG_COUNT(words.table.file, row.line, list.length, labels.length);
  }
  const limit = Math.min(maxLength ?? Number.POSITIVE_INFINITY, length ?? Number.POSITIVE_INFINITY);
  const {
    ids,
    typeIds,
    words: origin,
    cut,
  } = tokenizer.encodeWords(list, Number.isFinite(limit) ? limit : undefined);
  const byToken = origin.map((word, i) =>
    word === origin[i - 1] ? ignoredLabel : (labels[word] ?? ignoredLabel),
  );
  return { ids, typeIds, labels: byToken, cut };
}
