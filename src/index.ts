/** The package's public names: read a model, compile it, train what came of it. */

export type { Manifest } from "./artifact/manifest.ts";
export { version } from "./artifact/version.ts";
export { type Artifact, type CompileOptions, compile, defineConfig, gradient } from "./compile/api.ts";
export { type AttachOptions, attachAdapters, type NamedAdapter } from "./compile/attach.ts";
export {
  type CombinedAdapter,
  type CombineOptions,
  combineAdapters,
  type WeightedAdapter,
} from "./compile/combine.ts";
export type { GradientRequest } from "./compile/gradient.ts";
export { inspectModel, type ModelInfo } from "./compile/inspect.ts";
export { type MergeOptions, merge } from "./compile/merge-artifact.ts";
export type { CompileRequest } from "./compile/request.ts";
export { type StartData, type StartedRequest, startFromData } from "./compile/start-from-data.ts";
export type { WriteArtifactOptions } from "./compile/write-artifact.ts";
export type { Batch, Dataset, Field } from "./data/batch.ts";
export { type Diagnostic, DiagnosticError } from "./diagnostics/define.ts";
export * from "./generated/methods.ts";
export type { Model } from "./ir/model.ts";
export { readModel } from "./onnx/read.ts";
export { encodeModel, writeModel } from "./onnx/write.ts";
export type { Evaluation, StepResult } from "./runtime/step.ts";
export { type EvaluateFilesOptions, evaluate, type TrainFilesOptions, train } from "./runtime/train-files.ts";
export { Trainer, type TrainerOptions } from "./runtime/trainer.ts";
