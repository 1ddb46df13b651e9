/** Reads models from ONNX text (onnx/docs/Syntax.md), with the facts that print.ts puts into comments. */
import { dirname, resolve } from "node:path";
import { textErrors } from "../diagnostics/text.ts";
import type { Graph } from "../ir/graph.ts";
import { functionKey, Model } from "../ir/model.ts";
import type { Directive } from "./directive.ts";
import type { ParseContext, ParseOptions } from "./parse-context.ts";
import { readFunction } from "./parse-function.ts";
import { readGraph } from "./parse-graph.ts";
import { isModelText, readModelHeader, setModelText } from "./parse-header.ts";
import { Scanner } from "./scanner.ts";

export type { ParseOptions };

/**
 * Reads a model, or a graph without a header, which becomes a model of IR version 10 and opset 20.
 * Weights in files are not read, and not looked for.
 *
 * @throws DiagnosticError with a code that starts with `E_TEXT_`, naming line and column.
 */
export function parseModel(text: string, options: ParseOptions = {}): Model {
  const { context, directive } = startDocument(text, options);
  const { scanner } = context;
  const header = new Model();
  if (scanner.matches("<")) readModelHeader(context, header);
  applyDocument(context, header, directive);
  const { irVersion, opsets, producerName, producerVersion, domain, modelVersion, docString, metadata } =
    header;
  const model = new Model({ irVersion, opsets, graph: readGraph(context, undefined) });
  Object.assign(model, { producerName, producerVersion, domain, modelVersion, docString });
  for (const [key, value] of metadata) model.metadata.set(key, value);
  while (!scanner.done) {
    const { at } = scanner;
    const fn = readFunction(context);
    const key = functionKey(fn.domain, fn.name, fn.overload);
    if (model.functions.has(key)) throw textErrors.E_TEXT_REDEFINED(scanner.place(at), "function", fn.name);
    model.functions.set(key, fn);
  }
  scanner.rejectDirective();
  if (options.file !== undefined) model.origin = { file: resolve(options.file), folder: context.folder };
  return model;
}

/** Reads one graph. @throws DiagnosticError as {@link parseModel} does. */
export function parseGraph(text: string, options: ParseOptions = {}): Graph {
  const { context } = startDocument(text, options);
  const graph = readGraph(context, undefined);
  if (!context.scanner.done) throw context.scanner.unexpected("the end of the text");
  context.scanner.rejectDirective();
  return graph;
}

function startDocument(text: string, options: ParseOptions): { context: ParseContext; directive: Directive } {
  const scanner = new Scanner(text, options.file);
  const directive = scanner.takeDirective("document");
  const {
    file,
    folder = file === undefined ? process.cwd() : dirname(file),
    locations = "inside",
    resolve: resolveData,
  } = options;
  const aliases = directive.aliases ?? new Map<string, string>();
  return {
    context: {
      scanner,
      folder: resolve(folder),
      locations,
      resolve: resolveData,
      aliases,
      readBody: readGraph,
      depth: 0,
    },
    directive,
  };
}

/** Sets what the header's strings could not hold. */
function applyDocument({ scanner }: ParseContext, model: Model, directive: Directive): void {
  for (const [key, text] of directive.header ?? []) {
    if (!isModelText(key)) {
      throw textErrors.E_TEXT_DIRECTIVE(
        scanner.place(0),
        `"${key}" is no text of the header`,
        "a text of the header",
      );
    }
    setModelText(model, key, text);
  }
  for (const [key, text] of directive.properties ?? []) model.metadata.set(key, text);
}
