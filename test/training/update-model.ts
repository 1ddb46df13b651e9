/** Models of one update: a flat parameter and its gradient in, the optimizer's nodes behind them. */
import { bindOptimizer } from "../../passes/optimize.ts";
import { cloneModel } from "../../src/ir/clone.ts";
import { float32Tensor } from "../../src/ir/constant.ts";
import { Model } from "../../src/ir/model.ts";
import { roleFact, setRole } from "../../src/ir/role.ts";
import { tensorType } from "../../src/ir/type.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import type { FlatSlice } from "../../src/training/flatten.ts";
import { addOptimizer, type LossScaling } from "../../src/training/optimize.ts";
import { advance, GraphSession, resultOf, type State } from "../oracle/graph-session.ts";
import { evaluateModel } from "./evaluated.ts";

export interface UpdateOptions {
  readonly kind: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly clip?: number;
  readonly scaling?: LossScaling;
  /** Tensors that the vector holds; one of all its elements where absent. */
  readonly slices?: readonly FlatSlice[];
}

/** A model that updates a vector of the given starting values. */
export function updateModel(
  start: readonly number[],
  { kind, options = {}, clip, scaling, slices: given }: UpdateOptions,
): Model {
  const model = new Model();
  const { graph } = model;
  const type = tensorType("float32", [start.length]);
  const slices = JSON.stringify(given ?? [{ key: "w", offset: 0, shape: [start.length] }]);
  const params = graph.addInput({ name: "params", type, initializer: float32Tensor(start) });
  setRole(params, "param", { key: "params", slices });
  setRole(graph.addInput({ name: "grads", type }), "grad", { slices });
  addOptimizer(graph, { opset: model.opset, optimizer: bindOptimizer(kind, options), clip, scaling });
  return model;
}

/** A copy whose inputs have no defaults: onnxruntime-node does not feed inputs that have one. */
function withoutDefaults(model: Model): Model {
  const copy = cloneModel(model);
  for (const input of copy.graph.inputs) input.initializer = undefined;
  return copy;
}

/** What a run of several updates gave. */
export interface Updates {
  /** Parameters after each update. */
  readonly params: readonly (readonly number[])[];
  readonly norms: readonly number[];
  readonly skipped: readonly number[];
  readonly state: State;
}

/** Updates by the given gradients and learning rates, in the runtime or by our evaluator. */
export async function runUpdates(
  model: Model,
  gradients: readonly (readonly number[])[],
  rates: readonly number[],
  by: "runtime" | "evaluator",
): Promise<Updates> {
  const state: State = new Map(
    model.graph.inputs.flatMap(({ name, initializer, tensorType: type }) => {
      if (initializer === undefined || type === undefined) return [];
      const bytes = Uint8Array.from(initializer.bytes());
      const values =
        type.dtype === "int64"
          ? Array.from(new BigInt64Array(bytes.buffer), Number)
          : new Float32Array(bytes.buffer);
      return [[name, fromNumbers(type.dtype, initializer.dims, values)] as const];
    }),
  );
  const session = by === "runtime" ? await GraphSession.open(withoutDefaults(model)) : undefined;
  const params: number[][] = [];
  const norms: number[] = [];
  const skipped: number[] = [];
  try {
    for (const [step, gradient] of gradients.entries()) {
      const extra: Record<string, NDArray> = {
        grads: fromNumbers("float32", [gradient.length], gradient),
        lr: fromNumbers("float32", [], [rates[step] ?? Number.NaN]),
      };
      const results =
        session === undefined
          ? evaluateModel(model, new Map(), state, extra)
          : await session.run(new Map(), state, extra);
      advance(state, results);
      const param = model.graph.inputs.find((input) => roleFact(input, "key") === "params");
      params.push([...(state.get(param?.name ?? "")?.numbers ?? [])]);
      norms.push(resultOf(results, "metric", "grad_norm").numbers[0] ?? Number.NaN);
      skipped.push(resultOf(results, "metric", "skipped").numbers[0] ?? Number.NaN);
    }
  } finally {
    await session?.close();
  }
  return { params, norms, skipped, state };
}
