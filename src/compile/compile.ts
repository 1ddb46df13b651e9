/** `compile`: from a model and a request to the four graphs of a training artifact. */
import { bindOptimizer } from "../../passes/optimize.ts";
import { ModuleTree } from "../analysis/module-path.ts";
import { findSites } from "../analysis/sites.ts";
import type { Manifest } from "../artifact/manifest.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { cloneModel } from "../ir/clone.ts";
import { isFloat } from "../ir/dtype.ts";
import { Graph } from "../ir/graph.ts";
import { Model } from "../ir/model.ts";
import { markModule, markRest, moduleMark } from "../ir/module-mark.ts";
import { roleFact, setRole, withRole } from "../ir/role.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { PipelineStep } from "../pass/pipeline.ts";
import { finishGraph } from "./finish.ts";
import { forwardOptimizations } from "./optimizations.ts";
import { computeInParts } from "./parts.ts";
import { type Instrumentation, runPasses } from "./passes.ts";
import { planTraining, type TrainingPlan } from "./plan.ts";
import { choosePrepack, type PrepackChoice } from "./prepack.ts";
import { preparePipeline } from "./prepare.ts";
import { type CompileRequest, type CompileSettings, compileSchema } from "./request.ts";
import { startFrom } from "./start-from.ts";
import {
  emptyState,
  type InitialState,
  loadStartingValues,
  startingValues,
  takeFrozen,
  takeState,
} from "./state.ts";
import { structureHash } from "./structure.ts";
import { markTableInputs } from "./table-inputs.ts";

/** What compiling gave: graphs and state in memory, nothing written yet. */
export interface Compiled {
  readonly settings: CompileSettings;
  readonly plan: TrainingPlan;
  readonly graphs: Readonly<Record<GraphName, Model>>;
  readonly state: InitialState;
  /** Checkpoint keys of everything that is trained. */
  readonly parameterKeys: ReadonlySet<string>;
  /** Parsed options of the optimizer, defaults included. */
  readonly optimizerOptions: Readonly<Record<string, unknown>>;
  /** Number of elements of all weights of the source model. */
  readonly parameters: number;
  readonly sourceOpset: number;
  /** Hash of the source model without the bytes of its weights. */
  readonly structure: string;
  readonly prepack: PrepackChoice;
  /** What the user should be told: choices that were made for them. */
  readonly remarks: readonly string[];
}

export type GraphName = keyof Manifest["graphs"];

export interface CompileOptions extends Instrumentation {
  /** Tensors of an adapter to start from, by checkpoint key, with the name of their file for messages. */
  readonly adapter?: { readonly file: string; readonly tensors: ReadonlyMap<string, Tensor> };
  /** Starting values that take the place of the method's own, by checkpoint key: what data gave. */
  readonly starts?: ReadonlyMap<string, Tensor>;
  /** Leaves dropout and noise out of the training graphs, too, so that they can be compared with others. */
  readonly still?: boolean;
}

/**
 * Compiles a model into training graphs. The model itself is not changed.
 *
 * @throws DiagnosticError for requests and models that cannot be compiled.
 */
