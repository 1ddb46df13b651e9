/** Text of pipelines: a list of names, each with options in braces, and its reader. */
import { passErrors } from "../diagnostics/pass.ts";

/** One word of an option's text. */
export interface OptionWord {
  readonly text: string;
  /** Whether it stood in quotes: then it is text and never a number, a flag or null. */
  readonly quoted: boolean;
}

/** An option as it was written, before its schema gives it a type. */
export class OptionText {
  readonly words: readonly OptionWord[];
  /** Whether it is a list whatever its length: several words, or brackets. */
  readonly isList: boolean;

  constructor(words: readonly OptionWord[], isList: boolean) {
    this.words = words;
    this.isList = isList;
  }
}

/** A name with options, such as `fold{limit=16}`: a pass, and likewise an adapter, a loss or an optimizer. */
export interface Call {
  readonly name: string;
  readonly options: Readonly<Record<string, OptionText>>;
}

/**
 * Reads `a,b{k=v key2="quoted, text" list=x,y}`. Options are separated by spaces or by commas; a comma that no
 * `name=` follows goes on with a list. `[a, b]` is a list too, the only spelling of an empty one. In quotes `\"` and
 * `\\` stand for `"` and `\`. A bare word may carry its own braces: `kind=adamw{lr=1e-3}`.
 *
 * @throws DiagnosticError E_PIPELINE_SYNTAX.
 */
export function parseCalls(text: string): Call[] {
  const reader = new Reader(text);
  const calls: Call[] = [];
  reader.skipSpace();
  if (reader.done) return calls;
  do {
    calls.push(reader.call());
  } while (reader.take(","));
  reader.end();
  return calls;
}

/** Reads one name with options. @throws DiagnosticError E_PIPELINE_SYNTAX. */
export function parseCall(text: string): Call {
  const reader = new Reader(text);
  reader.skipSpace();
  const call = reader.call();
  reader.end();
  return call;
}

/** Writes a word so that reading it gives the same text; text that would read as something else is quoted. */
export function printWord(text: string): string {
  const plain =
    /^[\w.:/+*^$@-]+$/.test(text) && !/^(true|false|null)$/.test(text) && Number.isNaN(Number(text));
  return plain ? text : `"${text.replace(/["\\]/g, (mark) => `\\${mark}`)}"`;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  call(): Call {
    const name = this.#match(/[A-Za-z][\w-]*/y) ?? this.#fail("a name");
    const options: Record<string, OptionText> = {};
    if (this.take("{")) {
      while (!this.take("}")) {
        const key = this.#match(/[A-Za-z][\w-]*/y) ?? this.#fail('an option or "}"');
        options[key] = this.take("=")
          ? this.#value()
          : new OptionText([{ text: "true", quoted: false }], false);
        this.skipSpace();
        this.take(",");
      }
    }
    this.skipSpace();
    return { name, options };
  }

  /** Takes `mark` if it is next, spaces around it included. */
  take(mark: string): boolean {
    const start = this.#at;
    this.skipSpace();
    if (this.#text[this.#at] !== mark) {
      this.#at = start;
      return false;
    }
    this.#at += 1;
    this.skipSpace();
    return true;
  }

  skipSpace(): void {
    this.#match(/\s*/y);
  }

  end(): void {
    if (!this.done) this.#fail('"," or the end');
  }

  #value(): OptionText {
    if (!this.take("[")) {
      const words = [this.#word()];
      while (this.#matchAhead(/\s*,\s*(?!\s|[A-Za-z][\w-]*\s*=|\})/y) && this.take(","))
        words.push(this.#word());
      this.skipSpace();
      return new OptionText(words, words.length > 1);
    }
    const words: OptionWord[] = [];
    while (!this.take("]")) {
      words.push(this.#word());
      if (!this.take(",") && this.#text[this.#at] !== "]") this.#fail('"," or "]"');
    }
    return new OptionText(words, true);
  }

  #word(): OptionWord {
    const quoted = this.#match(/"(?:[^"\\]|\\.)*"/sy);
    if (quoted !== undefined) return { text: quoted.slice(1, -1).replace(/\\(["\\])/g, "$1"), quoted: true };
    const start = this.#at;
    while (this.#match(/[^\s,="[\]{}]+/y) !== undefined || this.#braces()) {}
    if (this.#at === start) this.#fail("a value");
    return { text: this.#text.slice(start, this.#at), quoted: false };
  }

  /** Steps over a balanced pair of braces with all that it holds. */
  #braces(): boolean {
    if (this.#text[this.#at] !== "{") return false;
    let depth = 0;
    do {
      const part = this.#match(/"(?:[^"\\]|\\.)*"|[^"{}]+|[{}]/sy) ?? this.#fail('"}"');
      if (part === "{") depth += 1;
      else if (part === "}") depth -= 1;
    } while (depth > 0);
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #matchAhead(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    return pattern.test(this.#text);
  }

  #fail(expected: string): never {
    throw passErrors.E_PIPELINE_SYNTAX(this.#text, this.#at, expected);
  }
}
