/** Plain text for causal language models: one stream of ids, cut into windows. */
import { dataErrors } from "../diagnostics/data.ts";
import { assembleBatch, type Batch, type Dataset, type FieldRequest } from "./batch.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { tokenFieldNames, tokenFields } from "./tokens.ts";

/** Encodes each line with its newline and without special tokens, and joins the lines. */
export function encodeCorpus(tokenizer: Tokenizer, text: string): Int32Array {
  const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  return Int32Array.from(lines.flatMap((line) => tokenizer.encodePlain(line)));
}

/**
 * Splits a text by its characters (code points): the last `heldOut` part of them is kept from training.
 *
 * @param heldOut From 0 to 1.
 */
export function splitByCharacters(text: string, heldOut: number): { train: string; heldOut: string } {
  const trained = Math.floor(countCharacters(text) * (1 - heldOut));
  const at = indexOfCharacter(text, trained);
  return { train: text.slice(0, at), heldOut: text.slice(at) };
}

function countCharacters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) if (isSecondHalf(text, i)) count--;
  return count;
}

/** Place in UTF-16 units of the character with the given number. */
function indexOfCharacter(text: string, character: number): number {
  let at = 0;
  for (let left = character; left > 0; left--) at += isSecondHalf(text, at + 1) ? 2 : 1;
  return at;
}

/** Whether the unit is the second of a surrogate pair, which together are one character. */
function isSecondHalf(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit < 0xe000;
}

export interface WindowOptions {
  /** Tokens of a window. */
  readonly length: number;
  /**
   * Tokens from the beginning of one window to that of the next; `length` unless given. With 1, a random choice of
   * rows is a choice among all windows of the text.
   */
  readonly stride?: number;
  /** Name of the text for messages. */
  readonly source: string;
  readonly labelField?: string;
}

/** Windows of one length over a stream of ids; a shorter rest at the end is left out. Labels are the ids themselves. */
export class TokenWindows implements Dataset {
  readonly rows: number;
  readonly fields: readonly string[];
  readonly #ids: Int32Array;
  readonly #length: number;
  readonly #stride: number;
  readonly #source: string;
  readonly #labelField: string;

  /** @throws DiagnosticError `E_CORPUS_SHORT` when there is not one window. */
  constructor(ids: Int32Array, { length, stride = length, source, labelField = "labels" }: WindowOptions) {
    if (ids.length < length) throw dataErrors.E_CORPUS_SHORT(source, ids.length, length);
    this.rows = Math.floor((ids.length - length) / stride) + 1;
    this.fields = [...tokenFieldNames, labelField];
    this.#ids = ids;
    this.#length = length;
    this.#stride = stride;
    this.#source = source;
    this.#labelField = labelField;
  }

  collate(rows: ArrayLike<number>, wanted: readonly FieldRequest[]): Batch {
    const windows = Array.from(rows, (row) => {
      const ids = this.#ids.subarray(row * this.#stride, row * this.#stride + this.#length);
      return { ids, labels: ids };
    });
    const makers = tokenFields(windows, { padId: 0, length: this.#length }, this.#labelField);
    return assembleBatch(this.#source, makers, wanted);
  }
}
