/** Reads ONNX text token by token, skips comments and keeps the facts that stand in `#!` lines. */
import type { DiagnosticError } from "../diagnostics/define.ts";
import { textErrors } from "../diagnostics/text.ts";
import {
  type Directive,
  type DirectivePlace,
  DirectiveProblem,
  directiveKeys,
  readDirective,
} from "./directive.ts";

interface Pending {
  readonly at: number;
  readonly directive: Directive;
}

/** A position in a text, always at the start of a token. Offsets count UTF-16 units. */
export class Scanner {
  readonly source: string;
  readonly #file: string | undefined;
  #at = 0;
  /** End of the last token, where comments on the same line start. */
  #end = 0;
  #pending: Pending[] = [];

  constructor(source: string, file?: string) {
    this.source = source;
    this.#file = file;
    this.#advance(0);
  }

  /** Offset of the next token. */
  get at(): number {
    return this.#at;
  }

  get done(): boolean {
    return this.#at >= this.source.length;
  }

  /** The next character, "" at the end. */
  peek(): string {
    return this.source[this.#at] ?? "";
  }

  /** Whether `text` comes next; if so it is consumed. */
  matches(text: string): boolean {
    if (!this.source.startsWith(text, this.#at)) return false;
    this.#advance(this.#at + text.length);
    return true;
  }

  /** Consumes `text`. @throws DiagnosticError E_TEXT_SYNTAX where something else stands. */
  expect(text: string): void {
    if (!this.matches(text)) throw this.unexpected(`"${text}"`);
  }

  /** Consumes what a sticky expression matches here. */
  matchPattern(sticky: RegExp): string | undefined {
    const found = this.#peekPattern(sticky);
    if (found !== undefined) this.#advance(this.#at + found.length);
    return found;
  }

  /** The identifier here, not consumed. */
  peekIdentifier(): string | undefined {
    return this.#peekPattern(identifier);
  }

  /** Consumes an identifier. */
  identifier(what: string): string {
    const found = this.matchPattern(identifier);
    if (found === undefined) throw this.unexpected(what);
    return found;
  }

  /** Consumes a quoted string, if one stands here: a backslash takes the character after it as it is. */
  quoted(): string | undefined {
    if (this.peek() !== '"') return undefined;
    const { source } = this;
    const parts: string[] = [];
    let from = this.#at + 1;
    for (let i = from; i < source.length; i++) {
      if (source[i] === '"') {
        parts.push(source.slice(from, i));
        this.#advance(i + 1);
        return parts.join("");
      }
      if (source[i] !== "\\") continue;
      parts.push(source.slice(from, i));
      from = i + 1;
      i += 1;
    }
    throw textErrors.E_TEXT_SYNTAX(this.place(), 'a closing "', "the end of the text");
  }

  /** The comment that follows the last token on its line, without `#`; undefined where there is none. */
  trailingComment(): string | undefined {
    const { source } = this;
    let at = this.#end;
    while (source[at] === " " || source[at] === "\t") at += 1;
    if (source[at] !== "#" || source[at + 1] === "!") return undefined;
    return source.slice(at + 1, endOfLine(source, at)).trim();
  }

  /**
   * The facts in the `#!` line before the next token.
   *
   * @throws DiagnosticError E_TEXT_DIRECTIVE when there are several lines or facts that do not belong to `place`.
   */
  takeDirective(place: DirectivePlace): Directive {
    const [first, second] = this.#pending;
    if (first === undefined) return {};
    const known = directiveKeys[place];
    const foreign = Object.keys(first.directive).find((key) => !known.some((name) => name === key));
    if (place === "document" && foreign !== undefined) return {};
    if (foreign !== undefined) {
      throw textErrors.E_TEXT_DIRECTIVE(
        this.place(first.at),
        `"${foreign}" does not belong to a ${place}`,
        known.join(", "),
      );
    }
    if (place !== "document" && second !== undefined) throw this.#misplaced(second);
    this.#pending.shift();
    return first.directive;
  }

  /** @throws DiagnosticError E_TEXT_DIRECTIVE when a `#!` line stands before something that takes none. */
  rejectDirective(): void {
    const [first] = this.#pending;
    if (first !== undefined) throw this.#misplaced(first);
  }

  /** `file:line:column` of an offset. */
  place(at = this.#at): string {
    const before = this.source.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    return `${this.#file === undefined ? "" : `${this.#file}:`}${line}:${column}`;
  }

  /** The error that something else than `expected` stands here. */
  unexpected(expected: string): DiagnosticError {
    return textErrors.E_TEXT_SYNTAX(this.place(), expected, this.describe());
  }

  /** What stands here, for messages. */
  describe(at = this.#at): string {
    token.lastIndex = at;
    const found = token.exec(this.source)?.[0];
    return found === undefined ? "the end of the text" : JSON.stringify(found.slice(0, 40));
  }

  #misplaced({ at }: Pending): DiagnosticError {
    return textErrors.E_TEXT_DIRECTIVE(
      this.place(at),
      "it stands before nothing that it can speak of",
      "one #! line right before a model, graph, function, value or node",
    );
  }

  #peekPattern(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.#at;
    return sticky.exec(this.source)?.[0];
  }

  #advance(end: number): void {
    const { source } = this;
    this.#end = end;
    let at = end;
    for (;;) {
      while (isSpace(source.charCodeAt(at))) at += 1;
      if (source[at] !== "#") break;
      const stop = endOfLine(source, at);
      if (source[at + 1] === "!") this.#pending.push({ at, directive: this.#readDirective(at, stop) });
      at = stop;
    }
    this.#at = at;
  }

  #readDirective(at: number, stop: number): Directive {
    try {
      return readDirective(this.source.slice(at + 2, stop));
    } catch (error) {
      if (!(error instanceof DirectiveProblem)) throw error;
      throw textErrors.E_TEXT_DIRECTIVE(this.place(at), error.message, error.expected);
    }
  }
}

const identifier = /[A-Za-z_][A-Za-z0-9_]*/y;
const token = /[\w.+-]+|./sy;

/** The white space of the reference parser; other Unicode spaces are no white space there. */
function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

function endOfLine(source: string, from: number): number {
  const end = source.indexOf("\n", from);
  return end < 0 ? source.length : end;
}
