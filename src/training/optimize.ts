/** Adds the update to a graph that yields flat gradients: unscaling, clipping, skipping and the optimizer's own step. */
import { InternalError } from "../diagnostics/define.ts";
import { trainingErrors } from "../diagnostics/training.ts";
import { float32Tensor, int64Tensor, zeroTensor } from "../ir/constant.ts";
import type { Graph } from "../ir/graph.ts";
import { freeInputName } from "../ir/names.ts";
import { roleFact, setRole, withRole } from "../ir/role.ts";
import { countElements } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import { tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import type { BoundOptimizer } from "./define-optimizer.ts";
import { FlatLayout, FlatPart, placed } from "./flat-layout.ts";
import { type FlatSlice, readSlices } from "./flatten.ts";
import { type BoundHook, HookAt } from "./update-hook.ts";

/** Dynamic loss scaling, as torch.amp.GradScaler does it (Micikevicius et al. 2017, arXiv:1710.03740). */
export interface LossScaling {
  readonly initial: number;
  readonly growth: number;
  readonly backoff: number;
  /** Finite steps in a row after which the scale grows. */
  readonly interval: number;
}

export interface OptimizeOptions {
  readonly opset: number;
  readonly optimizer: BoundOptimizer;
  /** Global norm to which gradients are cut down. */
  readonly clip?: number | undefined;
  readonly scaling?: LossScaling | undefined;
  /** What the method does around the update. */
  readonly hook?: BoundHook | undefined;
}

/** Keys of scalar state in the state file. */
const scalarKeys = {
  step: "optimizer/step",
  scale: "scaler/scale",
  good: "scaler/good_steps",
} as const;

/**
 * Turns the graph's flat gradient output into updated parameters and state, each an output that feeds an input at the
 * next step. A gradient that is not finite changes nothing but the loss scale, and is reported as `skipped`.
 */
export function addOptimizer(graph: Graph, options: OptimizeOptions): void {
  const { opset, optimizer, clip, scaling, hook } = options;
  const b = new OpBuilder({ graph }, opset);
  const [param] = withRole(graph.inputs, "param");
  const gradient = withRole(graph.outputs, "grad")[0] ?? withRole(graph.inputs, "grad")[0];
  if (param === undefined || gradient === undefined)
    throw new InternalError("nothing to optimize: no flat gradient");
  graph.setOutputs(graph.outputs.filter((output) => output !== gradient));

  const scale = scaling === undefined ? undefined : lossScaleInput(graph, scaling);
  const slices = readSlices(param);
  const lacking = optimizer.lacks(slices);
  if (lacking !== undefined)
    throw trainingErrors.E_OPTIMIZER_TENSORS(optimizer.name, lacking.expected, lacking.got);
  const whole = new FlatLayout(slices);
  const part = new FlatPart(
    whole,
    slices.flatMap((slice, i) => (slice.idle === undefined && optimizer.trains(slice) ? [i] : [])),
  );
  const { layout } = part;
  const at = hook === undefined ? undefined : new HookAt(hook, slices);
  const taken = Object.keys(hook?.state ?? {}).find((name) => optimizer.state.includes(name));
  if (taken !== undefined)
    throw new InternalError(
      `both optimizer ${optimizer.name} and method ${hook?.method ?? ""} have a state "${taken}"`,
    );
  const hookState = Object.fromEntries(
    Object.keys(hook?.state ?? {}).map((name) => [
      name,
      flatStateInput(graph, name, at?.slicesOf(name) ?? []),
    ]),
  );
  const trained = part.take(b, at?.gradient(b, gradient, hookState) ?? gradient);
  const unscaled = scale === undefined ? trained : b.mul(trained, b.reciprocal(scale));
  const norm = b.sqrt(b.reduceSumSquare(unscaled, undefined, false));
  const finite = b.not(b.or(b.op("IsNaN", [norm]), b.op("IsInf", [norm])));
  const clipped = clip === undefined ? unscaled : clipTo(b, unscaled, norm, clip);

  const lr = graph.addInput({ name: freeInputName(graph, "lr"), type: tensorType("float32", []) });
  setRole(lr, "hyper", { kind: "lr" });
  const counter = stateInput(graph, "step", scalarKeys.step, int64Tensor([0], []));
  const step = b.add(counter, 1);
  const state = Object.fromEntries(
    optimizer.state.flatMap((name) => {
      const held = layout.slices.filter((slice) => optimizer.holds(name, slice));
      return held.length === 0 ? [] : [[name, flatStateInput(graph, name, placed(held))] as const];
    }),
  );
  const start = at?.before(b, param) ?? param;
  const updated = optimizer.update({
    b,
    param: part.take(b, start),
    grad: clipped,
    state,
    lr,
    step,
    layout,
    all: { param: start, layout: whole },
  });
  const updatedParam = part.put(b, start, updated.param);
  const hooked = at?.after(b, {
    param: updatedParam,
    previous: param,
    // What is not trained has no part in the update.
    grad: part.put(b, b.zerosLike(param), clipped),
    state: hookState,
    step,
  });

  feed(graph, b.where(finite, hooked?.param ?? updatedParam, param), param);
  const keep = (
    by: string,
    from: Readonly<Record<string, Value>>,
    to: Readonly<Record<string, Value>>,
  ): void => {
    for (const [name, before] of Object.entries(from)) {
      const after = to[name];
      if (after === undefined) throw new InternalError(`${by} does not update its state "${name}"`);
      feed(graph, b.where(finite, after, before), before);
    }
  };
  keep(`optimizer ${optimizer.name}`, state, updated.state);
  keep(`method ${hook?.method ?? ""}`, hookState, hooked?.state ?? {});
  feed(graph, b.where(finite, step, counter), counter);
  if (scale !== undefined && scaling !== undefined) updateScale(graph, b, scale, finite, scaling);
  addMetric(graph, "grad_norm", norm);
  addMetric(graph, "skipped", b.cast(b.not(finite), "float32"));
}

/** The loss scale as an input: the graph's own where autodiff has made it for its seed. */
export function lossScaleInput(graph: Graph, scaling: LossScaling): Value {
  const known = withRole(graph.inputs, "scale").find((input) => roleFact(input, "key") === scalarKeys.scale);
  if (known !== undefined) return known;
  const name = freeInputName(graph, "loss_scale");
  const initializer = float32Tensor([scaling.initial], []);
  const value = graph.addInput({ name, type: tensorType("float32", []), initializer });
  return setRole(value, "scale", { key: scalarKeys.scale });
}

/** Norm clipping of torch.nn.utils.clip_grad_norm_: factor min(1, clip / (norm + 1e-6)). */
function clipTo(b: OpBuilder, gradient: Value, norm: Value, clip: number): Value {
  const factor = b.div(b.scalar(clip, "float32"), b.add(norm, 1e-6));
  return b.mul(gradient, b.min(factor, 1));
}

function updateScale(graph: Graph, b: OpBuilder, scale: Value, finite: Value, scaling: LossScaling): void {
  const good = graph.addInput({
    name: freeInputName(graph, "good_steps"),
    type: tensorType("int64", []),
    initializer: int64Tensor([0], []),
  });
  setRole(good, "scale", { key: scalarKeys.good });
  const count = b.add(good, 1);
  const grows = b.and(finite, b.greaterOrEqual(count, scaling.interval));
  const raised = b.where(grows, b.mul(scale, scaling.growth), scale);
  feed(graph, b.where(finite, raised, b.mul(scale, scaling.backoff)), scale);
  feed(graph, b.where(b.and(finite, b.not(grows)), count, b.int(0)), good);
}

function stateInput(graph: Graph, name: string, key: string, initial: Tensor): Value {
  const value = graph.addInput({
    name: freeInputName(graph, name),
    type: tensorType(initial.dtype, initial.dims),
    initializer: initial,
  });
  return setRole(value, "state", { key });
}

function flatStateInput(graph: Graph, name: string, slices: readonly FlatSlice[]): Value {
  const shape = [slices.reduce((sum, slice) => sum + countElements(slice.shape), 0)];
  const value = graph.addInput({
    name: freeInputName(graph, `state.${name}`),
    type: tensorType("float32", shape),
    initializer: zeroTensor("float32", shape),
  });
  const parts = slices.map(({ key, offset, shape: dims }) => ({
    key: `${key}/${name}`,
    offset,
    shape: dims,
  }));
  return setRole(value, "state", { key: `state/${name}`, slices: JSON.stringify(parts) });
}

function feed(graph: Graph, value: Value, input: Value): void {
  value.name = `next.${input.name}`;
  graph.addOutput(setRole(value, "next", { feeds: input.name }));
}

function addMetric(graph: Graph, kind: string, value: Value): void {
  value.name = kind;
  graph.addOutput(setRole(value, "metric", { kind }));
}
