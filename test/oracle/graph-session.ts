/** Runs the graphs of a compiled artifact in memory, feeding by role and carrying state, as a runner does. */
import { InferenceSession } from "onnxruntime-node";
import type { Compiled, GraphName } from "../../src/compile/compile.ts";
import type { Model } from "../../src/ir/model.ts";
import { roleFact, roleOf } from "../../src/ir/role.ts";
import type { Value } from "../../src/ir/value.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import { fromNumbers, fromTensor, NDArray } from "../../src/ops/ndarray.ts";
import { readSlices } from "../../src/training/flatten.ts";
import { fromRuntime, toRuntime } from "../harness/runtime.ts";

/** Arrays by batch field. */
export type Batch = ReadonlyMap<string, NDArray>;

/** Arrays of state inputs by input name, carried from step to step. */
export type State = Map<string, NDArray>;

/** A graph that is open in the runtime. */
export class GraphSession {
  readonly model: Model;
  readonly #session: InferenceSession;

  private constructor(model: Model, session: InferenceSession) {
    this.model = model;
    this.#session = session;
  }

  static async open(model: Model): Promise<GraphSession> {
    const folder = model.origin?.folder;
    const bytes = encodeModel(model, folder === undefined ? {} : { weights: "reference", folder });
    const session = await InferenceSession.create(bytes, {
      logSeverityLevel: 3,
      intraOpNumThreads: 1,
      extra: {
        session: {
          qdq_matmulnbits_accuracy_level: "1",
          ...(folder === undefined ? {} : { model_external_initializers_file_folder_path: folder }),
        },
        optimization: { disable_specified_optimizers: "EliminateDropout" },
      },
    });
    return new GraphSession(model, session);
  }

  /** Runs the graph: batch fields by name, everything else from `state` or `extra` by input name. */
  async run(
    batch: Batch,
    state: ReadonlyMap<string, NDArray>,
    extra: Readonly<Record<string, NDArray>> = {},
  ): Promise<Map<Value, NDArray>> {
    const feeds = Object.fromEntries(
      this.model.graph.inputs.map((input) => {
        const array = extra[input.name] ?? state.get(input.name) ?? batch.get(roleFact(input, "field") ?? "");
        if (array === undefined) throw new Error(`nothing to feed to "${input.name}" (${roleOf(input)})`);
        return [input.name, toRuntime(array)];
      }),
    );
    const results = await this.#session.run(feeds);
    return new Map(
      this.model.graph.outputs.map((output) => {
        const tensor = results[output.name];
        if (tensor === undefined) throw new Error(`no output "${output.name}"`);
        return [output, fromRuntime(tensor)];
      }),
    );
  }

  async close(): Promise<void> {
    await this.#session.release();
  }
}

/** Starting state of a graph's inputs, from the compiled state. */
export function startingState(compiled: Compiled, name: GraphName): State {
  const state: State = new Map();
  for (const input of compiled.graphs[name].graph.inputs) {
    const key = roleFact(input, "key");
    if (!["param", "state", "scale"].includes(roleOf(input) ?? "") || key === undefined) continue;
    const scalar = compiled.state.scalars.get(key);
    const type = input.tensorType;
    if (type === undefined) throw new Error(`"${input.name}" has no type`);
    if (scalar !== undefined) {
      state.set(input.name, fromNumbers(type.dtype, [], [Number(scalar)]));
      continue;
    }
    const parts = readSlices(input).map((slice) => {
      const tensor = compiled.state.tensors.get(slice.key);
      if (tensor === undefined) throw new Error(`no starting value of "${slice.key}"`);
      return fromTensor(tensor).numbers;
    });
    const flat = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      flat.set(part, at);
      at += part.length;
    }
    state.set(input.name, new NDArray("float32", [flat.length], flat));
  }
  return state;
}

/** The result with a role, of a given kind where the role has kinds. */
export function resultOf(results: ReadonlyMap<Value, NDArray>, role: string, kind?: string): NDArray {
  for (const [output, array] of results) {
    if (roleOf(output) === role && (kind === undefined || roleFact(output, "kind") === kind)) return array;
  }
  throw new Error(`no output of role ${role} ${kind ?? ""}`);
}

/** Hands every `next` output to the input it feeds. */
export function advance(state: State, results: ReadonlyMap<Value, NDArray>): void {
  for (const [output, array] of results) {
    const feeds = roleFact(output, "feeds");
    if (feeds !== undefined) state.set(feeds, array);
  }
}

/** Parts of a flat array by key. */
export function splitFlat(value: Value, flat: NDArray): Map<string, NDArray> {
  return new Map(
    readSlices(value).map(({ key, offset, shape }) => {
      const size = shape.reduce((product, dim) => product * dim, 1);
      return [key, new NDArray(flat.dtype, shape, flat.numbers.slice(offset, offset + size))];
    }),
  );
}
