/** A training artifact as merging and exporting see it: the source model, the method, and what was trained. */
import { join } from "node:path";
import { bindAdapter } from "../../passes/adapt.ts";
import type { BoundAdapter } from "../adapt/define.ts";
import type { GraphManifest, Manifest } from "../artifact/manifest.ts";
import { InternalError } from "../diagnostics/define.ts";
import type { Model } from "../ir/model.ts";
import type { Tensor } from "../ir/tensor.ts";
import { Artifact } from "../runtime/artifact.ts";
import { latestCheckpoint } from "../runtime/checkpoint.ts";
import { mergeModel } from "./merge-model.ts";
import { openModel } from "./model-file.ts";
import { readTensors } from "./peft-folder.ts";
import type { RoundingLoss } from "./requantize.ts";
import { runConstantGraph } from "./run-constant.ts";

export interface Trained {
  readonly manifest: Manifest;
  readonly adapter: BoundAdapter;
  /** Updates behind the tensors; undefined for the starting values of an artifact that was never trained. */
  readonly step: number | undefined;
  /** Trained tensors by checkpoint key, as byte ranges of their file. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Absolute path of the source model. */
  readonly source: string;
}

/**
 * Opens an artifact. A method from outside the package has to be registered before.
 *
 * @param checkpoint folder of a checkpoint; the newest unless given.
 * @throws DiagnosticError for folders that hold no artifact or no such checkpoint, and for sources that changed.
 */
export function openTrained(folder: string, checkpoint?: string): Trained {
  const artifact = Artifact.open(folder);
  const { manifest } = artifact;
  const found = latestCheckpoint(artifact.folder, checkpoint);
  const all = readTensors(found?.stateFile ?? artifact.path(manifest.state));
  const keys = parameterKeys(manifest.graphs.eval);
  // Checkpoints hold what changes; what an adapter keeps as it is lies in the starting state alone.
  const start = found === undefined ? all : readTensors(artifact.path(manifest.state));
  const untrained = new Map([...start].filter(([key]) => isAdapterKey(key) && !keys.has(key)));
  return {
    manifest,
    adapter: bindAdapter(manifest.method.name, manifest.method.options),
    step: found?.step,
    tensors: new Map([...all, ...untrained].filter(([key]) => keys.has(key) || untrained.has(key))),
    source: join(artifact.weightsFolder, manifest.source.model),
  };
}

/** The source model. Links that the artifact itself made are followed. */
export function openSource({ manifest, source }: Trained): Model {
  return openModel(source, { followLinks: manifest.source.weights === "link" });
}

/** The source model with everything that was trained inside. @throws DiagnosticError `E_MERGE_*`. */
export function mergeTrained(
  trained: Trained,
  onProgress?: (done: number, total: number) => void,
  requantize?: (loss: RoundingLoss) => void,
): Promise<Model> {
  const { manifest, adapter, tensors } = trained;
  return mergeModel(openSource(trained), {
    adapter,
    paths: manifest.method.sites.map(({ path }) => path),
    tensors,
    run: runConstantGraph,
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(requantize === undefined ? {} : { requantize }),
  });
}

/** Whether a key of the state is not the optimizer's, whose keys are a parameter's with a slash and a name behind. */
function isAdapterKey(key: string): boolean {
  return !key.includes("/");
}

/** Checkpoint keys of the parameters that a graph takes, be they inputs of their own or parts of flat ones. */
function parameterKeys(graph: GraphManifest): Set<string> {
  const inputs = graph.inputs.filter(({ role }) => role === "param");
  const keys = inputs.flatMap(
    ({ key, slices }) => slices?.map((slice) => slice.key) ?? (key === undefined ? [] : [key]),
  );
  if (inputs.length > 0 && keys.length === 0)
    throw new InternalError("the parameters of the artifact have no keys");
  return new Set(keys);
}
