/** `writeModel` and `encodeModel`: from the IR to a file or bytes, weights inside, beside or left where they are. */
import { existsSync, mkdirSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { InternalError } from "../diagnostics/define.ts";
import { onnxErrors } from "../diagnostics/onnx.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import type { Model } from "../ir/model.ts";
import type { Tensor } from "../ir/tensor.ts";
import { bytesOf, chunksOf, fillSkeleton } from "./fill.ts";
import { encodeModelMessage } from "./wire.ts";
import { joinBytes, type Pieces } from "./wire-rewrite.ts";
import { writeModelMessage } from "./write-model.ts";
import {
  type DataFile,
  dataFilePieces,
  placeInDataFile,
  referToFiles,
  type TensorWriter,
  writeInside,
} from "./write-tensor.ts";

/** What ONNX Runtime 1.30 loads. */
const runtimeLimits = { irVersion: 13, opset: 26 } as const;

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
  /** Write the types of all intermediate values that have one. */
  readonly valueInfo?: boolean;
  /** Refuse what ONNX Runtime does not load. */
  readonly checkLimits?: boolean;
}

/**
 * Encodes a model in memory; values without a name, or with one that is taken, get their names.
 *
 * @throws DiagnosticError `E_ONNX_TOO_LARGE`, `E_ONNX_VERSION`; for references `E_WEIGHTS_ELSEWHERE`, `E_EXTERNAL_LINK`.
 */
export function encodeModel(model: Model, options: EncodeOptions = {}): Uint8Array {
  const { weights = "inline", folder } = options;
  if (weights === "inline") return joinPieces(encodePieces(model, options, (inside) => inside));
  if (folder === undefined) throw new InternalError("weights cannot be referred to without a folder");
  return joinPieces(encodePieces(model, options, (inside) => referToFiles(folder, inside)));
}

/** Where the weights of a written model go. */
export interface WriteOptions extends Omit<EncodeOptions, "weights"> {
  /**
   * `external` puts them into `NAME.data` beside the model; `auto` does so where they do not fit inside. The folder of
   * `reference` is the model's own unless given.
   */
  readonly weights?: "inline" | "reference" | "external" | "auto";
}

/**
 * Writes a model whole or not at all: to a temporary file first, which is then renamed. Weights are streamed, so that
 * memory holds one part of one weight at a time. The folder is made where it does not exist.
 *
 * @throws DiagnosticError as {@link encodeModel}, `E_FILE_WRITE`, and `E_WEIGHTS_OVERWRITTEN` where the file that would
 *   be replaced holds weights that what is written refers to.
 */
export async function writeModel(model: Model, path: string, options: WriteOptions = {}): Promise<void> {
  const { weights = "auto", ...rest } = options;
  const target = resolve(path);
  if (weights === "external") return writeWithDataFile(model, target, rest);
  let pieces: Pieces<Tensor>;
  if (weights === "reference") {
    const folder = rest.folder ?? dirname(target);
    const referred = new Map<string, string>();
    pieces = encodePieces(model, rest, (inside) => referToFiles(folder, inside, referred));
    for (const file of referred.keys())
      if (isSameFile(file, target)) throw onnxErrors.E_WEIGHTS_OVERWRITTEN(target);
  } else {
    const unlimited = weights === "auto" ? Number.POSITIVE_INFINITY : messageLimit;
    pieces = encodePieces(model, rest, (inside) => inside, unlimited);
    if (pieces.byteLength > messageLimit) return writeWithDataFile(model, target, rest);
  }
  mkdirSync(dirname(target), { recursive: true });
  await writeFileAtomic(target, chunksOf(pieces.pieces));
}

async function writeWithDataFile(model: Model, target: string, options: EncodeOptions): Promise<void> {
  const location = `${basename(target)}.data`;
  const dataPath = join(dirname(target), location);
  const data: DataFile = { placed: new Map(), byteLength: 0 };
  const { pieces } = encodePieces(model, options, (inside) => placeInDataFile(location, data, inside));
  // A run that is cut off between the two files must not leave the old model with the new data.
  for (const { source } of data.placed.keys()) {
    if (source.kind === "file" && isSameFile(source.range.file, dataPath)) {
      throw onnxErrors.E_WEIGHTS_OVERWRITTEN(dataPath);
    }
  }
  mkdirSync(dirname(target), { recursive: true });
  await writeFileAtomic(dataPath, chunksOf(dataFilePieces(data)));
  await writeFileAtomic(target, chunksOf(pieces));
}

/** Encodes a model up to the data of its weights, none of which is read. */
function encodePieces(
  model: Model,
  { valueInfo = false, checkLimits = false }: EncodeOptions,
  place: (inside: TensorWriter) => TensorWriter,
  limit = messageLimit,
): Pieces<Tensor> {
  if (checkLimits) requireLoadable(model);
  const large: Tensor[] = [];
  const message = writeModelMessage(model, { writeTensor: place(writeInside(large)), valueInfo });
  const name = model.origin?.file ?? "the model";
  return fillSkeleton(encodeModelMessage(message), large, limit, (size) =>
    onnxErrors.E_ONNX_TOO_LARGE(name, size),
  );
}

function joinPieces({ pieces, byteLength }: Pieces<Tensor>): Uint8Array {
  return joinBytes(bytesOf(pieces), byteLength);
}

function requireLoadable(model: Model): void {
  const { opset, irVersion } = runtimeLimits;
  const opsets = [model.opsets, ...[...model.functions.values()].map((fn) => fn.opsets)];
  const newest = Math.max(...opsets.map((imports) => imports.get("") ?? 1));
  if (newest > opset) throw onnxErrors.E_ONNX_VERSION("opset", newest, opset);
  if (model.irVersion > irVersion) throw onnxErrors.E_ONNX_VERSION("IR version", model.irVersion, irVersion);
}

/** Whether two paths name the same entry of a folder; a link is not the same as the file it leads to. */
function isSameFile(left: string, right: string): boolean {
  return basename(left) === basename(right) && realFolder(left) === realFolder(right);
}

function realFolder(path: string): string {
  const folder = dirname(path);
  return existsSync(folder) ? realpathSync(folder) : folder;
}