export function compileGraphs(model: Model, request: CompileRequest, options: CompileOptions = {}): Compiled {
  const settings = compileSchema.parse(request);
  const remarks: string[] = [];
  const watch: Instrumentation = {
    ...options,
    onRemark: (pass, message) => {
      if (!remarks.includes(message)) remarks.push(message);
      options.onRemark?.(pass, message);
    },
  };
  const prepared = cloneModel(model);
  runPasses(prepared, preparePipeline, watch);
  const plan = planTraining(prepared, settings);
  if (plan.reason !== undefined) remarks.push(`task ${plan.task}: ${plan.reason}`);
  markTableInputs(prepared.graph);
  markModules(prepared.graph);
  if (settings.provider === "webgpu" || settings.provider === "wasm") {
    remarks.push(
      `provider ${settings.provider}: the graphs are not yet held against the kernels that it has`,
    );
  }

  const { starts } = options;
  if (
    options.adapter === undefined &&
    starts === undefined &&
    plan.adapter.dataStart(plan.sites) !== undefined
  )
    throw adaptErrors.E_START_DATA(settings.method.name);
  const start =
    options.adapter === undefined
      ? undefined
      : { ...options.adapter, tensors: plan.adapter.restore(options.adapter.tensors) };
  let drawn: ReadonlyMap<string, Tensor> | undefined;
  const build = (training: boolean): Model => {
    const forward = cloneModel(prepared);
    runPasses(forward, [adaptStep(plan, settings, training)], watch);
    markRest(forward.graph, "(method)");
    if (starts !== undefined) loadStartingValues(forward.graph, starts);
    if (start !== undefined) startFrom(forward.graph, plan.adapter, start);
    // One start for all graphs, which may take long to compute.
    if (drawn === undefined) drawn = startingValues(forward.graph);
    else loadStartingValues(forward.graph, drawn);
    runPasses(forward, [lossStep(plan)], watch);
    markRest(forward.graph, "(loss)");
    runPasses(
      forward,
      [{ pass: "exact-data" }, { pass: "widen" }, ...baseSteps(settings), ...castSteps(settings)],
      watch,
    );
    return forward;
  };
  const low = settings.precision !== "fp32";
  const state = emptyState();
  const parameterKeys = new Set<string>();
  const evaluation = build(false);
  for (const param of withRole(evaluation.graph.inputs, "param"))
    parameterKeys.add(roleFact(param, "key") ?? param.name);
  takeFrozen(evaluation.graph, state);
  runPasses(
    evaluation,
    [
      ...forwardOptimizations(settings.disable, { paddingUnread: false, differentiated: false, low }),
      { pass: "flatten" },
    ],
    watch,
  );
  markRest(evaluation.graph, "(parameters)");
  const gradient = build(options.still !== true);
  dropOutputs(gradient.graph, ["logits", "output"]);
  if (settings.provider === "cpu" && !settings.disable.includes("micro-batch"))
    runPasses(gradient, [{ pass: "open-batch" }], watch);
  // The losses of tasks leave out padding; that of features compares all there is, and of others it is not known.
  const paddingUnread =
    settings.loss === undefined && plan.task !== "feature" && plan.loss.name !== "existing";
  runPasses(
    gradient,
    forwardOptimizations(settings.disable, { paddingUnread, differentiated: true, low }),
    watch,
  );
  runPasses(gradient, [{ pass: "autodiff", options: scaling(settings) }, { pass: "flatten" }], watch);
  markRest(gradient.graph, "(parameters)");
  computeInParts(gradient, settings, watch);
  const training = cloneModel(gradient);
  const optimizeStep: PipelineStep = {
    pass: "optimize",
    options: {
      kind: settings.optimizer.name,
      options: JSON.stringify(settings.optimizer.options),
      clip: settings.clip ?? 0,
      method: settings.method.name,
      method_options: JSON.stringify(plan.methodOptions),
      ...scaling(settings),
    },
  };
  const update = updateModel(gradient);
  runPasses(training, [optimizeStep], watch);
  runPasses(update, [optimizeStep], watch);
  const graphs = { train: training, eval: evaluation, grad: gradient, apply: update };
  for (const [name, graph] of Object.entries(graphs)) {
    markRest(graph.graph, "(optimizer)");
    finishGraph(graph, name === "train" ? settings.stepsPerRun : 1, settings, watch);
    takeState(graph.graph, state);
  }
  return {
    settings,
    plan,
    graphs,
    state,
    parameterKeys,
    optimizerOptions: bindOptimizer(settings.optimizer.name, settings.optimizer.options).options,
    parameters: countParameters(model),
    sourceOpset: model.opset,
    structure: structureHash(model),
    prepack: choosePrepack(training.graph, settings.prepack),
    remarks,
  };
}

/** Elements of all float initializers, each once. */
function countParameters({ graph }: Model): number {
  let count = 0;
  for (const { initializer } of [...graph.initializers, ...graph.inputs]) {
    if (initializer !== undefined && isFloat(initializer.dtype)) count += initializer.size;
  }
  return count;
}

function adaptStep(plan: TrainingPlan, settings: CompileSettings, training: boolean): PipelineStep {
  return {
    pass: "adapt",
    options: {
      method: settings.method.name,
      options: JSON.stringify(plan.methodOptions),
      training,
      seed: settings.seed,
    },
  };
}

function lossStep({ loss }: TrainingPlan): PipelineStep {
  return {
    pass: "loss",
    options: { kind: loss.name, options: JSON.stringify(loss.options), logits: loss.logits },
  };
}

function baseSteps({ base }: CompileSettings): PipelineStep[] {
  return base === "fp32" ? [] : [{ pass: "quantize-base", options: { bits: base === "int8" ? 8 : 4 } }];
}

function castSteps({ precision }: CompileSettings): PipelineStep[] {
  if (precision === "fp32") return [];
  return [{ pass: "autocast", options: { dtype: precision === "fp16" ? "float16" : "bfloat16" } }];
}

function scaling({ precision, scaling: given }: CompileSettings): Record<string, unknown> {
  if (precision !== "fp16") return {};
  return {
    scaling: true,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
}

/** Nodes say which module they serve, so that a profile of the training graph can tell where time goes. */
function markModules(graph: Graph): void {
  const tree = new ModuleTree(graph);
  for (const node of graph.allNodes()) {
    const path = tree.pathOf(node);
    if (path !== undefined) markModule(node, path);
  }
  for (const { node, path } of findSites(graph)) if (moduleMark(node) === undefined) markModule(node, path);
  markRest(graph, "(model)");
}

function dropOutputs(graph: Graph, roles: readonly string[]): void {
  graph.setOutputs(graph.outputs.filter((output) => !roles.includes(output.metadata.get("peft.role") ?? "")));
}

/** The update alone: parameters and gradient in, as the gradient graph lays them out. */
function updateModel(gradient: Model): Model {
  const update = new Model({
    irVersion: gradient.irVersion,
    opsets: gradient.opsets,
    graph: new Graph("apply"),
  });
  update.origin = gradient.origin;
  const [param] = withRole(gradient.graph.inputs, "param");
  const [grad] = withRole(gradient.graph.outputs, "grad");
  if (param === undefined || grad === undefined) throw adaptErrors.E_NO_SITES("the model");
  const copy = update.graph.addInput({ name: param.name, type: param.type });
  copy.initializer = param.initializer;
  const slices = roleFact(param, "slices");
  setRole(copy, "param", { key: param.name, ...(slices === undefined ? {} : { slices }) });
  const gradInput = update.graph.addInput({ name: grad.name, type: grad.type });
  setRole(gradInput, "grad", slices === undefined ? {} : { slices });
  return update;
}
