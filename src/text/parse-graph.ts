/** Reads graphs: `name (inputs) => (outputs) <initializers and types> { nodes }`. */
import { textErrors } from "../diagnostics/text.ts";
import { Graph } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { ValueType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import type { Directive, ValueFacts } from "./directive.ts";
import { enterGraph, type ParseContext, readList, readName, Scope } from "./parse-context.ts";
import { readNode } from "./parse-node.ts";
import { readData } from "./parse-tensor.ts";
import { nextIsType, readType } from "./parse-type.ts";

/** A value in a list: optional type, name, facts, and data where there are some. */
interface Declaration {
  readonly name: string;
  readonly type: ValueType | undefined;
  readonly facts: Directive;
  readonly data: Tensor | undefined;
  /** Offset of its start. */
  readonly at: number;
}

/** Consumes a graph; its nodes may read the values of `outer`. */
export function readGraph(context: ParseContext, outer: Scope | undefined): Graph {
  const { scanner } = context;
  const { doc, metadata } = scanner.takeDirective("graph");
  const graph = new Graph(readName(context, "the name of a graph"));
  graph.docString = doc ?? "";
  for (const [key, value] of metadata ?? []) graph.metadata.set(key, value);
  readGraphBody(context, graph, outer, "graph");
  return graph;
}

/** Consumes a graph or function after its name and attributes. Functions hold no data. */
export function readGraphBody(
  context: ParseContext,
  graph: Graph,
  outer: Scope | undefined,
  kind: "graph" | "function",
): void {
  const { scanner } = context;
  const inner = enterGraph(context);
  const scope = new Scope(outer);
  const data = kind === "graph";
  scanner.rejectDirective();
  scanner.expect("(");
  readList(scanner, ")", () => addInput(inner, graph, scope, readDeclaration(inner, data)));
  scanner.rejectDirective();
  scanner.expect("=>");
  scanner.expect("(");
  const outputs: Declaration[] = [];
  readList(scanner, ")", () => outputs.push(readDeclaration(inner, false)));
  scanner.rejectDirective();
  const types = new Map<string, Declaration>();
  if (scanner.matches("<")) {
    readList(scanner, ">", () => {
      const declaration = readDeclaration(inner, data);
      if (declaration.data === undefined) types.set(declaration.name, declaration);
      else addInitializer(inner, graph, scope, declaration, declaration.data);
    });
  }
  for (const [name, { type, facts }] of types) {
    const value = scope.own(name);
    if (value === undefined) continue;
    if (graph.initializers.has(value)) value.type = type ?? value.type;
    else value.type ??= type;
    addFacts(value, facts);
  }
  scanner.expect("{");
  while (scanner.peek() !== "}") {
    const node = readNode(inner, scope);
    graph.insert(node);
    for (const output of node.outputs) if (output !== null) completeResult(output, types);
  }
  scanner.rejectDirective();
  scanner.expect("}");
  for (const { name, type, facts, at } of outputs) {
    const value = scope.resolve(name, at, scanner);
    if (value.producer?.graph === graph) value.type = type ?? value.type;
    else value.type ??= type;
    addFacts(value, facts);
    graph.addOutput(value);
  }
}

function completeResult(value: Value, types: ReadonlyMap<string, Declaration>): void {
  const known = types.get(value.name);
  if (known === undefined) return;
  value.type ??= known.type;
  addFacts(value, known.facts);
}

function readDeclaration(context: ParseContext, allowsData: boolean): Declaration {
  const { scanner } = context;
  const facts = scanner.takeDirective("value");
  const { at } = scanner;
  const type = nextIsType(scanner) ? readType(context) : undefined;
  const name = readName(context, "a value: a name, with a type before it");
  const hasData = allowsData && scanner.matches("=");
  if (hasData && type === undefined) {
    throw textErrors.E_TEXT_SYNTAX(scanner.place(at), "a type before the name of data", JSON.stringify(name));
  }
  const data =
    hasData && type !== undefined ? readData(context, type, name, facts.tensor ?? {}, at) : undefined;
  scanner.rejectDirective();
  return { name, type, facts, data, at };
}

function addInput(context: ParseContext, graph: Graph, scope: Scope, declaration: Declaration): void {
  const { name, type, facts, data, at } = declaration;
  const input = graph.addInput({ name, type, ...(data === undefined ? {} : { initializer: data }) });
  addFacts(input, facts);
  if (!scope.define(name, input)) throw textErrors.E_TEXT_REDEFINED(context.scanner.place(at), "value", name);
}

/** An initializer, or the default of an input where it has the name of one. */
function addInitializer(
  context: ParseContext,
  graph: Graph,
  scope: Scope,
  declaration: Declaration,
  data: Tensor,
): void {
  const { name, facts, at } = declaration;
  const input = scope.own(name);
  if (input === undefined) {
    const value = graph.addInitializer(data, name);
    addFacts(value, facts);
    scope.define(name, value);
  } else if (input.initializer === undefined) {
    input.initializer = data;
    addFacts(input, facts);
  } else {
    throw textErrors.E_TEXT_REDEFINED(context.scanner.place(at), "value", name);
  }
}

function addFacts(value: Value, { doc, metadata }: ValueFacts): void {
  if (doc !== undefined) value.docString = doc;
  for (const [key, text] of metadata ?? []) value.metadata.set(key, text);
}
