/** Prints graphs and functions: the signature, initializers and one line for each node. */
import { InternalError } from "../diagnostics/define.ts";
import type { Graph } from "../ir/graph.ts";
import type { ModelFunction } from "../ir/model.ts";
import type { Value } from "../ir/value.ts";
import { printDirective, type ValueFacts } from "./directive.ts";
import type { PrintContext } from "./print-context.ts";
import { describe, describeTensor } from "./print-facts.ts";
import { printNode } from "./print-node.ts";
import { printData, printTensorType } from "./print-tensor.ts";
import { printType } from "./types.ts";

/** Signatures that fit this width stand on one line; in longer ones, lists that fit the smaller width do. */
const lineWidth = 100;
const listWidth = 60;

/** A value in a list, with the directive before it. */
interface Entry {
  readonly directive?: string | undefined;
  readonly text: string;
}

interface Signature {
  /** Name and, for functions, attributes. */
  readonly head: string;
  readonly inputs: readonly Entry[];
  readonly outputs: readonly Entry[];
  readonly initializers: readonly Entry[];
}

/** A graph from its name on, which is spelled already; lines after the first start with `indent`. */
export function printGraphBody(graph: Graph, head: string, context: PrintContext, indent: string): string {
  const defaults = graph.inputs.filter((input) => input.initializer !== undefined && !fitsData(input));
  const initializers = [...graph.initializers];
  const signature = {
    head,
    inputs: graph.inputs.map((input) => printInput(input, context)),
    outputs: printOutputs(graph, context),
    initializers: [
      ...defaults.map((input) => printInitializer(input, {}, context)),
      ...initializers.map((value) => printInitializer(value, describe(value), context)),
      ...initializers
        .filter((value) => value.type !== undefined && !fitsData(value))
        .map((value) => ({ text: printTyped(value, context) })),
    ],
  };
  return `${printSignature(signature, indent)} ${printNodes(graph, context, indent)}`;
}

/** A function from its name on. @throws InternalError when its body holds initializers, which ONNX functions cannot. */
export function printFunctionBody(fn: ModelFunction, attributes: string, context: PrintContext): string {
  const { body } = fn;
  if (body.initializers.size > 0 || body.inputs.some(({ initializer }) => initializer !== undefined)) {
    throw new InternalError(`function "${fn.name}" holds initializers`);
  }
  const signature = {
    head: `${context.aliases.identifier(fn.name)}${attributes}`,
    inputs: body.inputs.map((input) => printInput(input, context)),
    outputs: printOutputs(body, context),
    initializers: [],
  };
  return `${printSignature(signature, "")} ${printNodes(body, context, "")}`;
}

/** A graph that an attribute holds, after its directive if it has one; lines after the first start with `indent`. */
export function printBody(body: Graph, context: PrintContext, indent: string): string {
  const directive = printDirective(describe(body));
  const text = printGraphBody(body, context.aliases.body(body.name), context, indent);
  return directive === undefined ? text : `\n${indent}${directive}\n${indent}${text}`;
}

function printNodes(graph: Graph, context: PrintContext, indent: string): string {
  const inner = `${indent}  `;
  const lines = [...graph.nodes()].map((node) =>
    printNode(node, graph, context, inner, (body) => printBody(body, context, `${inner}  `)),
  );
  return lines.length === 0 ? "{}" : `{\n${lines.join("\n")}\n${indent}}`;
}

/** Inputs, outputs and initializers: short lists without directives on one line, else one value on each line. */
function printSignature({ head, inputs, outputs, initializers }: Signature, indent: string): string {
  const fits = `${indent}${head} (${printFlat(inputs)}) => (${printFlat(outputs)})`.length <= lineWidth;
  const list = (entries: readonly Entry[]): string => {
    const isFlat = isPlain(entries) && (fits || printFlat(entries).length <= listWidth);
    return isFlat ? printFlat(entries) : printLines(entries, indent);
  };
  const line = `${head} (${list(inputs)}) => (${list(outputs)})`;
  if (initializers.length === 0) return line;
  const lastLine = line.slice(line.lastIndexOf("\n") + 1);
  const flatLength = indent.length + lastLine.length + printFlat(initializers).length;
  const isFlat = isPlain(initializers) && flatLength < lineWidth;
  return `${line} <${isFlat ? printFlat(initializers) : printLines(initializers, indent)}>`;
}

function isPlain(entries: readonly Entry[]): boolean {
  return entries.every(({ directive }) => directive === undefined);
}

function printFlat(entries: readonly Entry[]): string {
  return entries.map(({ text }) => text).join(", ");
}

function printLines(entries: readonly Entry[], indent: string): string {
  const lines = entries.map(({ directive, text }, index) => {
    const line = `${indent}  ${text}${index < entries.length - 1 ? "," : ""}`;
    return directive === undefined ? line : `${indent}  ${directive}\n${line}`;
  });
  return `\n${lines.join("\n")}\n${indent}`;
}

function printInput(value: Value, context: PrintContext): Entry {
  const { initializer } = value;
  const text = printTyped(value, context);
  if (initializer === undefined || !fitsData(value))
    return { text, directive: printDirective(describe(value)) };
  const data = printData(initializer, context);
  const tensor = describeTensor(value, initializer, data.facts, context);
  return { text: `${text} = ${data.text}`, directive: printDirective({ ...describe(value), tensor }) };
}

/** An initializer, or the default of an input whose type is not just that of the data. */
function printInitializer(value: Value, facts: ValueFacts, context: PrintContext): Entry {
  const { initializer } = value;
  if (initializer === undefined) throw new InternalError(`initializer "${value.name}" has no data`);
  const data = printData(initializer, context);
  const tensor = describeTensor(value, initializer, data.facts, context);
  return {
    text: `${printTensorType(initializer)} ${printName(value, context)} = ${data.text}`,
    directive: printDirective({ ...facts, tensor }),
  };
}

/** Outputs; what is known of a value is said once, where it is defined or, for results, at its first output. */
function printOutputs(graph: Graph, context: PrintContext): Entry[] {
  const seen = new Set<Value>();
  return graph.outputs.map((value) => {
    const describes = value.producer?.graph === graph && !seen.has(value);
    seen.add(value);
    return {
      text: printTyped(value, context),
      directive: describes ? printDirective(describe(value)) : undefined,
    };
  });
}

function printTyped(value: Value, context: PrintContext): string {
  const type = value.type === undefined ? "" : `${printType(value.type, "code", context.aliases)} `;
  return `${type}${printName(value, context)}`;
}

function printName(value: Value, context: PrintContext): string {
  return context.aliases.quotable(context.nameOf(value));
}

/** Whether a value's type says exactly what its data says, so that both can be printed as one. */
function fitsData({ tensorType, initializer }: Value): boolean {
  if (tensorType?.shape === undefined || initializer === undefined) return false;
  const { shape } = tensorType;
  const { dtype, dims } = initializer;
  return (
    tensorType.dtype === dtype && shape.length === dims.length && shape.every((dim, i) => dim === dims[i])
  );
}
