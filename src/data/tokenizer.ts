/** Tokenizers of the Hugging Face library: text to ids with special tokens kept when it is cut, and back. */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { dataErrors } from "../diagnostics/data.ts";
import { readText } from "./read-text.ts";

/** Ids of a text with its special tokens. */
export interface Encoding {
  readonly ids: Int32Array;
  /** Which of two texts each token belongs to, as the tokenizer says it. */
  readonly typeIds: Uint8Array;
  /** Whether tokens were left out to keep within the limit. */
  readonly cut: boolean;
}

/** Ids of a list of words, and which word each token comes from: -1 for special tokens. */
export interface WordEncoding extends Encoding {
  readonly words: Int32Array;
}

export interface EncodeOptions {
  /** A second text. */
  readonly pair?: string;
  /** Most tokens, special ones included. */
  readonly maxLength?: number;
}

/** Of tokenizer.json only what we read ourselves; the library reads the rest. */
const tokenizerSchema = z.looseObject({
  // The library takes other types for one of these, or for a list of words.
  model: z.looseObject({ type: z.enum(["BPE", "WordPiece", "Unigram"]).optional() }),
  padding: z.looseObject({ pad_id: z.int().nonnegative() }).nullish(),
});

const tokenSchema = z
  .union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)])
  .nullish();

/** Of tokenizer_config.json only what we read ourselves. */
const configSchema = z.looseObject({
  pad_token: tokenSchema,
  bos_token: tokenSchema,
  eos_token: tokenSchema,
  model_max_length: z.number().positive().nullish(),
  clean_up_tokenization_spaces: z.boolean().nullish(),
});

/** Names of tokens that are usual where no configuration says which it is. */
const usualTokens = {
  pad: ["[PAD]", "<pad>", "<|padding|>", "<|pad|>"],
  bos: ["<s>", "<|begin_of_text|>", "<bos>"],
  eos: ["</s>", "<|end_of_text|>", "<|endoftext|>", "<eos>"],
};

/** What we use of the library, whose own declarations do not resolve in ES modules (their imports lack extensions). */
interface Library {
  readonly model: { readonly unk_token_id?: number } | null;
  readonly post_processor: {
    readonly config: { readonly type: string };
    readonly post_process: (first: string[], second: string[] | null, addSpecial: boolean) => ProcessedTokens;
  } | null;
  readonly tokenize: (text: string, options: { add_special_tokens: boolean }) => string[];
  readonly token_to_id: (token: string) => number | undefined;
  readonly decode: (
    ids: number[],
    options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean },
  ) => string;
}

interface ProcessedTokens {
  readonly tokens: readonly string[];
  readonly tokens_pair?: readonly string[] | null;
  readonly token_type_ids?: readonly number[];
}

/** Stands for the text where the places of special tokens are looked for; no vocabulary has it. */
const anyToken = "\u0000";

export class Tokenizer {
  /** Id that fills rows up; such positions are masked, so it is 0 where the tokenizer has no padding token. */
  readonly padId: number;
  /** Begins a text; undefined where the vocabulary has no such token. */
  readonly bosId: number | undefined;
  /** Ends a text. */
  readonly eosId: number | undefined;
  /** Longest input of the model, if tokenizer_config.json says so. */
  readonly modelMaxLength: number | undefined;
  readonly #library: Library;
  readonly #cleanUp: boolean;

  /**
   * @param tokenizer Content of tokenizer.json.
   * @param config Content of tokenizer_config.json, `{}` where there is none.
   * @param place Name of the file for messages.
   * @throws DiagnosticError `E_TOKENIZER`.
   */
  constructor(tokenizer: unknown, config: unknown, place: string) {
    const saved = check(tokenizerSchema, tokenizer, place);
    const settings = check(configSchema, config, place);
    try {
      this.#library = new LibraryTokenizer(saved, settings);
    } catch (error) {
      throw dataErrors.E_TOKENIZER(place, error instanceof Error ? error.message : String(error));
    }
    const idOf = (token: string | null | undefined): number | undefined =>
      token === null || token === undefined ? undefined : this.#library.token_to_id(token);
    const usual = (kind: keyof typeof usualTokens): number | undefined =>
      usualTokens[kind].map(idOf).find((id) => id !== undefined);
    this.bosId = idOf(settings.bos_token) ?? usual("bos");
    this.eosId = idOf(settings.eos_token) ?? usual("eos");
    this.padId = idOf(settings.pad_token) ?? saved.padding?.pad_id ?? usual("pad") ?? 0;
    const limit = settings.model_max_length ?? Number.POSITIVE_INFINITY;
    // Transformers writes 1e30 where the length has no limit.
    this.modelMaxLength = limit < 2 ** 31 ? Math.floor(limit) : undefined;
    this.#cleanUp = settings.clean_up_tokenization_spaces ?? false;
  }

