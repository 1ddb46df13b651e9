/** `readModel`: from a file, or bytes, to the IR. */
import { dirname, resolve } from "node:path";
import { InternalError } from "../diagnostics/define.ts";
import { onnxErrors } from "../diagnostics/onnx.ts";
import type { Graph } from "../ir/graph.ts";
import { functionKey, Model, type ModelFunction } from "../ir/model.ts";
import { fileSource, memorySource } from "./byte-source.ts";
import { readEntries } from "./entries.ts";
import type { ExternalOptions } from "./external-data.ts";
import { toInt } from "./integers.ts";
import type { FunctionMessage, GraphMessage, ModelMessage, OpsetMessage } from "./messages.ts";
import { readAttribute } from "./read-attribute.ts";
import { readFunctionBody, readGraph } from "./read-graph.ts";
import type { TensorContext } from "./read-tensor.ts";
import { skimModel } from "./skim.ts";
import { decodeModelMessage } from "./wire.ts";

/**
 * Reads a model. Weights are not read: they become byte ranges of the file, or of their external file.
 *
 * @param input path of a file of any size, or bytes (whose weights then stay slices of them).
 * @throws DiagnosticError `E_ONNX_*`, `E_TENSOR_*`, `E_EXTERNAL_*` for files that cannot be trusted or understood.
 */
export function readModel(input: string | Uint8Array, options: ExternalOptions = {}): Model {
  const file = typeof input === "string" ? resolve(input) : undefined;
  const source =
    typeof input === "string" ? fileSource(resolve(input)) : memorySource(input, "the given bytes");
  try {
    const { skeleton, ranges } = skimModel(source);
    const message = decodeModelMessage(skeleton, source.name);
    const folder = file === undefined ? undefined : dirname(file);
    const model = buildModel(message, { ...options, source, ranges, file, folder });
    model.origin = file === undefined || folder === undefined ? undefined : { file, folder };
    return model;
  } finally {
    source.close();
  }
}

function buildModel(message: ModelMessage, context: TensorContext): Model {
  if (message.graph == null) throw onnxErrors.E_ONNX_NO_GRAPH(context.source.name);
  const model = new Model({
    irVersion: Number(toInt(message.ir_version)),
    opsets: readOpsets(message.opset_import),
    graph: readGraph(message.graph, context, undefined),
  });
  model.producerName = message.producer_name ?? "";
  model.producerVersion = message.producer_version ?? "";
  model.domain = message.domain ?? "";
  model.modelVersion = toInt(message.model_version);
  model.docString = message.doc_string ?? "";
  readEntries(message.metadata_props, model.metadata);
  for (const fn of message.functions ?? []) {
    const key = functionKey(fn.domain ?? "", fn.name ?? "", fn.overload ?? "");
    if (model.functions.has(key)) throw onnxErrors.E_ONNX_DUPLICATE("functions", key);
    model.functions.set(key, readFunction(fn, context));
  }
  const { training_info, configuration, $unknowns } = message;
  model.carried = { training_info, configuration, $unknowns, graph: carriedOf(message) };
  return model;
}

function carriedOf({ graph }: ModelMessage): unknown {
  if (graph == null) throw new InternalError("a model lost its graph");
  const { quantization_annotation, sparse_initializer, $unknowns } = graph;
  return { quantization_annotation, sparse_initializer, $unknowns };
}

function readFunction(message: FunctionMessage, context: TensorContext): ModelFunction {
  const metadata = new Map<string, string>();
  readEntries(message.metadata_props, metadata);
  const readBody = (body: GraphMessage): Graph => readGraph(body, context, undefined);
  return {
    domain: message.domain ?? "",
    name: message.name ?? "",
    overload: message.overload ?? "",
    body: readFunctionBody(message, context),
    opsets: new Map(readOpsets(message.opset_import)),
    attributes: message.attribute ?? [],
    defaults: new Map(
      (message.attribute_proto ?? []).map((item) =>
        readAttribute(item, message.name ?? "", context, readBody),
      ),
    ),
    docString: message.doc_string ?? "",
    metadata,
  };
}

function readOpsets(messages: readonly OpsetMessage[] | undefined): [string, number][] {
  return (messages ?? []).map(({ domain = "", version }) => [
    domain === "ai.onnx" ? "" : domain,
    Number(toInt(version)),
  ]);
}
