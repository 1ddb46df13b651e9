/** A scanner for the JSON of file headers: objects with distinct names, strings and lists of whole numbers, no more. */
import { formatErrors } from "../diagnostics/formats.ts";

/** Characters of the text that a message quotes. */
const excerptLength = 24;

export class HeaderScanner {
  readonly #text: string;
  readonly #place: string;
  #at = 0;

  constructor(text: string, place: string) {
    this.#text = text;
    this.#place = place;
  }

  /** Reads an object; `member` is called after each name and must read the value. */
  object(member: (name: string) => void): void {
    const names = new Set<string>();
    this.#sequence("{", "}", () => {
      const name = this.string();
      if (names.has(name)) this.fail("every name once", `"${name}" twice`);
      names.add(name);
      this.#expect(":");
      member(name);
    });
  }

  string(): string {
    this.#skipSpace();
    const end = this.#stringEnd();
    try {
      const value: unknown = JSON.parse(this.#text.slice(this.#at, end));
      // Half of a surrogate pair can be written as an escape, but is no character.
      if (typeof value === "string" && !/\p{Surrogate}/u.test(value)) {
        this.#at = end;
        return value;
      }
    } catch {
      // A control character, a bad escape or no string at all.
    }
    return this.fail("a JSON string");
  }

  /** Just after the first quote that closes what opens here. */
  #stringEnd(): number {
    let at = this.#at + 1;
    while (at < this.#text.length && this.#text[at] !== '"') at += this.#text[at] === "\\" ? 2 : 1;
    return at + 1;
  }

  /** Reads a list of whole numbers from 0 to 2^53 - 1, written without sign, point or exponent. */
  wholeNumbers(): number[] {
    const numbers: number[] = [];
    this.#sequence("[", "]", () => {
      this.#skipSpace();
      const value = Number(this.#match(/(?:0|[1-9][0-9]*)(?![0-9.eE])/y) ?? Number.NaN);
      if (!Number.isSafeInteger(value)) this.fail("a whole number from 0 to 2^53 - 1");
      numbers.push(value);
    });
    return numbers;
  }

  /** Checks that nothing but space follows. */
  end(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) this.fail("nothing after the header's object");
  }

  /** @throws DiagnosticError `E_SAFETENSORS_HEADER` for the place that was reached. */
  fail(expected: string, got = this.#excerpt()): never {
    throw formatErrors.E_SAFETENSORS_HEADER(
      this.#place,
      `${expected} (character ${this.#at} of the header)`,
      got,
    );
  }

  #sequence(open: string, close: string, element: () => void): void {
    this.#expect(open);
    if (this.#accept(close)) return;
    do element();
    while (this.#accept(","));
    this.#expect(close);
  }

  #expect(mark: string): void {
    if (!this.#accept(mark)) this.fail(`"${mark}"`);
  }

  #accept(mark: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== mark) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    this.#match(/[ \t\n\r]*/y);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #excerpt(): string {
    const rest = this.#text.slice(this.#at, this.#at + excerptLength);
    return rest === "" ? "the end of the header" : JSON.stringify(rest);
  }
}
