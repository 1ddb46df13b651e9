/** `merge` as a function: an artifact in, a plain inference model out. */
import { saveModel } from "./model-file.ts";
import type { RoundingLoss } from "./requantize.ts";
import { mergeTrained, openTrained } from "./trained.ts";

export interface MergeOptions {
  /** Folder of the checkpoint to take; the newest unless given. */
  readonly checkpoint?: string;
  /** Merges into quantised weights, too, and is told of each what rounding lost; without it they are refused. */
  readonly requantize?: (loss: RoundingLoss) => void;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Folds what was trained into the weights of the source model and writes it, with the source's graph, opset and precision.
 *
 * @param output path of the model, `.onnx` or `.onnxtxt`.
 * @throws DiagnosticError `E_MERGE_REFUSED` for methods that cannot be folded into weights, `E_MERGE_QUANTIZED`.
 */
export async function merge(artifact: string, output: string, options: MergeOptions = {}): Promise<void> {
  const trained = openTrained(artifact, options.checkpoint);
  await saveModel(await mergeTrained(trained, options.onProgress, options.requantize), output);
}
