/**
 * Prints models as ONNX text, a subset of onnx/docs/Syntax.md that the reference parser reads as the same graph.
 *
 * What the grammar has no place for travels in comments: types of node results at the end of the node's line
 * (`# float[batch,seq]`), everything else as JSON in `#!` lines before the thing it speaks of (see directive.ts and
 * docs/text-format.md). Printing a parsed print gives the same text.
 */
import { graphsOf } from "../ir/attribute.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model, ModelFunction } from "../ir/model.ts";
import { type NameRule, namesOfAttribute } from "./aliases.ts";
import { printDirective, someEntries } from "./directive.ts";
import { isExpressible, quote } from "./grammar.ts";
import { printAttribute } from "./print-attribute.ts";
import { makePrintContext, type PrintContext, type PrintOptions } from "./print-context.ts";
import { describe } from "./print-facts.ts";
import { printBody, printFunctionBody, printGraphBody } from "./print-graph.ts";
import { isStandard } from "./print-node.ts";

export type { PrintOptions };

/** How a model is printed; everything may be left out. */
export interface ModelPrintOptions extends PrintOptions {
  /** `unless-default` leaves out a header that says only IR version 10 and opset 20, as texts for tests do. */
  readonly header?: "always" | "unless-default";
}

/**
 * Text of a model: header, main graph, functions.
 *
 * @throws DiagnosticError E_TEXT_WEIGHTS when a small weight cannot be read from its file.
 */
export function printModel(model: Model, options: ModelPrintOptions = {}): string {
  const functions = [...model.functions.values()];
  const roots = [model.graph, ...functions.flatMap((fn) => [fn.body, ...defaultGraphs(fn)])];
  const folder = options.folder ?? model.origin?.folder ?? process.cwd();
  const context = makePrintContext(roots, namesOfModel(model), folder, options);
  const parts = [
    printDocument(model, context),
    options.header === "unless-default" && hasDefaultHeader(model) ? undefined : printHeader(model, context),
    printMain(model.graph, context),
    ...functions.map((fn) => `\n${printFunction(fn, context)}`),
  ];
  return `${parts.filter((part) => part !== undefined).join("\n")}\n`;
}

/** Text of one graph, main or held by a node; names of values around it are those that the whole model would show. */
export function printGraph(graph: Graph, options: PrintOptions = {}): string {
  let root = graph;
  while (root.owner?.graph !== undefined) root = root.owner.graph;
  const context = makePrintContext([root], [], options.folder ?? process.cwd(), options);
  const parts = [printDirective({ aliases: aliasEntries(context) }), printMain(graph, context)];
  return `${parts.filter((part) => part !== undefined).join("\n")}\n`;
}

function printMain(graph: Graph, context: PrintContext): string {
  const directive = printDirective(describe(graph));
  const text = printGraphBody(graph, context.aliases.quotable(graph.name), context, "");
  return directive === undefined ? text : `${directive}\n${text}`;
}

function aliasEntries(context: PrintContext): ReadonlyMap<string, string> | undefined {
  return someEntries(context.aliases.entries);
}

/** The directive of the whole document: stand-ins, and strings that the header cannot hold. */
function printDocument(model: Model, context: PrintContext): string | undefined {
  const properties = hasExpressibleMetadata(model) ? undefined : model.metadata;
  return printDirective({
    aliases: aliasEntries(context),
    header: someEntries(headerStrings(model).filter(([, text]) => !isExpressible(text))),
    properties,
  });
}

function headerStrings(model: Model): [key: string, text: string][] {
  const { producerName, producerVersion, domain, docString } = model;
  return [
    ["producer_name", producerName],
    ["producer_version", producerVersion],
    ["domain", domain],
    ["doc_string", docString],
  ];
}

function hasExpressibleMetadata({ metadata }: Model): boolean {
  return [...metadata].flat().every(isExpressible);
}

