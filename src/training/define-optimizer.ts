/** The optimizer contract: which state a parameter has, and one update of it, as a few nodes. */
import type { z } from "zod";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "../ops/builder.ts";
import type { FlatLayout } from "./flat-layout.ts";
import type { FlatSlice } from "./flatten.ts";

/** What an update is built with. Parameter, gradient and state have one shape: that of a flat buffer. */
export interface UpdateContext<O, K extends string> {
  readonly options: O;
  readonly b: OpBuilder;
  readonly param: Value;
  /** Already unscaled and clipped, float32. */
  readonly grad: Value;
  readonly state: Readonly<Record<K, Value>>;
  /** Learning rate of this update, float32 scalar. */
  readonly lr: Value;
  /** Number of this update, from 1, int64 scalar. Skipped updates do not count. */
  readonly step: Value;
  /** The tensors that the flat buffer holds, for optimizers to which their shapes or groups matter. */
  readonly layout: FlatLayout;
  /** All trainable tensors as they are before the update, those that the optimizer does not train included. */
  readonly all: { readonly param: Value; readonly layout: FlatLayout };
}

/** The values after an update. */
export interface Updated<K extends string> {
  readonly param: Value;
  readonly state: Readonly<Record<K, Value>>;
}

export interface OptimizerSpec<S extends z.ZodObject, K extends string> {
  /** Name in `--optimizer` and in `passes/optimizers/`. */
  readonly name: string;
  readonly summary: string;
  readonly paper: string;
  /** Options; every optimizer has `lr`, which the runner reads. */
  readonly options: S;
  /** Names of the state tensors, zero at the start; which of them exist may depend on options. */
  readonly state: (options: z.output<S>) => readonly K[];
  /** Whether a tensor has part in a state, true where absent; a state of which no tensor has part does not exist. */
  readonly holds?: (state: K, slice: FlatSlice) => boolean;
  /** Whether it trains a tensor, true where absent; others stay as they are, have no state, and do not count in the norm. */
  readonly trains?: (slice: FlatSlice) => boolean;
  /** What of the trainable tensors it cannot do without, and what there is; undefined where they will do. */
  readonly lacks?: (
    slices: readonly FlatSlice[],
  ) => { readonly expected: string; readonly got: string } | undefined;
  readonly update: (context: UpdateContext<z.output<S>, K>) => Updated<K>;
}

/** An optimizer with the names of its state erased: what shared code works with. */
export interface Optimizer<S extends z.ZodObject = z.ZodObject> {
  readonly name: string;
  readonly summary: string;
  readonly paper: string;
  readonly options: S;
  bind(options: unknown): BoundOptimizer;
}

export interface BoundOptimizer {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly state: readonly string[];
  holds(state: string, slice: FlatSlice): boolean;
  trains(slice: FlatSlice): boolean;
  lacks(slices: readonly FlatSlice[]): { readonly expected: string; readonly got: string } | undefined;
  update(context: Omit<UpdateContext<unknown, string>, "options">): Updated<string>;
}

/** Declares an optimizer, the default export of a file in `passes/optimizers/`. */
export function defineOptimizer<S extends z.ZodObject, K extends string>(
  spec: OptimizerSpec<S, K>,
): Optimizer<S> {
  const { name, summary, paper, options: schema } = spec;
  return {
    name,
    summary,
    paper,
    options: schema,
    bind(given) {
      const options = schema.parse(given);
      const state = spec.state(options);
      const isOwn = (text: string): text is K => state.some((each) => each === text);
      return {
        name,
        options,
        state,
        holds: (text, slice) => isOwn(text) && (spec.holds?.(text, slice) ?? true),
        trains: (slice) => spec.trains?.(slice) ?? true,
        lacks: (slices) => spec.lacks?.(slices),
        update: (context) => spec.update({ ...context, options }),
      };
    },
  };
}

/**
 * 1 - beta^step as a float32 scalar, through float64: in float32 it would lose half its digits at the first steps.
 */
export function biasCorrection(b: OpBuilder, beta: number, step: Value): Value {
  const power = b.pow(b.scalar(beta, "float64"), b.cast(step, "float64"));
  return b.cast(b.sub(b.scalar(1, "float64"), power), "float32");
}
