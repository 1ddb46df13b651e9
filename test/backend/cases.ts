/** Cases in the layout of ONNX's backend tests: a folder with a model and folders of operands and results beside it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { readModel } from "../../src/onnx/read.ts";
import { fromTensor, type NDArray } from "../../src/ops/ndarray.ts";

/** A model with the operands that it is run on, and the results that its makers computed. */
export interface BackendCase {
  readonly name: string;
  readonly file: string;
  /** By position; undefined for what is no tensor. */
  readonly inputs: readonly (NDArray | undefined)[];
  readonly outputs: readonly (NDArray | undefined)[];
}

/** Every model below a folder. */
export function findModels(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".onnx"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Reads the first data set of a model, if there is one. */
export function loadCase(file: string, root: string): BackendCase {
  const folder = dirname(file);
  const name = basename(file) === "model.onnx" ? relative(root, folder) : relative(root, file);
  const data = join(folder, "test_data_set_0");
  return { name, file, inputs: readArrays(data, "input"), outputs: readArrays(data, "output") };
}

function readArrays(folder: string, kind: "input" | "output"): (NDArray | undefined)[] {
  const arrays: (NDArray | undefined)[] = [];
  for (let index = 0; existsSync(join(folder, `${kind}_${index}.pb`)); index++)
    arrays.push(readArray(readFileSync(join(folder, `${kind}_${index}.pb`))));
  return arrays;
}

/** A tensor message as the only initializer of a model; undefined where the bytes are of another message. */
function readArray(bytes: Uint8Array): NDArray | undefined {
  // Field 8 is the name of a tensor; 5 the initializers of a graph, 2 its name; 7 the graph of a model, 1 its IR version.
  const tensor = Buffer.concat([bytes, field(8, new TextEncoder().encode("x"))]);
  const graph = Buffer.concat([field(2, new TextEncoder().encode("g")), field(5, tensor)]);
  try {
    const model = readModel(Buffer.concat([Uint8Array.of(8, 10), field(7, graph)]));
    const [value] = model.graph.initializers;
    return value?.initializer === undefined ? undefined : fromTensor(value.initializer);
  } catch {
    return undefined;
  }
}

/** A field of bytes on protobuf's wire. */
function field(number: number, bytes: Uint8Array): Uint8Array {
  const header = [(number << 3) | 2];
  let rest = bytes.length;
  while (rest > 127) {
    header.push((rest & 127) | 128);
    rest = Math.floor(rest / 128);
  }
  header.push(rest);
  return Buffer.concat([Uint8Array.from(header), bytes]);
}