  /** Reads a tokenizer.json, and the tokenizer_config.json beside it if there is one. */
  static open(path: string): Tokenizer {
    const config = join(dirname(path), "tokenizer_config.json");
    return new Tokenizer(readJson(path), existsSync(config) ? readJson(config) : {}, path);
  }

  /**
   * Encodes a text or a pair with special tokens. Beyond `maxLength` the longer text is cut first, then both to the
   * same length, always at the end, as the strategy `longest_first` of the reference library does.
   *
   * @throws DiagnosticError `E_MAX_LENGTH` when nothing but special tokens would fit.
   */
  encode(text: string, { pair, maxLength }: EncodeOptions = {}): Encoding {
    const first = this.#tokenize(text);
    const second = pair === undefined ? null : this.#tokenize(pair);
    const room = this.#room(maxLength, second !== null);
    const [keepFirst, keepSecond] = shareRoom(first.length, second?.length ?? 0, room);
    const cut = keepFirst < first.length || keepSecond < (second?.length ?? 0);
    return { ...this.#addSpecial(first.slice(0, keepFirst), second?.slice(0, keepSecond) ?? null), cut };
  }

  /** Ids of a text without special tokens. */
  encodePlain(text: string): number[] {
    return this.#tokenize(text).map((token) => this.#idOf(token));
  }

  /** Encodes words one by one and keeps track of them, for labels that belong to words. */
  encodeWords(words: readonly string[], maxLength?: number): WordEncoding {
    const tokens = words.flatMap((word, index) => this.#tokenize(word).map((token) => ({ token, index })));
    const kept = tokens.slice(0, this.#room(maxLength, false));
    const encoding = this.#addSpecial(
      kept.map(({ token }) => token),
      null,
    );
    const before = this.#process([anyToken], null).tokens.indexOf(anyToken);
    const origin = new Int32Array(encoding.ids.length).fill(-1);
    for (const [i, { index }] of kept.entries()) origin[before + i] = index;
    return { ...encoding, words: origin, cut: kept.length < tokens.length };
  }

  /** Text of ids; special tokens are left out unless asked for. */
  decode(ids: readonly number[], { special = false }: { readonly special?: boolean } = {}): string {
    if (ids.length === 0) return "";
    return this.#library.decode([...ids], {
      skip_special_tokens: !special,
      clean_up_tokenization_spaces: this.#cleanUp,
    });
  }

  /** Tokens of a text; without an unknown token, what the vocabulary has not is left out, as the reference does. */
  #tokenize(text: string): string[] {
    const tokens = this.#library.tokenize(text, { add_special_tokens: false });
    if (this.#library.model?.unk_token_id !== undefined) return tokens;
    return tokens.filter((token) => this.#library.token_to_id(token) !== undefined);
  }

  #idOf(token: string): number {
    return this.#library.token_to_id(token) ?? this.#library.model?.unk_token_id ?? this.padId;
  }

  #room(maxLength: number | undefined, pair: boolean): number {
    if (maxLength === undefined) return Number.POSITIVE_INFINITY;
    const special = this.#process([], pair ? [] : null).tokens.length;
    if (maxLength <= special) throw dataErrors.E_MAX_LENGTH(maxLength, special);
    return maxLength - special;
  }

  #addSpecial(first: string[], second: string[] | null): { ids: Int32Array; typeIds: Uint8Array } {
    const { tokens, types } = this.#process(first, second);
    return { ids: Int32Array.from(tokens, (token) => this.#idOf(token)), typeIds: Uint8Array.from(types) };
  }

  #process(first: string[], second: string[] | null): { tokens: string[]; types: number[] } {
    const processor = this.#library.post_processor;
    const done: ProcessedTokens = processor?.post_process(first, second, true) ?? {
      tokens: first,
      tokens_pair: second,
    };
    // The byte-level processor hands both texts back without joining them.
    const rest = done.tokens_pair ?? [];
    const zeros = done.tokens.map(() => 0);
    // RoBERTa has one type only; the library gives the second text type 1.
    const own = processor?.config.type === "RobertaProcessing" ? undefined : done.token_type_ids;
    return { tokens: [...done.tokens, ...rest], types: [...(own ?? zeros), ...rest.map(() => 1)] };
  }
}

/** How many tokens of two texts are kept: the shorter whole if that leaves the longer at least as much, else halves. */
function shareRoom(first: number, second: number, room: number): readonly [number, number] {
  if (first + second <= room) return [first, second];
  const shorter = Math.min(first, second, Math.floor(room / 2));
  const longer = room - shorter;
  return first > second ? [longer, shorter] : [shorter, longer];
}

function check<T>(schema: z.ZodType<T>, value: unknown, place: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw dataErrors.E_TOKENIZER(place, z.prettifyError(parsed.error));
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readText(path));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw dataErrors.E_TOKENIZER(path, error.message);
  }
}
