/** What training changes, as the graphs take it: flat vectors and scalars by input name; and as files keep it, by key. */
import type { GraphManifest, InputPort } from "../artifact/manifest.ts";
import type { Field } from "../data/batch.ts";
import { InternalError } from "../diagnostics/define.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import { viewElements } from "../formats/element-type.ts";
import type { SafetensorsTensor } from "../formats/safetensors.ts";
import { SafetensorsFile, writeSafetensors } from "../formats/safetensors-file.ts";

/** Values of the carried inputs by input name. */
export type State = Map<string, Field>;

const carried: ReadonlySet<string> = new Set(["param", "state", "scale"]);

/** Inputs that are carried from one step to the next. */
function carriedInputs(graph: GraphManifest): InputPort[] {
  return graph.inputs.filter(({ role }) => carried.has(role));
}

/** Reads the state of a graph. @throws DiagnosticError `E_STATE` naming the key that is missing or of another size. */
export function readState(file: string, graph: GraphManifest): State {
  const opened = SafetensorsFile.open(file);
  return new Map(carriedInputs(graph).map((port) => [port.name, readPort(opened, port)]));
}

function readPort(file: SafetensorsFile, port: InputPort): Field {
  if (port.shape.length === 0) return readScalar(file, port);
  const size = port.shape.reduce<number>((product, dim) => product * Number(dim), 1);
  const data = new Float32Array(size);
  for (const { key, offset, shape } of port.slices ?? []) {
    const length = shape.reduce((product, dim) => product * dim, 1);
    const entry = file.has(key) ? file.entry(key) : undefined;
    if (entry?.dtype !== "F32" || entry.shape.join() !== shape.join()) {
      throw runtimeErrors.E_STATE(
        file.path,
        key,
        `F32[${shape}]`,
        entry === undefined ? "nothing" : `${entry.dtype}[${entry.shape}]`,
      );
    }
    data.set(viewElements("float32", file.bytes(key)).subarray(0, length), offset);
  }
  return { dtype: "float32", shape: [size], data };
}

function readScalar(file: SafetensorsFile, { key = "", dtype }: InputPort): Field {
  const text = file.metadata.get(key);
  if (text === undefined) throw runtimeErrors.E_STATE(file.path, key, "a number in the header", "nothing");
  if (dtype === "int64") return { dtype, shape: [], data: BigInt64Array.of(BigInt(text)) };
  if (dtype === "float32") return { dtype, shape: [], data: Float32Array.of(Number(text)) };
  throw new InternalError(`scalar state "${key}" is of type ${dtype}`);
}

/** Writes the state under the keys of the artifact's own file. */
export async function writeState(file: string, graph: GraphManifest, state: State): Promise<void> {
  const tensors: SafetensorsTensor[] = [];
  const scalars = new Map([["format", "pt"]]);
  for (const port of carriedInputs(graph)) {
    const field = state.get(port.name);
    if (field === undefined) throw new InternalError(`state "${port.name}" is missing`);
    if (port.shape.length === 0) {
      scalars.set(port.key ?? port.name, String(field.data[0]));
      continue;
    }
    for (const { key, offset, shape } of port.slices ?? []) tensors.push(slice(field, key, offset, shape));
  }
  await writeSafetensors(file, tensors, scalars);
}

function slice(field: Field, name: string, offset: number, shape: readonly number[]): SafetensorsTensor {
  const { data } = field;
  if (!(data instanceof Float32Array)) throw new InternalError(`state "${name}" is not float32`);
  const length = shape.reduce((product, dim) => product * dim, 1);
  const part = data.subarray(offset, offset + length);
  return { name, dtype: "F32", shape, data: new Uint8Array(part.buffer, part.byteOffset, part.byteLength) };
}

/** Key of the first parameter or optimizer value that holds a number that is not finite; undefined where all are. */
export function findNonFinite(graph: GraphManifest, state: State): string | undefined {
  for (const { name, role, slices = [] } of carriedInputs(graph)) {
    const data = state.get(name)?.data;
    if (role === "scale" || !(data instanceof Float32Array)) continue;
    const at = data.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) return slices.findLast(({ offset }) => offset <= at)?.key ?? name;
  }
  return undefined;
}

/** The loss scale; undefined where the loss is not scaled. */
export function lossScale(graph: GraphManifest, state: State): number | undefined {
  const port = graph.inputs.find(({ role, dtype }) => role === "scale" && dtype === "float32");
  const value = port === undefined ? undefined : state.get(port.name)?.data[0];
  return value === undefined ? undefined : Number(value);
}