function hasDefaultHeader(model: Model): boolean {
  const { irVersion, opsets, modelVersion, metadata } = model;
  const isBare = headerStrings(model).every(([, text]) => text === "" || !isExpressible(text));
  return (
    irVersion === 10 &&
    opsets.size === 1 &&
    model.opset === 20 &&
    modelVersion === 0 &&
    metadata.size === 0 &&
    isBare
  );
}

function printHeader(model: Model, context: PrintContext): string {
  const fields = [`ir_version: ${model.irVersion}`, `opset_import: ${printOpsets(model.opsets, context)}`];
  for (const [key, text] of headerStrings(model)) {
    if (text !== "" && isExpressible(text)) fields.push(`${key}: ${quote(text)}`);
  }
  if (BigInt(model.modelVersion) !== 0n) fields.push(`model_version: ${BigInt(model.modelVersion)}`);
  if (model.metadata.size > 0 && hasExpressibleMetadata(model)) {
    const pairs = [...model.metadata].map(([key, value]) => `${quote(key)}: ${quote(value)}`);
    fields.push(`metadata_props: [${pairs.join(", ")}]`);
  }
  return printFields(fields);
}

function printFields(fields: readonly string[]): string {
  const line = `<${fields.join(", ")}>`;
  return line.length <= 100 ? line : `<\n${fields.map((field) => `  ${field}`).join(",\n")}\n>`;
}

function printOpsets(opsets: ReadonlyMap<string, number>, { aliases }: PrintContext): string {
  const versions = new Map(
    [...opsets].map(([domain, version]) => [isStandard(domain) ? "" : domain, version]),
  );
  const imports = [...versions].map(([domain, version]) => `${quote(aliases.dotted(domain))} : ${version}`);
  return `[${imports.join(", ")}]`;
}

function printFunction(fn: ModelFunction, context: PrintContext): string {
  const { aliases } = context;
  const fields = [`domain: ${quote(aliases.dotted(fn.domain))}`];
  if (fn.overload !== "") fields.push(`overload: ${quote(aliases.identifier(fn.overload))}`);
  fields.push(`opset_import: ${printOpsets(fn.opsets, context)}`);
  const hasPlainDoc = isExpressible(fn.docString);
  if (fn.docString !== "" && hasPlainDoc) fields.push(`doc_string: ${quote(fn.docString)}`);

  const defaults = [...fn.defaults].map(
    ([name, attribute]) =>
      [name, printAttribute(name, attribute, context, (body) => printBody(body, context, "  "))] as const,
  );
  const parameters = [
    ...fn.attributes.map((name) => aliases.identifier(name)),
    ...defaults.map(([, { text }]) => text),
  ];
  const directive = printDirective({
    ...describe({ docString: hasPlainDoc ? "" : fn.docString, metadata: fn.metadata }),
    attributes: someEntries(defaults.map(([name, { facts }]) => [name, facts] as const)),
  });
  const signature = printFunctionBody(
    fn,
    parameters.length === 0 ? "" : ` <${parameters.join(", ")}>`,
    context,
  );
  return [directive, printFields(fields), signature].filter((part) => part !== undefined).join("\n");
}

/** Graphs that are defaults of a function's attributes. */
function defaultGraphs({ defaults }: ModelFunction): Graph[] {
  return [...defaults.values()].flatMap((attribute) => [...graphsOf(attribute)]);
}

/** Names that stand outside of graphs. */
function* namesOfModel(model: Model): Generator<readonly [string, NameRule]> {
  for (const domain of model.opsets.keys()) yield [domain, "dotted"];
  for (const fn of model.functions.values()) {
    yield [fn.domain, "dotted"];
    yield [fn.name, "identifier"];
    if (fn.overload !== "") yield [fn.overload, "identifier"];
    for (const domain of fn.opsets.keys()) yield [domain, "dotted"];
    for (const name of fn.attributes) yield [name, "identifier"];
    for (const { name } of defaultGraphs(fn)) yield [name, "body"];
    for (const [name, attribute] of fn.defaults) {
      yield [name, "identifier"];
      yield* namesOfAttribute(attribute);
    }
  }
}
