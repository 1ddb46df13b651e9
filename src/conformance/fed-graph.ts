/** Runs the graphs of a compiled probe on random data: exactly by the reference evaluator, or in ONNX Runtime. */
import type { Batch, Field } from "../data/batch.ts";
import { Random } from "../data/random.ts";
import { InternalError } from "../diagnostics/define.ts";
import { type ElementType, viewElements } from "../formats/element-type.ts";
import { inlineTensor } from "../ir/constant.ts";
import { substituteDim, symbolsOf } from "../ir/dim.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Model } from "../ir/model.ts";
import { roleFact, roleOf } from "../ir/role.ts";
import { countElements } from "../ir/shape.ts";
import type { Value } from "../ir/value.ts";
import { encodeModel } from "../onnx/write.ts";
import { encodeElements } from "../ops/elements.ts";
import { evaluateGraph } from "../ops/evaluate.ts";
import { fromNumbers, fromTensor, NDArray } from "../ops/ndarray.ts";
import { openSession } from "../runtime/session.ts";

/** Arrays by the name of the graph's input or output. */
export type Arrays = ReadonlyMap<string, NDArray>;

/** Length of every named axis but the first, which counts rows. */
const sequence = 3;

/** Data for every batch and label input, by field: normal numbers, and ids that count through their table's rows. */
export function randomBatch({ graph }: Model, rows: number, seed: number): Map<string, NDArray> {
  const random = new Random(seed);
  const batch = new Map<string, NDArray>();
  for (const input of graph.inputs) {
    const field = roleFact(input, "field");
    const role = roleOf(input);
    if ((role !== "batch" && role !== "label") || field === undefined) continue;
    const shape = shapeFor(input, rows);
    const dtype = input.tensorType?.dtype ?? "float32";
    const below = Number(roleFact(input, "below") ?? 2);
    const element = (_: unknown, i: number): number =>
      isFloat(dtype) ? random.normal() : (i + seed) % below;
    batch.set(field, fromNumbers(dtype, shape, Array.from({ length: countElements(shape) }, element)));
  }
  return batch;
}

function shapeFor(input: Value, rows: number): number[] {
  return (input.tensorType?.shape ?? []).map((dim, axis) => {
    if (typeof dim === "number") return dim;
    const known = new Set(symbolsOf(dim));
    const size = substituteDim(dim, (name) => (known.has(name) ? (axis === 0 ? rows : sequence) : undefined));
    if (typeof size !== "number") throw new InternalError(`"${input.name}" has an axis ${dim.key}`);
    return size;
  });
}

/** Rows `from` to `to` of every field. */
export function rowsOf(batch: Arrays, from: number, to: number): Map<string, NDArray> {
  return new Map(
    [...batch].map(([field, { dtype, shape, data }]) => {
      const [rows = 1, ...rest] = shape;
      const size = data.length / rows;
      return [field, new NDArray(dtype, [to - from, ...rest], data.slice(from * size, to * size))];
    }),
  );
}

/** What a graph is fed beside a batch. */
export interface Feeds {
  readonly batch: Arrays;
  /** Trained values by input name. */
  readonly state: Arrays;
  readonly seed?: number;
  readonly lr?: number;
}

function feed(input: Value, { batch, state, seed = 1, lr = 1e-2 }: Feeds): NDArray | undefined {
  const role = roleOf(input);
  if (role === "rng") return fromNumbers("uint64", [], [seed]);
  if (role === "hyper") return fromNumbers("float32", [], [lr]);
  return state.get(input.name) ?? batch.get(roleFact(input, "field") ?? input.name);
}

/** Outputs by name, computed in TypeScript in float64. */
export function evaluateExactly(model: Model, feeds: Feeds): Map<string, NDArray> {
  const { graph, opset } = model;
  const environment = new Map<Value, NDArray>();
  for (const input of graph.inputs) {
    const array = feed(input, feeds) ?? (input.initializer && fromTensor(input.initializer));
    if (array !== undefined) environment.set(input, array);
  }
  const results = evaluateGraph(graph, environment, { opset, exact: true });
  return new Map(graph.outputs.map(({ name }, i) => [name, requireArray(results[i], name)]));
}

/** Outputs by name, computed by ONNX Runtime on the CPU. */
export async function runInRuntime(model: Model, feeds: Feeds): Promise<Map<string, NDArray>> {
  const session = await openSession(encodeModel(model), { threads: 1, name: `graph "${model.graph.name}"` });
  try {
    const given = model.graph.inputs.flatMap((input) => {
      const array = feed(input, feeds);
      return array === undefined ? [] : [[input.name, toField(array)] as const];
    });
    const results = await session.run(Object.fromEntries(given));
    return new Map(Object.entries(results).map(([name, field]) => [name, fromField(field)]));
  } finally {
    await session.close();
  }
}

/** A batch as the trainer takes it. */
export function batchOf(arrays: Arrays): Batch {
  return Object.fromEntries([...arrays].map(([field, array]) => [field, toField(array)]));
}

function toField({ dtype, shape, data }: NDArray): Field {
  const type: ElementType | undefined = isElementType(dtype) ? dtype : undefined;
  if (type === undefined) throw new InternalError(`${dtype} is not fed to a graph`);
  return { dtype: type, shape, data: viewElements(type, encodeElements(dtype, data)) };
}

const elementTypes: ReadonlySet<string> = new Set<ElementType>([
  "float32",
  "float16",
  "int64",
  "int32",
  "uint64",
  "bool",
]);

function isElementType(dtype: string): dtype is ElementType {
  return elementTypes.has(dtype);
}

function fromField({ dtype, shape, data }: Field): NDArray {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return fromTensor(inlineTensor(dtype, shape, bytes));
}

/** The output of a role, by the name that the graph gives it. */
export function resultOf({ graph }: Model, results: Arrays, role: string): NDArray {
  const output = graph.outputs.find((value) => roleOf(value) === role);
  return requireArray(results.get(output?.name ?? ""), `output of role ${role}`);
}

export function scalarOf(array: NDArray): number {
  return array.toNumbers()[0] ?? Number.NaN;
}

function requireArray(array: NDArray | undefined, name: string): NDArray {
  if (array === undefined) throw new InternalError(`the graph yields no "${name}"`);
  return array;
}
