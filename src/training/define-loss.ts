/** The loss contract: which labels a loss reads, and how it makes a scalar of the model's output. */
import type { z } from "zod";
import type { Dim } from "../ir/dim.ts";
import type { DType } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "../ops/builder.ts";

/** What a loss is built with. */
export interface LossContext<O> {
  readonly options: O;
  readonly graph: Graph;
  readonly b: OpBuilder;
  /** The model's output that the loss judges. */
  readonly logits: Value;
  /**
   * Adds an input that the runner feeds from the batch field of this name. Where the output has positions of virtual tokens, the
   * field has none: `ignored` stands for them, so that a loss without such a value asks for labels of them, too.
   */
  readonly label: (field: string, dtype: DType, shape: readonly Dim[], ignored?: number) => Value;
}

/** A loss with what the runner wants to know beside it. */
export interface LossResult {
  /** Scalar float32: a mean over what was judged. */
  readonly loss: Value;
  /** Scalar float32: how many positions were judged, for means over several batches. */
  readonly count: Value;
  /** What the loss is divided by, where the loss times it is a sum over the rows of a batch; so must `count` be, then. */
  readonly divisor?: Value;
}

export interface LossSpec<S extends z.ZodObject> {
  /** Name in `--loss` and in `passes/losses/`, in kebab case. */
  readonly name: string;
  readonly summary: string;
  readonly options: S;
  readonly build: (context: LossContext<z.output<S>>) => LossResult;
}

/** A loss as shared code works with it. */
export interface Loss<S extends z.ZodObject = z.ZodObject> {
  readonly name: string;
  readonly summary: string;
  readonly options: S;
  build(context: Omit<LossContext<unknown>, "options"> & { readonly options: unknown }): LossResult;
}

/** Declares a loss, the default export of a file in `passes/losses/`. */
export function defineLoss<S extends z.ZodObject>(spec: LossSpec<S>): Loss<S> {
  const { name, summary, options } = spec;
  return {
    name,
    summary,
    options,
    build: (context) => spec.build({ ...context, options: options.parse(context.options) }),
  };
}
