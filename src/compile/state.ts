/** Starting values of everything that training changes, taken out of the graphs and keyed for the state file. */
import { InternalError } from "../diagnostics/define.ts";
import { byteLength } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import { roleFact, roleOf } from "../ir/role.ts";
import { countElements } from "../ir/shape.ts";
import { partOfBytes, Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { readSlices } from "../training/flatten.ts";

/** The state file: tensors by key, and scalars by key as decimal text for its header. */
export interface InitialState {
  readonly tensors: Map<string, Tensor>;
  readonly scalars: Map<string, string>;
}

const stateRoles: ReadonlySet<string> = new Set(["param", "state", "scale"]);

/** Collects the defaults of trained inputs into `state` and removes them from the graph. */
export function takeState(graph: Graph, state: InitialState): void {
  for (const input of graph.inputs) {
    if (!stateRoles.has(roleOf(input) ?? "") || input.initializer === undefined) continue;
    keep(input, input.initializer, state);
    input.initializer = undefined;
  }
}

/** Collects what the adapter needs but does not train, which stays in the graph as well. */
export function takeFrozen(graph: Graph, { tensors }: InitialState): void {
  for (const value of graph.initializers) {
    const key = roleFact(value, "key");
    if (roleOf(value) === "frozen" && key !== undefined && value.initializer !== undefined)
      tensors.set(key, value.initializer);
  }
}

function keep(input: Value, tensor: Tensor, { tensors, scalars }: InitialState): void {
  const key = roleFact(input, "key");
  if (key === undefined) throw new InternalError(`state input "${input.name}" has no key`);
  if (tensor.dims.length === 0) {
    scalars.set(key, scalarText(tensor));
  } else if (roleFact(input, "slices") === undefined) {
    tensors.set(key, tensor);
  } else {
    for (const slice of readSlices(input)) tensors.set(slice.key, partOf(tensor, slice));
  }
}

/** A slice of a flat tensor, cut out when it is read. */
function partOf(
  flat: Tensor,
  { key, offset, shape }: { key: string; offset: number; shape: readonly number[] },
): Tensor {
  const start = byteLength(flat.dtype, offset);
  const end = start + byteLength(flat.dtype, countElements(shape));
  const compute = (): Uint8Array => partOfBytes(flat, start, end);
  return new Tensor(flat.dtype, shape, { kind: "lazy", compute }, { name: key });
}

function scalarText(tensor: Tensor): string {
  const bytes = tensor.bytes();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (tensor.dtype === "int64") return String(view.getBigInt64(0, true));
  if (tensor.dtype === "float32") return String(view.getFloat32(0, true));
  throw new InternalError(`a ${tensor.dtype} scalar is no state`);
}

/** What trained inputs and the adapter's untrained tensors start with, by checkpoint key. */
export function startingValues(graph: Graph): Map<string, Tensor> {
  return new Map(
    [...graph.inputs, ...graph.initializers].flatMap((value) => {
      const role = roleOf(value);
      const key = roleFact(value, "key");
      const known = (role === "param" || role === "frozen") && key !== undefined && value.initializer;
      return known ? [[key, known] as const] : [];
    }),
  );
}

/** Replaces starting values by those of a checkpoint; gives the keys that were replaced. */
export function loadStartingValues(graph: Graph, values: ReadonlyMap<string, Tensor>): Set<string> {
  const loaded = new Set<string>();
  for (const value of [...graph.inputs, ...graph.initializers]) {
    const role = roleOf(value);
    const key = roleFact(value, "key");
    if ((role !== "param" && role !== "frozen") || key === undefined) continue;
    const tensor = values.get(key);
    if (tensor === undefined) continue;
    // What stays in the graph is written with it: no file of an adapter is referred to.
    const source =
      role === "frozen" ? { kind: "lazy" as const, compute: () => tensor.bytes() } : tensor.source;
    value.initializer = new Tensor(tensor.dtype, tensor.dims, source, { name: key });
    loaded.add(key);
  }
  return loaded;
}

/** An empty state. */
export function emptyState(): InitialState {
  return { tensors: new Map(), scalars: new Map() };
}
