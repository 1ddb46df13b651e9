/** `writeModel` and `encodeModel`: from the IR to a file or bytes, weights inside, beside or left where they are. */
import { existsSync, mkdirSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { InternalError } from "../diagnostics/define.ts";
import { onnxErrors } from "../diagnostics/onnx.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { dtypeCode } from "../ir/dtype.ts";
import type { Model, ModelFunction } from "../ir/model.ts";
import { assignNames } from "../ir/names.ts";
import type { ByteRange, Tensor } from "../ir/tensor.ts";
import { writeEntries } from "./entries.ts";
import { fromInt } from "./integers.ts";
import type { Carried, FunctionMessage, ModelMessage, TensorMessage } from "./messages.ts";
import { encodeModelMessage } from "./wire.ts";
import { type TensorWriter, writeAttribute, writeGraph, writeNode } from "./write-graph.ts";

/** What ONNX Runtime 1.30 loads. */
export const runtimeLimits = { irVersion: 13, opset: 26 } as const;

/** Weights below this many bytes always go inside the model. */
const smallTensor = 1024;

/** Protobuf's limit on one message. */
const messageLimit = 2 ** 31 - 1;

export interface EncodeOptions {
  /**
   * `inline` puts every weight inside; `reference` lets weights that lie in files below `folder` stay there, named by
   * their path relative to it.
   */
  readonly weights?: "inline" | "reference";
  /** For `reference`: absolute folder that external data will be looked for in. */
  readonly folder?: string;
  /** Write inferred types of intermediate values. */
  readonly valueInfo?: boolean;
  /** Refuse what ONNX Runtime does not load. */
  readonly checkLimits?: boolean;
}

/**
 * Encodes a model; gives names to values that have none.
 *
 * @throws DiagnosticError `E_ONNX_TOO_LARGE`, `E_ONNX_VERSION`.
 */
export function encodeModel(model: Model, options: EncodeOptions = {}): Uint8Array {
  const { weights = "inline", folder, valueInfo = false, checkLimits = false } = options;
  if (checkLimits) {
    if (model.opset > runtimeLimits.opset)
      throw onnxErrors.E_ONNX_VERSION("opset", model.opset, runtimeLimits.opset);
    if (model.irVersion > runtimeLimits.irVersion) {
      throw onnxErrors.E_ONNX_VERSION("IR version", model.irVersion, runtimeLimits.irVersion);
    }
  }
  let inside = 0;
  const writeTensor: TensorWriter = (tensor, name) => {
    const { source } = tensor;
    if (weights === "reference" && source.kind === "file" && tensor.byteLength >= smallTensor) {
      if (folder === undefined) throw new InternalError("weights cannot be referred to without a folder");
      return referTo(tensor, name, source.range, folder);
    }
    inside += tensor.source.kind === "strings" ? 0 : tensor.byteLength;
    if (inside > messageLimit) throw onnxErrors.E_ONNX_TOO_LARGE(model.origin?.file ?? "the model", inside);
    return { ...tensorHead(tensor, name), ...tensorData(tensor) };
  };
  return encodeModelMessage(modelMessage(model, writeTensor, valueInfo));
}

/** Where the weights of a written model go. */
export interface WriteOptions extends Omit<EncodeOptions, "weights"> {
  /** `external` streams them to `NAME.data` beside the model; `auto` does so where they do not fit inside. */
  readonly weights?: "inline" | "reference" | "external" | "auto";
}

/** Writes a model whole or not at all: to a temporary file first, which is then renamed. */
export async function writeModel(model: Model, path: string, options: WriteOptions = {}): Promise<void> {
  const { weights = "auto", ...rest } = options;
  const folder = dirname(resolve(path));
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true });
  if (weights === "external" || (weights === "auto" && totalBytes(model) > messageLimit / 2)) {
    await writeExternally(model, path, rest);
    return;
  }
  const bytes = encodeModel(model, { ...rest, weights: weights === "auto" ? "inline" : weights });
  await writeFileAtomic(path, bytes);
}

