/** Facts that the grammar has no place for, as JSON in comments that start with `#!` before the thing they speak of. */
import { directiveMark } from "./grammar.ts";

/** What a directive may say of an attribute, a tensor or a string. */
export interface Facts {
  /** Name of a tensor, where it is not that of its value. */
  readonly name?: string | undefined;
  readonly doc?: string | undefined;
  /** The data was left out in printing. */
  readonly elided?: true | undefined;
  /** Elements that are not-a-number with other bits than the usual: position to bits in hexadecimal. */
  readonly bits?: ReadonlyMap<string, string> | undefined;
  /** A string that quotes cannot hold. */
  readonly text?: string | undefined;
  /** A string that is not UTF-8. */
  readonly base64?: string | undefined;
  /** Tensors that stand for one sparse tensor, or a list of them: values, indices, dimensions. */
  readonly sparse?: "one" | "list" | undefined;
  /** Facts on the elements of a list or of a tensor of strings, by position. */
  readonly items?: ReadonlyMap<string, Facts> | undefined;
}

/** What a directive may say of a value. */
export interface ValueFacts {
  readonly doc?: string | undefined;
  readonly metadata?: ReadonlyMap<string, string> | undefined;
  readonly tensor?: Facts | undefined;
}

/** What directives may say; `directiveKeys` tells which part belongs where. */
export interface Directive extends ValueFacts {
  /** Stand-ins used in the text, and the names they stand for. */
  readonly aliases?: ReadonlyMap<string, string> | undefined;
  /** Strings of the model's header that quotes cannot hold. */
  readonly header?: ReadonlyMap<string, string> | undefined;
  /** Metadata of the model, where quotes cannot hold it. */
  readonly properties?: ReadonlyMap<string, string> | undefined;
  /** Results of a node, by name. */
  readonly values?: ReadonlyMap<string, ValueFacts> | undefined;
  /** Attributes of a node or defaults of a function, by name. */
  readonly attributes?: ReadonlyMap<string, Facts> | undefined;
}

/** A thing that a directive can stand before. */
export type DirectivePlace = "document" | "graph" | "function" | "value" | "node";

/** What a directive may say in each place. */
export const directiveKeys: Readonly<Record<DirectivePlace, readonly (keyof Directive)[]>> = {
  document: ["aliases", "header", "properties"],
  graph: ["doc", "metadata"],
  function: ["doc", "metadata", "attributes"],
  value: ["doc", "metadata", "tensor"],
  node: ["doc", "metadata", "values", "attributes"],
};

/** The comment of a directive, undefined where it would say nothing. */
export function printDirective(directive: Directive): string | undefined {
  const json = JSON.stringify(directive, replaceMaps, 1);
  if (json === "{}") return undefined;
  // Line breaks in JSON are only between its tokens: inside of strings they are escaped.
  return `${directiveMark} ${json
    .replace(/(?<=[{[])\n */g, "")
    .replace(/\n *(?=[}\]])/g, "")
    .replace(/\n */g, " ")}`;
}

/** A Map as the object with its entries. */
function replaceMaps(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value;
}

/** Facts, or undefined where there are none, so that they can be left out. */
export function someFacts<T extends object>(facts: T): T | undefined {
  return Object.values(facts).every((fact) => fact === undefined) ? undefined : facts;
}

/** A map without the entries that are undefined, or undefined where none is left. */
export function someEntries<V>(
  entries: Iterable<readonly [string, V | undefined]>,
): Map<string, V> | undefined {
  const kept = new Map<string, V>();
  for (const [key, value] of entries) if (value !== undefined) kept.set(key, value);
  return kept.size === 0 ? undefined : kept;
}

type Reader<T> = (json: unknown, path: string) => T;

/** What is wrong with a directive; the scanner turns it into a diagnostic with a place. */
export class DirectiveProblem extends Error {
  readonly expected: string;

  constructor(problem: string, expected: string) {
    super(problem);
    this.expected = expected;
  }
}

/** Reads the JSON of a directive. Throws {@link DirectiveProblem}. */
export function readDirective(text: string): Directive {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new DirectiveProblem("it is not JSON", "a JSON object on one line");
  }
  return directive(json, "");
}

const string: Reader<string> = (json, path) => {
  if (typeof json === "string") return json;
  throw new DirectiveProblem(`"${path}" is not a string`, "a string");
};

const oneOf =
  <T>(...choices: readonly T[]): Reader<T> =>
  (json, path) => {
    const choice = choices.find((candidate) => candidate === json);
    if (choice === undefined)
      throw new DirectiveProblem(`"${path}" has a value that it may not have`, choices.join(", "));
    return choice;
  };

const entriesOf = (json: unknown, path: string): [string, unknown][] => {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return Object.entries(json);
  throw new DirectiveProblem(path === "" ? "it is no object" : `"${path}" is no object`, "a JSON object");
};

const mapOf =
  <T>(read: Reader<T>): Reader<ReadonlyMap<string, T>> =>
  (json, path) =>
    new Map(entriesOf(json, path).map(([key, value]) => [key, read(value, key)]));

type Shape<T> = { readonly [K in keyof T]-?: Reader<NonNullable<T[K]>> };

const recordOf =
  <T extends object>(shape: Shape<T>): Reader<T> =>
  (json, path) => {
    const readers: Readonly<Record<string, Reader<unknown>>> = shape;
    const known = Object.keys(shape);
    const entries = entriesOf(json, path).map(([key, value]) => {
      const read = known.includes(key) ? readers[key] : undefined;
      if (read === undefined) throw new DirectiveProblem(`"${key}" is not known`, known.join(", "));
      return [key, read(value, key)] as const;
    });
    // Each entry was read by the reader that the shape has for its key.
    return Object.fromEntries(entries) as T;
  };

/** Facts down to elements of a tensor in a list: two levels of items, so that no text nests deeper. */
const factsOf = (level: number): Reader<Facts> =>
  recordOf<Facts>({
    name: string,
    doc: string,
    elided: oneOf(true),
    bits: mapOf(string),
    text: string,
    base64: string,
    sparse: oneOf("one", "list"),
    items: (json, path) => {
      if (level === 0) throw new DirectiveProblem('"items" is nested too deeply', "two levels of items");
      return mapOf(factsOf(level - 1))(json, path);
    },
  });

const facts = factsOf(2);
const valueFacts: Shape<ValueFacts> = { doc: string, metadata: mapOf(string), tensor: facts };

const directive = recordOf<Directive>({
  ...valueFacts,
  aliases: mapOf(string),
  header: mapOf(string),
  properties: mapOf(string),
  values: mapOf(recordOf(valueFacts)),
  attributes: mapOf(facts),
});
