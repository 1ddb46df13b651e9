/** Starting values that a method takes from data, before anything is built. */
import type { Tensor } from "../ir/tensor.ts";

/** What one module has in one batch. */
export interface Gathered {
  /** Rows that the module reads, (rows, columns), or the gradient of the loss by its weight in PyTorch's layout; row-major. */
  readonly values: Float32Array;
  readonly columns: number;
  /** Rows of an example of the batch, one after the other; all where `values` is no input. */
  readonly rowsPerExample: number;
  /** Which rows belong to tokens that are no padding, and are judged; absent: all. */
  readonly counts?: readonly boolean[];
}

/** Options that data settle, and starting values by checkpoint key. */
export interface DataResult {
  readonly options: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** What a method makes of batches. */
export interface DataStart {
  readonly gathers: "inputs" | "gradients";
  /** How often the data are read at most. */
  readonly passes: number;
  /** Label of tokens that do not count; absent: labels say nothing of that. */
  readonly ignoredLabel?: number;
  /** Takes in one batch, by module path. Modules that read the same have the same object. */
  add(batch: ReadonlyMap<string, Gathered>): void;
  /** Whether further batches would change nothing that counts. */
  isDone(): boolean;
  finish(): DataResult;
}
