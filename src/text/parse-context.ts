/** What the parts of the parser share while they read one text. */
import { isAbsolute, join } from "node:path";
import { type DiagnosticError, nearNames } from "../diagnostics/define.ts";
import { textErrors } from "../diagnostics/text.ts";
import type { AttributeInt } from "../ir/attribute.ts";
import type { Graph } from "../ir/graph.ts";
import type { ByteRange } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import type { Facts } from "./directive.ts";
import { nestingLimit } from "./grammar.ts";
import type { Scanner } from "./scanner.ts";

/** How a text is read; everything may be left out. */
export interface ParseOptions {
  /** Path of the text, for messages and as the origin of the model. */
  readonly file?: string;
  /** Folder of the weights that the text refers to: that of `file` unless given, else the working folder. */
  readonly folder?: string;
  /** `anywhere` trusts the text to name files outside of that folder, by absolute paths or `..`. */
  readonly locations?: "inside" | "anywhere";
  /** Checks places of data in the way of whoever reads ONNX files, links and sizes included; instead of `locations`. */
  readonly resolve?: ResolveData;
}

/** External data of a tensor as a text claims it. */
interface DataClaim {
  readonly tensor: string;
  readonly location: string;
  readonly offset: number;
  /** Undefined where the text leaves it out: the tensor's own size. */
  readonly length: number | undefined;
}

/** Turns a claim on a file in `folder` into a range of `size` bytes. @throws DiagnosticError where it may not be read. */
type ResolveData = (claim: DataClaim, folder: string, size: number) => ByteRange;

/** State of reading one document. */
export interface ParseContext {
  readonly scanner: Scanner;
  readonly folder: string;
  readonly locations: "inside" | "anywhere";
  readonly resolve: ResolveData | undefined;
  /** Names that stand-ins in the text stand for. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Reads a graph whose nodes see the values of `outer`. */
  readonly readBody: (context: ParseContext, outer: Scope | undefined) => Graph;
  /** Levels of subgraphs around this place. */
  readonly depth: number;
}

/** The context inside of one more subgraph. @throws DiagnosticError E_TEXT_NESTING. */
export function enterGraph(context: ParseContext): ParseContext {
  const depth = context.depth + 1;
  if (depth > nestingLimit) throw textErrors.E_TEXT_NESTING(context.scanner.place(), "graphs", nestingLimit);
  return { ...context, depth };
}

/** Values by name: those of a graph, and through it those of the graphs around. */
export class Scope {
  readonly #values = new Map<string, Value>();
  readonly #outer: Scope | undefined;

  constructor(outer: Scope | undefined) {
    this.#outer = outer;
  }

  /** The value, where this graph itself defines it. */
  own(name: string): Value | undefined {
    return this.#values.get(name);
  }

  find(name: string): Value | undefined {
    return this.#values.get(name) ?? this.#outer?.find(name);
  }

  /** False where this graph has the name already; a name of a graph around is hidden. */
  define(name: string, value: Value): boolean {
    if (this.#values.has(name)) return false;
    this.#values.set(name, value);
    return true;
  }

  /** The value that is read under a name. @throws DiagnosticError E_TEXT_UNDEFINED. */
  resolve(name: string, at: number, scanner: Scanner): Value {
    const value = this.find(name);
    if (value !== undefined) return value;
    const near = name.length > 64 ? [] : nearNames(name, this.suggestions());
    throw textErrors.E_TEXT_UNDEFINED(scanner.place(at), name, near);
  }

  /** Names to suggest: not so many or long that comparing them takes time. */
  suggestions(): string[] {
    const names = [...this.#values.keys(), ...(this.#outer?.suggestions() ?? [])];
    return names.filter((name) => name.length <= 64).slice(0, 2000);
  }
}

/** Consumes a name, quoted or not. */
export function readName(context: ParseContext, what: string): string {
  const { scanner, aliases } = context;
  const spelled = scanner.quoted() ?? scanner.identifier(what);
  return aliases.get(spelled) ?? spelled;
}

/** Consumes a name that cannot be quoted, such as an operator's. */
export function readBareName(context: ParseContext, what: string): string {
  const spelled = context.scanner.identifier(what);
  return context.aliases.get(spelled) ?? spelled;
}

/** Consumes a quoted string. @throws DiagnosticError E_TEXT_SYNTAX where none stands. */
export function readString(scanner: Scanner, what: string): string {
  const text = scanner.quoted();
  if (text === undefined) throw scanner.unexpected(`${what} in quotes`);
  return text;
}

/** Consumes a whole number of 64 bits; a bigint only where a double does not hold it exactly. */
export function readInteger(scanner: Scanner, what: string): AttributeInt {
  const { at } = scanner;
  const literal = scanner.matchPattern(/-?\d+(?![\d.eE])/y);
  if (literal === undefined) throw scanner.unexpected(what);
  const value = literal.length > 20 ? undefined : BigInt(literal);
  if (value === undefined || BigInt.asIntN(64, value) !== value) {
    throw textErrors.E_TEXT_LITERAL(scanner.place(at), "a whole number of 64 bits", scanner.describe(at));
  }
  const number = Number(value);
  return BigInt(number) === value ? number : value;
}

/** Consumes a whole number that a double holds exactly. */
export function readSafeInteger(scanner: Scanner, what: string): number {
  const { at } = scanner;
  const value = Number(readInteger(scanner, what));
  if (Number.isSafeInteger(value)) return value;
  throw textErrors.E_TEXT_LITERAL(scanner.place(at), "a whole number below 2^53", scanner.describe(at));
}

/** Consumes items with commas between, none or more, and then `close`. */
export function readList(scanner: Scanner, close: string, readItem: () => void): void {
  if (scanner.matches(close)) return;
  do readItem();
  while (scanner.matches(","));
  if (!scanner.matches(close)) throw scanner.unexpected(`"," or "${close}"`);
}

/** The absolute path of a location in the text. @throws DiagnosticError E_TEXT_LOCATION. */
export function locate({ scanner, folder, locations }: ParseContext, location: string, at: number): string {
  if (isAbsolute(location)) {
    if (locations === "anywhere") return location;
  } else if (
    location !== "" &&
    (locations === "anywhere" || !/^[a-z]:|\0|(^|[\\/])\.\.([\\/]|$)/i.test(location))
  ) {
    return join(folder, location);
  }
  throw textErrors.E_TEXT_LOCATION(scanner.place(at), location, folder);
}

/** The error that a directive says something impossible of the tensor or attribute before `at`. */
export function badFacts(
  context: ParseContext,
  at: number,
  problem: string,
  expected: string,
): DiagnosticError {
  return textErrors.E_TEXT_DIRECTIVE(context.scanner.place(at), problem, expected);
}

/** The facts on element `index`, none where there are none. */
export function itemFacts(facts: Facts, index: number): Facts {
  return facts.items?.get(String(index)) ?? {};
}
