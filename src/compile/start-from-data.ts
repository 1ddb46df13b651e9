/** Runs batches of data through a model for methods whose starting values depend on it. */
import type { DataStart, Gathered } from "../adapt/data-start.ts";
import { keyPrefix } from "../adapt/parameters.ts";
import { findBaseParameters, trainBaseParameters } from "../adapt/saved.ts";
import { basePath } from "../adapt/select.ts";
import { findSites, type Site } from "../analysis/sites.ts";
import type { Batch, Dataset, Field, FieldRequest } from "../data/batch.ts";
import { Batches } from "../data/batches.ts";
import { InternalError } from "../diagnostics/define.ts";
import { cloneModel } from "../ir/clone.ts";
import type { Model } from "../ir/model.ts";
import { assignNames } from "../ir/names.ts";
import { roleFact, roleOf, withRole } from "../ir/role.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { encodeModel } from "../onnx/write.ts";
import { OpBuilder } from "../ops/builder.ts";
import { fieldType } from "../runtime/graph-ports.ts";
import { openSession, type SessionOptions } from "../runtime/session.ts";
import { runPasses } from "./passes.ts";
import { planTraining, type TrainingPlan } from "./plan.ts";
import { preparePipeline } from "./prepare.ts";
import { type CompileRequest, compileSchema } from "./request.ts";

/** What data are opened for. */
export type StartTask = Pick<TrainingPlan, "task" | "numLabels" | "maxPositions">;

export interface StartData {
  /** Opens the data, once it is known what for. */
  readonly open: (task: StartTask) => Dataset;
  /** Examples of a batch. */
  readonly batch: number;
  readonly threads?: SessionOptions["threads"];
  /** Called after each batch. */
  readonly onBatch?: (done: number) => void;
}

/** A request with what data settled of the method's options, and the starting values that they gave. */
export interface StartedRequest {
  readonly request: CompileRequest;
  /** Undefined where the method starts without data. */
  readonly starts: ReadonlyMap<string, Tensor> | undefined;
}

/**
 * Gathers what the method of a request starts from.
 *
 * @throws DiagnosticError as `compileGraphs` for requests that cannot be compiled, and where the data do not suffice.
 */
export async function startFromData(
  model: Model,
  request: CompileRequest,
  data: StartData,
): Promise<StartedRequest> {
  const settings = compileSchema.parse(request);
  const prepared = cloneModel(model);
  runPasses(prepared, preparePipeline);
  const plan = planTraining(prepared, settings);
  const start = plan.adapter.dataStart(plan.sites);
  if (start === undefined) return { request, starts: undefined };
  const measured = start.gathers === "inputs" ? inputsModel(prepared, plan) : gradientsModel(prepared, plan);
  await readBatches(measured, start, data, data.open(plan));
  const { options, tensors } = start.finish();
  const method = { ...request.method, options: { ...request.method?.options, ...options } };
  return { request: { ...request, method }, starts: tensors };
}

/** A graph that yields what is gathered, and under which output each module's is. */
interface Measured {
  readonly model: Model;
  readonly outputs: ReadonlyMap<string, Value>;
  /** Modules whose own layout of the weight is the other one. */
  readonly flipped: ReadonlySet<string>;
}

/** Yields what each module reads. */
function inputsModel(model: Model, { sites }: TrainingPlan): Measured {
  const { graph, opset } = model;
  const wanted = new Set(sites.map(({ path }) => path));
  const byValue = new Map<Value, Value>();
  const outputs = new Map<string, Value>();
  graph.setOutputs([]);
  for (const { path, x } of findSites(graph)) {
    if (!wanted.has(path)) continue;
    const known = byValue.get(x);
    const b = new OpBuilder({ graph }, opset);
    const output = known ?? b.op("Identity", [b.cast(x, "float32")]);
    if (known === undefined) {
      byValue.set(x, output);
      output.name = `gathered.${byValue.size}`;
      graph.addOutput(output);
    }
    outputs.set(path, output);
  }
  runPasses(model, "dce");
  return { model, outputs, flipped: new Set() };
}

/** Yields the gradient of the loss by each module's weight. */
function gradientsModel(model: Model, plan: TrainingPlan): Measured {
  const { graph, opset } = model;
  const adapted = new Set(plan.sites.map(basePath));
  const sites = findSites(graph);
  const parameters = findBaseParameters(graph, sites).filter(
    ({ module, name }) => adapted.has(module) && name === "weight",
  );
  trainBaseParameters(graph, parameters, {
    modules: [...adapted],
    bias: "none",
    adapted: new Set(),
    opset,
  });
  const { name, options, logits } = plan.loss;
  runPasses(model, [
    { pass: "loss", options: { kind: name, options: JSON.stringify(options), logits } },
    { pass: "widen" },
    { pass: "autodiff" },
  ]);
  const grads = withRole(graph.outputs, "grad");
  const outputs = new Map(
    grads.map((grad) => {
      const key = roleFact(grad, "key") ?? "";
      return [key.slice(keyPrefix.length).replace(/\.weight$/, ""), grad] as const;
    }),
  );
  graph.setOutputs(grads);
  runPasses(model, "fold,cse,dce");
  return { model, outputs, flipped: new Set(sites.filter(isConv1d).map(basePath)) };
}

