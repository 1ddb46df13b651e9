/** Writes a compiled training artifact: graphs, starting state, manifest and typed bindings. */
import { existsSync, linkSync, mkdirSync, rmSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { basename, isAbsolute, join, relative, resolve, sep } from "node:path";
import { basePath } from "../adapt/select.ts";
import { identify } from "../artifact/identity.ts";
import { type Manifest, manifestFormat, manifestSchema } from "../artifact/manifest.ts";
import { version } from "../artifact/version.ts";
import { artifactErrors } from "../diagnostics/artifact.ts";
import { InternalError } from "../diagnostics/define.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { writeSafetensors } from "../formats/safetensors-file.ts";
import type { DType } from "../ir/dtype.ts";
import type { Model, ModelOrigin } from "../ir/model.ts";
import type { Tensor } from "../ir/tensor.ts";
import { encodeModel } from "../onnx/write.ts";
import { bindingFiles } from "./bindings.ts";
import type { Compiled, GraphName } from "./compile.ts";
import { peftFacts } from "./peft-facts.ts";
import { describeGraph } from "./ports.ts";

export interface WriteArtifactOptions {
  /** Where the frozen weights are: in the user's own files, hard links to them, or copies. */
  readonly weights?: Manifest["source"]["weights"];
  /** Overwrite a folder that holds training. */
  readonly force?: boolean;
  /** Path of a method file given with `--use`. */
  readonly use?: string;
}

const files: Readonly<Record<GraphName, string>> = {
  train: "train.onnx",
  eval: "eval.onnx",
  grad: "grad.onnx",
  apply: "apply.onnx",
};

const stateFile = "state.safetensors";

/** Further files of an artifact. */
const companions = ["manifest.json", "index.js", "index.d.ts"];

type Weights = Manifest["source"]["weights"];

/**
 * Writes an artifact into `folder`, which is made where it does not exist. The manifest comes last, so that a folder
 * without one was never finished.
 *
 * @throws DiagnosticError `E_ARTIFACT_TRAINED` for a folder that holds checkpoints, unless forced; `E_ARTIFACT_SOURCE`,
 * `E_ARTIFACT_ELSEWHERE`, `E_ARTIFACT_CLASH`.
 */
export async function writeArtifact(
  compiled: Compiled,
  folder: string,
  options: WriteArtifactOptions = {},
): Promise<Manifest> {
  const { weights = "reference", force = false } = options;
  const target = resolve(folder);
  const origin = compiled.graphs.train.origin;
  if (origin === undefined) throw artifactErrors.E_ARTIFACT_SOURCE();
  const sources = sourceFiles(compiled, origin);
  checkClashes(sources, target === origin.folder, weights, target);
  if (existsSync(join(target, "checkpoints")) && !force) throw artifactErrors.E_ARTIFACT_TRAINED(target);
  if (force)
    for (const name of ["checkpoints", "latest", "metrics.jsonl"])
      rmSync(join(target, name), { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  rmSync(join(target, "manifest.json"), { force: true });

  for (const [name, model] of graphEntries(compiled)) {
    const bytes = encodeModel(model, { weights: "reference", folder: origin.folder, checkLimits: true });
    await writeFileAtomic(join(target, files[name]), bytes);
  }
  await placeWeights(sources, origin.folder, target, weights);
  await writeState(compiled, join(target, stateFile));
  const manifest = await buildManifest(compiled, target, origin, weights, options.use);
  for (const { name, text } of bindingFiles(manifest)) await writeFileAtomic(join(target, name), text);
  await writeFileAtomic(join(target, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}

function graphEntries({ graphs }: Compiled): [GraphName, Model][] {
  return [
    ["train", graphs.train],
    ["eval", graphs.eval],
    ["grad", graphs.grad],
    ["apply", graphs.apply],
  ];
}

/** Files that the graphs refer to, by their path relative to the model's folder. */
function referredFiles(compiled: Compiled, folder: string): string[] {
  const found = new Set<string>();
  for (const [, model] of graphEntries(compiled)) {
    for (const { initializer } of model.graph.initializers) {
      if (initializer?.source.kind === "file") found.add(relative(folder, initializer.source.range.file));
    }
  }
  const outside = [...found].find((name) => isAbsolute(name) || name.split(sep)[0] === "..");
  if (outside !== undefined) throw artifactErrors.E_ARTIFACT_ELSEWHERE(resolve(folder, outside), folder);
  return [...found].sort();
}

/** Files of the source: the model itself, since merging starts from it, and those that the graphs refer to. */
function sourceFiles(compiled: Compiled, { file, folder }: ModelOrigin): string[] {
  return [...new Set([basename(file), ...referredFiles(compiled, folder)])];
}

/** Refuses to write over a file of the source, or to put one in the place of a file of the artifact. */
function checkClashes(names: readonly string[], sameFolder: boolean, weights: Weights, target: string): void {
  const ours = new Set([...Object.values(files), stateFile, ...companions]);
  const clash = names.find((name) => ours.has(name));
  if (clash !== undefined && (sameFolder || weights !== "reference")) {
    throw artifactErrors.E_ARTIFACT_CLASH(join(target, clash));
  }
}

async function placeWeights(
  names: readonly string[],
  from: string,
  to: string,
  weights: Weights,
): Promise<void> {
  if (weights === "reference" || from === to) return;
  for (const name of names) {
    const source = join(from, name);
    const target = join(to, name);
    mkdirSync(join(target, ".."), { recursive: true });
    rmSync(target, { force: true });
    if (weights === "copy") await copyFile(source, target);
    else linkSync(source, target);
  }
}

async function writeState({ state }: Compiled, path: string): Promise<void> {
  const tensors = [...state.tensors].map(([name, tensor]) => ({
    name,
    dtype: safetensorsType(tensor),
    shape: tensor.dims,
    data: () => tensor.bytes(),
  }));
  await writeSafetensors(path, tensors, new Map([["format", "pt"], ...state.scalars]));
}

function safetensorsType({ dtype, name }: Tensor): "F32" | "F16" | "BF16" | "F64" | "I64" | "I32" {
  const types: Partial<Record<DType, "F32" | "F16" | "BF16" | "F64" | "I64" | "I32">> = {
    float32: "F32",
    float16: "F16",
    bfloat16: "BF16",
    float64: "F64",
    int64: "I64",
    int32: "I32",
  };
  const type = types[dtype];
  if (type === undefined) throw new InternalError(`state "${name}" is of type ${dtype}`);
  return type;
}

async function buildManifest(
  compiled: Compiled,
  target: string,
  origin: ModelOrigin,
  weights: Manifest["source"]["weights"],
  use: string | undefined,
): Promise<Manifest> {
  const { settings, plan, graphs, state } = compiled;
  const names = sourceFiles(compiled, origin);
  const folder = weights === "reference" ? folderFrom(target, origin.folder) : ".";
  const trainable = sum(
    [...state.tensors].filter(([key]) => compiled.parameterKeys.has(key)).map(([, tensor]) => tensor.size),
  );
  const describe = (name: GraphName): Manifest["graphs"]["train"] =>
    describeGraph(graphs[name].graph, files[name], name === "train" ? settings.stepsPerRun : 1);
  return manifestSchema.parse({
    format: manifestFormat,
    producer: `peft-compile ${version}`,
    source: {
      model: basename(origin.file),
      folder,
      weights,
      files: names.map((name) => ({
        ...identify(join(origin.folder, name), { hash: settings.hash }),
        name,
      })),
      structure: compiled.structure,
      opset: compiled.sourceOpset,
    },
    method: {
      name: plan.adapter.name,
      options: plan.adapter.options,
      sites: plan.sites.map((site) => ({ path: basePath(site), kind: site.kind })),
      saved: [...plan.saved],
      peft: peftFacts(plan.adapter, plan.sites, state.tensors, plan.followers),
      ...(use === undefined ? {} : { use }),
    },
    task: {
      name: plan.task,
      options: plan.loss.options,
      logits: graphs.eval.graph.outputs.find((output) => output.metadata.get("peft.role") === "logits")?.name,
      numLabels: plan.numLabels,
      maxPositions: plan.maxPositions,
    },
    optimizer: {
      name: settings.optimizer.name,
      options: compiled.optimizerOptions,
      schedule: settings.schedule,
      clip: settings.clip,
      accumulate: settings.accumulate,
      accumulateBy: settings.accumulateBy,
    },
    precision: settings.precision,
    provider: settings.provider,
    prepack: compiled.prepack.packs,
    trainable,
    parameters: compiled.parameters,
    seed: settings.seed,
    graphs: {
      train: describe("train"),
      eval: describe("eval"),
      grad: describe("grad"),
      apply: describe("apply"),
    },
    state: stateFile,
  });
}

/** A path relative to the artifact where both lie on one volume. */
function folderFrom(target: string, folder: string): string {
  const path = relative(target, folder);
  return isAbsolute(path) ? folder : path === "" ? "." : path;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