/** Streams large weights into one file beside the model, each aligned to 64 bytes. */
async function writeExternally(
  model: Model,
  path: string,
  options: Omit<WriteOptions, "weights">,
): Promise<void> {
  assignNames(model);
  const location = `${basename(path)}.data`;
  const placed: { readonly tensor: Tensor; readonly offset: number }[] = [];
  let end = 0;
  const writeTensor: TensorWriter = (tensor, name) => {
    if (tensor.source.kind === "strings" || tensor.byteLength < smallTensor) {
      return { ...tensorHead(tensor, name), ...tensorData(tensor) };
    }
    const offset = Math.ceil(end / 64) * 64;
    placed.push({ tensor, offset });
    end = offset + tensor.byteLength;
    return { ...tensorHead(tensor, name), ...externalFields(location, offset, tensor.byteLength) };
  };
  const bytes = encodeModelMessage(modelMessage(model, writeTensor, options.valueInfo ?? false));
  await writeFileAtomic(join(dirname(resolve(path)), location), chunksOf(placed));
  await writeFileAtomic(path, bytes);
}

async function* chunksOf(
  placed: readonly { readonly tensor: Tensor; readonly offset: number }[],
): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const { tensor, offset } of placed) {
    if (offset > at) yield new Uint8Array(offset - at);
    yield tensor.bytes();
    at = offset + tensor.byteLength;
  }
}

function totalBytes(model: Model): number {
  let total = 0;
  for (const { initializer } of model.graph.initializers) {
    if (initializer !== undefined && initializer.source.kind !== "strings") total += initializer.byteLength;
  }
  return total;
}

function modelMessage(model: Model, writeTensor: TensorWriter, valueInfo: boolean): ModelMessage {
  assignNames(model);
  const carried = readCarried(model.carried);
  return {
    ir_version: model.irVersion,
    ...(model.producerName === "" ? {} : { producer_name: model.producerName }),
    ...(model.producerVersion === "" ? {} : { producer_version: model.producerVersion }),
    ...(model.domain === "" ? {} : { domain: model.domain }),
    ...(model.modelVersion === 0 ? {} : { model_version: fromInt(model.modelVersion) }),
    ...(model.docString === "" ? {} : { doc_string: model.docString }),
    graph: { ...writeGraph(model.graph, writeTensor, { valueInfo }), ...carried.graph },
    opset_import: [...model.opsets].map(([domain, version]) => ({ domain, version })),
    metadata_props: writeEntries(model.metadata),
    functions: [...model.functions.values()].map((fn) => writeFunction(fn, writeTensor)),
    ...carried.model,
  };
}

function writeFunction(fn: ModelFunction, writeTensor: TensorWriter): FunctionMessage {
  return {
    name: fn.name,
    input: fn.body.inputs.map(({ name }) => name),
    output: fn.body.outputs.map(({ name }) => name),
    attribute: [...fn.attributes],
    node: [...fn.body.nodes()].map((node) => writeNode(node, writeTensor, { valueInfo: false })),
    ...(fn.docString === "" ? {} : { doc_string: fn.docString }),
    opset_import: [...fn.opsets].map(([domain, version]) => ({ domain, version })),
    ...(fn.domain === "" ? {} : { domain: fn.domain }),
    attribute_proto: [...fn.defaults].map(([name, value]) =>
      writeAttribute(name, value, writeTensor, { valueInfo: false }),
    ),
    ...(fn.overload === "" ? {} : { overload: fn.overload }),
    metadata_props: writeEntries(fn.metadata),
  };
}

/** What `read.ts` set aside: whole fields that we do not model. */
function readCarried(carried: unknown): { model: Carried; graph: Carried } {
  if (typeof carried !== "object" || carried === null || !("graph" in carried))
    return { model: {}, graph: {} };
  const { graph, ...model } = carried;
  return { model: defined(model), graph: typeof graph === "object" && graph !== null ? defined(graph) : {} };
}

function defined(fields: object): Carried {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function tensorHead(tensor: Tensor, name: string): TensorMessage {
  return {
    dims: tensor.dims.map(fromInt),
    data_type: dtypeCode(tensor.dtype),
    name,
    ...(tensor.docString === "" ? {} : { doc_string: tensor.docString }),
  };
}

function tensorData(tensor: Tensor): TensorMessage {
  if (tensor.source.kind === "strings") return { string_data: [...tensor.source.values] };
  return { raw_data: tensor.bytes() };
}

function referTo(tensor: Tensor, name: string, range: ByteRange, folder: string): TensorMessage {
  const location = relative(folder, range.file).split(sep).join("/");
  if (location.startsWith("..") || location === "") {
    throw new InternalError(`weight "${name}" lies in "${range.file}", outside "${folder}"`);
  }
  return { ...tensorHead(tensor, name), ...externalFields(location, range.offset, range.length) };
}

function externalFields(location: string, offset: number, length: number): TensorMessage {
  return {
    external_data: [
      { key: "location", value: location },
      { key: "offset", value: String(offset) },
      { key: "length", value: String(length) },
    ],
    data_location: 1,
  };
}
