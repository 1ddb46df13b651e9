/** The sole namer: gives every value and node of a model a name that is unique where ONNX asks for it. */
import type { Graph } from "./graph.ts";
import type { Model } from "./model.ts";
import type { Value } from "./value.ts";

/**
 * Makes names unique in place. Inputs, outputs and initializers of the main graph keep theirs, then values in
 * order of definition; a wish that is taken gets `_1`, `_2`... and an empty one becomes the operator's
 * name. ONNX scopes names per main graph with all its subgraphs, so those share one set; node names
 * are unique likewise (the runtime refuses two that are equal), and nodes without one get one where `nodes` is set.
 */
export function assignNames(model: Model, options: { readonly nodes?: boolean } = {}): void {
  for (const graph of [model.graph, ...[...model.functions.values()].map(({ body }) => body)]) {
    for (const [value, name] of chooseNames(graph)) value.name = name;
    nameNodes(graph, new Namer(), options.nodes === true);
  }
}

/**
 * The names that {@link assignNames} gives to the values of one main graph or function body with all its subgraphs,
 * without giving them: what printing shows.
 */
export function chooseNames(graph: Graph): Map<Value, string> {
  const names = new Map<Value, string>();
  const namer = new Namer();
  const claim = (value: Value, wish: string): void => {
    if (!names.has(value)) names.set(value, namer.claim(value.name || wish));
  };
  for (const value of [...graph.inputs, ...graph.outputs, ...graph.initializers]) claim(value, "value");
  nameValues(graph, claim);
  return names;
}

/**
 * `wish`, or with the first free number after it: a name that no input of the graph has yet. For inputs that others refer to
 * by name before names are settled, such as `feeds` of a role.
 */
export function freeInputName(graph: Graph, wish: string): string {
  const namer = new Namer();
  for (const { name } of graph.inputs) namer.claim(name);
  return namer.claim(wish);
}

/** A set of taken names that hands out free ones. */
export class Namer {
  readonly #taken = new Set<string>();
  readonly #counters = new Map<string, number>();

  /** `wish` itself where it is free, else with the first free number after it. */
  claim(wish: string): string {
    let name = wish;
    let counter = this.#counters.get(wish) ?? 0;
    while (this.#taken.has(name)) {
      counter += 1;
      name = `${wish}_${counter}`;
    }
    this.#counters.set(wish, counter);
    this.#taken.add(name);
    return name;
  }
}

function nameValues(graph: Graph, claim: (value: Value, wish: string) => void): void {
  for (const value of graph.inputs) claim(value, "input");
  for (const value of graph.initializers) claim(value, "constant");
  for (const node of graph.nodes()) {
    for (const output of node.outputs) if (output !== null) claim(output, node.op.toLowerCase());
    for (const body of node.subgraphs()) nameValues(body, claim);
  }
}

function nameNodes(graph: Graph, namer: Namer, all: boolean): void {
  for (const node of graph.nodes()) {
    if (all || node.name !== "") node.name = namer.claim(node.name || node.op);
    for (const body of node.subgraphs()) nameNodes(body, namer, all);
  }
}
