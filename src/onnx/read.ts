/** `readModel`: from a file, or bytes, to the IR. */
import { realpathSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { onnxErrors } from "../diagnostics/onnx.ts";
import { functionKey, Model, type ModelFunction } from "../ir/model.ts";
import { type ByteSource, fileSource, memorySource } from "./byte-source.ts";
import { carry } from "./carried.ts";
import { readEntries } from "./entries.ts";
import type { ExternalOptions } from "./external-data.ts";
import { toInt } from "./integers.ts";
import type { FunctionMessage, ModelMessage, OpsetMessage } from "./messages.ts";
import { readAttributes } from "./read-attribute.ts";
import { type GraphContext, readFunctionBody, readGraph } from "./read-graph.ts";
import { skimModel } from "./skim.ts";
import { decodeModelMessage } from "./wire.ts";

export interface ReadOptions extends ExternalOptions {
  /** Where external data is looked for, instead of the model's own folder. */
  readonly folder?: string;
}

/**
 * Reads a model. Weights are not read: they become byte ranges of the file, or of their external file.
 *
 * @param input path of a file of any size, or bytes, whose weights then stay slices of them.
 * @throws DiagnosticError `E_ONNX_*`, `E_TENSOR_*`, `E_EXTERNAL_*` for files that cannot be trusted or understood.
 */
export function readModel(input: string | Uint8Array, options: ReadOptions = {}): Model {
  const path = typeof input === "string" ? resolve(input) : undefined;
  const source =
    typeof input === "string" ? fileSource(resolve(input)) : memorySource(input, "the given bytes");
  try {
    return readSource(source, path, options);
  } finally {
    source.close();
  }
}

function readSource(source: ByteSource, path: string | undefined, options: ReadOptions): Model {
  const { followLinks = false, folder: given } = options;
  const { skeleton, ranges } = skimModel(source);
  const message = decodeModelMessage(skeleton, source.name);
  // External data stands beside the path that was given, even where that is a link to the real file.
  const beside = path === undefined ? undefined : dirname(path);
  const folder = given === undefined ? beside : resolve(given);
  const file = path !== undefined && followLinks ? realpathSync(path) : path;
  const model = buildModel(message, { followLinks, source, ranges, taken: new Set(), file, folder });
  if (file !== undefined)
    model.origin = { file, folder: given === undefined ? dirname(file) : resolve(given) };
  return model;
}

function buildModel(message: ModelMessage, tensors: Omit<GraphContext, "opset">): Model {
  const { name } = tensors.source;
  if (message.graph === undefined) throw onnxErrors.E_ONNX_NO_GRAPH(name);
  const irVersion = toInt(message.ir_version);
  if (typeof irVersion !== "number" || irVersion < 1) {
    throw onnxErrors.E_ONNX_IR_VERSION(name, message.ir_version === undefined ? "none" : String(irVersion));
  }
  const opsets = readOpsets(message.opset_import, name);
  const context: GraphContext = { ...tensors, opset: opsets.get("") ?? 1 };
  const model = new Model({ irVersion, opsets, graph: readGraph(message.graph, context, undefined) });
  model.producerName = message.producer_name ?? "";
  model.producerVersion = message.producer_version ?? "";
  model.domain = message.domain ?? "";
  model.modelVersion = toInt(message.model_version);
  model.docString = message.doc_string ?? "";
  readEntries(message.metadata_props, model.metadata);
  for (const each of message.functions ?? []) {
    const fn = readFunction(each, context);
    const key = functionKey(fn.domain, fn.name, fn.overload);
    if (model.functions.has(key)) throw onnxErrors.E_ONNX_DUPLICATE(name, "function", key);
    model.functions.set(key, fn);
  }
  const { training_info, configuration, $unknowns } = message;
  model.carried = carry({ training_info, configuration, $unknowns });
  return model;
}

function readFunction(message: FunctionMessage, model: GraphContext): ModelFunction {
  const {
    domain = "",
    name = "",
    overload = "",
    attribute = [],
    doc_string: docString = "",
    $unknowns,
  } = message;
  const place = `function "${functionKey(domain, name, overload)}"`;
  const opsets = readOpsets(message.opset_import, place);
  const context: GraphContext = { ...model, opset: opsets.get("") ?? model.opset };
  const metadata = new Map<string, string>();
  readEntries(message.metadata_props, metadata);
  return {
    domain,
    name,
    overload,
    body: readFunctionBody(message, context),
    opsets,
    attributes: attribute,
    defaults: readAttributes(message.attribute_proto, place, context, (body) =>
      readGraph(body, context, undefined),
    ),
    docString,
    metadata,
    carried: carry({ $unknowns }),
  };
}

function readOpsets(messages: readonly OpsetMessage[] | undefined, place: string): Map<string, number> {
  const opsets = new Map<string, number>();
  for (const { domain: written = "", version: field } of messages ?? []) {
    const domain = written === "ai.onnx" ? "" : written;
    const version = toInt(field);
    if (typeof version !== "number" || version < 1)
      throw onnxErrors.E_ONNX_OPSET(place, domain, `version ${version}`);
    const earlier = opsets.get(domain) ?? version;
    if (earlier !== version)
      throw onnxErrors.E_ONNX_OPSET(place, domain, `versions ${earlier} and ${version}`);
    opsets.set(domain, version);
  }
  return opsets;
}
