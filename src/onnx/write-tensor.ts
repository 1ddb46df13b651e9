/** Turns tensors into messages; where their data goes is up to the writer of the model. */
import { lstatSync } from "node:fs";
import { isAbsolute, relative, sep } from "node:path";
import { onnxErrors } from "../diagnostics/onnx.ts";
import { dtypeCode } from "../ir/dtype.ts";
import type { ByteRange, Tensor } from "../ir/tensor.ts";
import { fromInt } from "./integers.ts";
import type { TensorMessage } from "./messages.ts";

/** Writes a tensor under a name. */
export type TensorWriter = (tensor: Tensor, name: string) => TensorMessage;

/** Weights below this many bytes always go inside the model. */
const smallTensor = 1024;

/** Data files are aligned to this many bytes, so that they can be used where they are mapped. */
const alignment = 64;

/** Puts all data inside: large data as an index into `large`, to be filled in when the model is encoded. */
export function writeInside(large: Tensor[]): TensorWriter {
  const indices = new Map<Tensor, number>();
  return (tensor, name) => {
    const { source } = tensor;
    if (source.kind === "strings") return { ...headOf(tensor, name), string_data: [...source.values] };
    if (tensor.byteLength < smallTensor) return { ...headOf(tensor, name), raw_data: tensor.bytes() };
    const index = indices.get(tensor) ?? large.push(tensor) - 1;
    indices.set(tensor, index);
    return { ...headOf(tensor, name), weight_index: [index] };
  };
}

/**
 * Lets large weights that lie in files stay there, and leaves the rest to `inside`.
 *
 * @param folder absolute folder that external data will be looked for in.
 * @param locations is filled with the files that are referred to, each with its path below the folder.
 * @throws DiagnosticError `E_WEIGHTS_ELSEWHERE`, `E_EXTERNAL_LINK` for files that no reader would accept there.
 */
export function referToFiles(
  folder: string,
  inside: TensorWriter,
  locations = new Map<string, string>(),
): TensorWriter {
  return (tensor, name) => {
    const { source } = tensor;
    if (source.kind !== "file" || tensor.byteLength < smallTensor) return inside(tensor, name);
    const { file } = source.range;
    const location = locations.get(file) ?? locationOf(file, folder, name);
    locations.set(file, location);
    return { ...headOf(tensor, name), ...externalFields(location, source.range) };
  };
}

/** Tensors of a data file in order, and where each begins. */
export interface DataFile {
  readonly placed: Map<Tensor, number>;
  byteLength: number;
}

/** Gives large weights a place in a data file beside the model, and leaves the rest to `inside`. */
export function placeInDataFile(location: string, data: DataFile, inside: TensorWriter): TensorWriter {
  return (tensor, name) => {
    if (tensor.source.kind === "strings" || tensor.byteLength < smallTensor) return inside(tensor, name);
    let offset = data.placed.get(tensor);
    if (offset === undefined) {
      offset = Math.ceil(data.byteLength / alignment) * alignment;
      data.placed.set(tensor, offset);
      data.byteLength = offset + tensor.byteLength;
    }
    return { ...headOf(tensor, name), ...externalFields(location, { offset, length: tensor.byteLength }) };
  };
}

/** The tensors of a data file with the gaps between them. */
export function* dataFilePieces({ placed }: DataFile): Generator<Uint8Array | Tensor, void, undefined> {
  let end = 0;
  for (const [tensor, offset] of placed) {
    if (offset > end) yield new Uint8Array(offset - end);
    yield tensor;
    end = offset + tensor.byteLength;
  }
}

function headOf(tensor: Tensor, name: string): TensorMessage {
  return {
    dims: tensor.dims.map(fromInt),
    data_type: dtypeCode(tensor.dtype),
    ...(name === "" ? {} : { name }),
    ...(tensor.docString === "" ? {} : { doc_string: tensor.docString }),
  };
}

/** The path of a file as external data names it: below `folder`, with `/`. */
function locationOf(file: string, folder: string, tensor: string): string {
  const path = relative(folder, file);
  if (path === "" || isAbsolute(path) || path.split(sep)[0] === "..") {
    throw onnxErrors.E_WEIGHTS_ELSEWHERE(tensor, file, folder);
  }
  const location = path.split(sep).join("/");
  if (lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true) {
    throw onnxErrors.E_EXTERNAL_LINK(tensor, location, "a symbolic link");
  }
  return location;
}

function externalFields(location: string, { offset, length }: Omit<ByteRange, "file">): TensorMessage {
  return {
    external_data: [
      { key: "location", value: location },
      { key: "offset", value: String(offset) },
      { key: "length", value: String(length) },
    ],
    data_location: 1,
  };
}
