/** Prints a node: facts the grammar has no place for, the call, and the types of its results as a comment. */
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { printDirective, someEntries, someFacts } from "./directive.ts";
import { printAttribute } from "./print-attribute.ts";
import type { PrintContext } from "./print-context.ts";
import { describe } from "./print-facts.ts";
import { printType } from "./types.ts";

/** The lines of a node of `graph`, each starting with `indent`. */
export function printNode(
  node: Node,
  graph: Graph,
  context: PrintContext,
  indent: string,
  printBody: (body: Graph) => string,
): string {
  const { aliases } = context;
  const name = (value: Value | null): string =>
    value === null ? '""' : aliases.quotable(context.nameOf(value));
  const attributes = [...node.attributes].map(
    ([key, attribute]) => [key, printAttribute(key, attribute, context, printBody)] as const,
  );
  const texts = attributes.map(([, { text }]) => text);

  const label = node.name === "" ? "" : `[${aliases.quotable(node.name)}] `;
  const results = node.outputs.length === 0 ? "" : `${node.outputs.map(name).join(", ")} `;
  const domain = isStandard(node.domain) ? "" : `${aliases.dotted(node.domain)}.`;
  const overload = node.overload === "" ? "" : `:${aliases.identifier(node.overload)}`;
  const operands = `(${node.inputs.map(name).join(", ")})`;
  const call = `${label}${results}= ${domain}${aliases.identifier(node.op)}${overload}`;

  const inner = `${indent}  `;
  const hasBodies = node.subgraphs().length > 0;
  const line = hasBodies
    ? `${call} ${operands} <\n${texts.map((text) => inner + text).join(",\n")}\n${indent}>`
    : `${call} ${texts.length === 0 ? "" : `<${texts.join(", ")}> `}${operands}`;

  const directive = printDirective({
    ...describe(node),
    values: someEntries(
      hiddenResults(node, graph).map((value) => [context.nameOf(value), someFacts(describe(value))]),
    ),
    attributes: someEntries(attributes.map(([key, { facts }]) => [key, facts] as const)),
  });
  const types = context.types ? printResultTypes(node, graph, context) : "";
  return `${directive === undefined ? "" : `${indent}${directive}\n`}${indent}${line}${types}`;
}

/** Results that the graph's list of outputs does not show. */
function hiddenResults(node: Node, graph: Graph): Value[] {
  const isShown = ({ uses }: Value): boolean =>
    [...uses].some((use) => use.kind === "output" && use.graph === graph);
  return node.outputs.filter((output) => output !== null).filter((output) => !isShown(output));
}

function printResultTypes(node: Node, graph: Graph, context: PrintContext): string {
  if (hiddenResults(node, graph).every(({ type }) => type === undefined)) return "";
  const types = node.outputs.map((output) =>
    output?.type === undefined ? "?" : printType(output.type, "comment", context.aliases),
  );
  return `  # ${types.join(", ")}`;
}

/** Whether a domain is ai.onnx, which is written as nothing. */
export function isStandard(domain: string): boolean {
  return domain === "" || domain === "ai.onnx";
}