function isConv1d(site: Site): boolean {
  return site.kind === "linear" && site.conv1d;
}

async function readBatches(
  measured: Measured,
  start: DataStart,
  data: StartData,
  dataset: Dataset,
): Promise<void> {
  const { model } = measured;
  assignNames(model, { nodes: true });
  const { graph, origin } = model;
  const fed = graph.inputs.filter((input) => input.initializer === undefined);
  const wanted = fed.map(requestOf);
  const hasLabels = dataset.fields.includes("labels");
  if (hasLabels && start.ignoredLabel !== undefined && !wanted.some(({ name }) => name === "labels"))
    wanted.push({ name: "labels", dtype: "int64" });
  const folder = origin?.folder;
  const bytes = encodeModel(model, folder === undefined ? {} : { weights: "reference", folder });
  const session = await openSession(bytes, {
    name: "graph of starting values",
    threads: data.threads,
    weightsFolder: folder,
  });
  try {
    const batches = new Batches(dataset, { batch: data.batch, order: "in-order", wanted });
    let done = 0;
    for (let pass = 0; pass < start.passes; pass++) {
      for (const batch of batches) {
        const feeds = Object.fromEntries(
          fed.map((input) => [input.name, fieldOf(batch, requestOf(input).name)]),
        );
        start.add(gatheredOf(measured, await session.run(feeds), countedTokens(batch, start)));
        done += 1;
        data.onBatch?.(done);
        if (start.isDone()) return;
      }
    }
  } finally {
    await session.close();
  }
}

function requestOf(input: Value): FieldRequest {
  const role = roleOf(input);
  const name = (role === "batch" || role === "label" ? roleFact(input, "field") : undefined) ?? input.name;
  return { name, dtype: fieldType(input.name, input.tensorType?.dtype ?? "float32") };
}

function fieldOf(batch: Batch, name: string): Field {
  const field = batch[name];
  if (field === undefined) throw new InternalError(`the batch lacks "${name}"`);
  return field;
}

/** Which tokens are no padding and are judged, one after the other; undefined where nothing says so. */
function countedTokens(batch: Batch, { ignoredLabel }: DataStart): boolean[] | undefined {
  const { attention_mask: mask, labels } = batch;
  const judged =
    ignoredLabel !== undefined && labels !== undefined && labels.shape.length === 2 ? labels : undefined;
  const isSame = mask === undefined || judged === undefined || mask.data.length === judged.data.length;
  if (mask === undefined && judged === undefined) return undefined;
  const count = (mask ?? judged)?.data.length ?? 0;
  return Array.from(
    { length: count },
    (_, at) =>
      Number(mask?.data[at] ?? 1) !== 0 &&
      !(isSame && judged !== undefined && Number(judged.data[at]) === ignoredLabel),
  );
}

function gatheredOf(
  { outputs, flipped }: Measured,
  results: Readonly<Record<string, Field>>,
  counts: readonly boolean[] | undefined,
): Map<string, Gathered> {
  const known = new Map<string, Gathered>();
  return new Map(
    [...outputs].map(([path, output]) => {
      const gathered =
        known.get(output.name) ?? gatheredField(results[output.name], flipped.has(path), counts);
      known.set(output.name, gathered);
      return [path, gathered];
    }),
  );
}

function gatheredField(
  field: Field | undefined,
  flips: boolean,
  counts: readonly boolean[] | undefined,
): Gathered {
  if (field === undefined || !(field.data instanceof Float32Array))
    throw new InternalError("what was gathered is no float32");
  const { data, shape } = field;
  const columns = shape.at(-1) ?? 1;
  const rows = data.length / Math.max(1, columns);
  if (flips) {
    const turned = Float32Array.from(
      data,
      (_, at) => data[(at % rows) * columns + Math.floor(at / rows)] ?? 0,
    );
    return { values: turned, columns: rows, rowsPerExample: columns };
  }
  const examples = shape.length > 2 ? (shape[0] ?? 1) : 1;
  const own = counts?.length === rows ? { counts } : {};
  return { values: data, columns, rowsPerExample: rows / Math.max(1, examples), ...own };
}
