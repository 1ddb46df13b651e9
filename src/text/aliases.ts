/** Stand-ins for names that the grammar cannot spell, such as an operator called `my-op`. */
import type { Attribute } from "../ir/attribute.ts";
import type { Graph } from "../ir/graph.ts";
import { Namer } from "../ir/names.ts";
import type { Node } from "../ir/node.ts";
import type { ValueType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { isBodyName, isDottedName, isExpressible, isIdentifier, spellName } from "./grammar.ts";

/** What a name may look like where it stands. */
export type NameRule = "identifier" | "dotted" | "body" | "quotable";

const rules: Readonly<Record<NameRule, (name: string) => boolean>> = {
  identifier: isIdentifier,
  dotted: isDottedName,
  body: isBodyName,
  quotable: isExpressible,
};

/** Every name of a document as it is to be spelled. */
export class Aliases {
  readonly #aliases = new Map<string, string>();

  /** `names` are all names of the document, so that no stand-in equals another name. */
  constructor(names: Iterable<readonly [name: string, rule: NameRule]>) {
    const illegal = new Map<string, NameRule>();
    const taken = new Set<string>();
    for (const [name, rule] of names) {
      if (rules[rule](name)) taken.add(name);
      else illegal.set(`${rule}:${name}`, rule);
    }
    const namer = new Namer();
    for (const name of taken) namer.claim(name);
    for (const [key, rule] of illegal) {
      const name = key.slice(rule.length + 1);
      this.#aliases.set(
        key,
        namer.claim(rule === "dotted" ? name.split(".").map(cleanName).join(".") : cleanName(name)),
      );
    }
  }

  /** Alias and name of each stand-in, in order of appearance. */
  get entries(): readonly (readonly [alias: string, name: string])[] {
    return [...this.#aliases].map(([key, alias]) => [alias, key.slice(key.indexOf(":") + 1)] as const);
  }

  /** An operator, overload, attribute or the tensor of an attribute: no quotes allowed. */
  identifier(name: string): string {
    return this.#spell(name, "identifier");
  }

  /** A domain. */
  dotted(name: string): string {
    return this.#spell(name, "dotted");
  }

  /** A subgraph. */
  body(name: string): string {
    return this.#spell(name, "body");
  }

  /** A value, node, main graph or function, quoted where that is needed. */
  quotable(name: string): string {
    return spellName(this.#spell(name, "quotable"));
  }

  #spell(name: string, rule: NameRule): string {
    return rules[rule](name) ? name : (this.#aliases.get(`${rule}:${name}`) ?? cleanName(name));
  }
}

function cleanName(name: string): string {
  const letters = name.replace(/[^A-Za-z0-9_]/g, "_");
  return isBodyName(letters) ? letters : `_${letters}`;
}

/** Names in a graph and its subgraphs; `valueName` is what values are called. */
export function* namesOfGraph(
  graph: Graph,
  valueName: (value: Value) => string,
): Generator<readonly [string, NameRule]> {
  yield [graph.name, graph.owner === undefined ? "quotable" : "body"];
  for (const value of [...graph.inputs, ...graph.initializers, ...graph.outputs])
    yield* namesOfValue(value, valueName);
  for (const node of graph.nodes()) yield* namesOfNode(node, valueName);
}

function* namesOfNode(
  node: Node,
  valueName: (value: Value) => string,
): Generator<readonly [string, NameRule]> {
  yield [node.name, "quotable"];
  yield [node.op, "identifier"];
  yield [node.domain, "dotted"];
  if (node.overload !== "") yield [node.overload, "identifier"];
  for (const output of node.outputs) if (output !== null) yield* namesOfValue(output, valueName);
  for (const [name, attribute] of node.attributes) {
    yield [name, "identifier"];
    yield* namesOfAttribute(attribute);
  }
  for (const body of node.subgraphs()) yield* namesOfGraph(body, valueName);
}

function* namesOfValue(
  value: Value,
  valueName: (value: Value) => string,
): Generator<readonly [string, NameRule]> {
  yield [valueName(value), "quotable"];
  if (value.type !== undefined) yield* namesOfType(value.type);
}

/** Names in an attribute, those of its subgraphs left out. */
export function* namesOfAttribute(attribute: Attribute): Generator<readonly [string, NameRule]> {
  switch (attribute.kind) {
    case "reference":
      yield [attribute.value, "identifier"];
      break;
    case "tensor":
      if (attribute.value.name !== "") yield [attribute.value.name, "identifier"];
      break;
    case "tensors":
      for (const { name } of attribute.value) if (name !== "") yield [name, "identifier"];
      break;
    case "sparse":
    case "sparses":
      for (const { values, indices } of attribute.kind === "sparse" ? [attribute.value] : attribute.value) {
        for (const { name } of [values, indices]) if (name !== "") yield [name, "identifier"];
      }
      break;
    case "type":
      yield* namesOfType(attribute.value);
      break;
    case "types":
      for (const type of attribute.value) yield* namesOfType(type);
      break;
  }
}

function* namesOfType(type: ValueType): Generator<readonly [string, NameRule]> {
  if (type.kind === "sequence" || type.kind === "optional") yield* namesOfType(type.element);
  else if (type.kind === "map") yield* namesOfType(type.value);
  else if (type.kind === "opaque") {
    yield [type.domain, "dotted"];
    yield [type.name, type.domain === "" ? "dotted" : "identifier"];
  }
}
