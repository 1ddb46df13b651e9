/** `compile` and `gradient` as programs call them. */
import { requireAdapter } from "../../passes/adapt.ts";
import type { Manifest } from "../artifact/manifest.ts";
import type { Model } from "../ir/model.ts";
import type { Tensor } from "../ir/tensor.ts";
import { resolveOptions } from "../pass/options.ts";
import type { TaskName } from "../training/tasks.ts";
import { compileGraphs } from "./compile.ts";
import { type GradientRequest, makeGradient } from "./gradient.ts";
import { withDefaultTargets } from "./method.ts";
import type { Instrumentation } from "./passes.ts";
import { readPeftFolder } from "./peft-folder.ts";
import { type CompileRequest, compileSchema } from "./request.ts";
import { type WriteArtifactOptions, writeArtifact } from "./write-artifact.ts";

/** How a model is compiled, beside what is asked for. */
export interface CompileOptions extends Instrumentation {
  /** Folder of a Hugging Face PEFT adapter: its configuration is the method, its tensors the starting values. */
  readonly adapter?: string;
  /** Starting values that `startFromData` gave. */
  readonly starts?: ReadonlyMap<string, Tensor> | undefined;
}

/** A compiled model in memory. */
export interface Artifact {
  /** The task, as asked for or as found out. */
  readonly task: TaskName;
  /** Paths of the modules that the method adapts. */
  readonly sites: readonly string[];
  /** The graphs: one optimizer step, evaluation, and the step in two halves. */
  readonly graphs: Readonly<Record<"train" | "eval" | "grad" | "apply", Model>>;
  /** What the caller should know of choices that were made for them. */
  readonly remarks: readonly string[];
  /**
   * Writes the artifact into a folder, which is made where there is none.
   *
   * @returns the manifest as written.
   * @throws DiagnosticError for a folder that holds training, unless forced, and what the system refuses.
   */
  write(folder: string, options?: WriteArtifactOptions): Promise<Manifest>;
}

/**
 * Compiles a model into training graphs; the model itself is not changed.
 *
 * @example
 * const model = readModel("model.onnx");
 * const artifact = compile(model, { method: lora({ r: 8, targetModules: ["q_proj"] }), optimizer: adamw({ lr: 1e-3 }) });
 * await artifact.write("model.peft");
 *
 * @throws DiagnosticError for requests and models that cannot be compiled.
 */
export function compile(model: Model, request: CompileRequest = {}, options: CompileOptions = {}): Artifact {
  const { adapter: folder, starts, ...watch } = options;
  resolveOptions("compile", compileSchema, { ...request });
  const adapter = folder === undefined ? undefined : readPeftFolder(folder);
  const { name = "lora", options: given = {} } = request.method ?? {};
  const method =
    adapter === undefined
      ? { name, options: given }
      : { name: adapter.method, options: { ...adapter.options, ...given } };
  const complete = {
    name: method.name,
    options: withDefaultTargets(requireAdapter(method.name), method.options),
  };
  const start = adapter === undefined ? {} : { adapter: { file: adapter.file, tensors: adapter.tensors } };
  const compiled = compileGraphs(
    model,
    { ...request, method: complete },
    {
      ...watch,
      ...start,
      ...(starts === undefined ? {} : { starts }),
    },
  );
  return {
    task: compiled.plan.task,
    sites: compiled.plan.sites.map(({ path }) => path),
    graphs: compiled.graphs,
    remarks: compiled.remarks,
    write: (target, how) => writeArtifact(compiled, target, how),
  };
}

/**
 * The reverse-mode gradient of a model as a plain model: inputs `grad.<output>` for the upstream gradients, outputs
 * `grad.<input>`. The model itself is not changed.
 *
 * @throws DiagnosticError for names, types and ways that have no gradient.
 */
export function gradient(model: Model, request: GradientRequest = {}): Model {
  return makeGradient(model, request).model;
}

/** Gives a configuration file its types; the value itself is handed back. */
export function defineConfig<C extends CompileRequest>(config: C): C {
  return config;
}
