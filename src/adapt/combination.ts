/** What combining adapters is: the types that there are, what is asked for, and what a method says of its own adapters. */
import { z } from "zod";
import type { NDArray } from "../ops/ndarray.ts";
import type { TaskRule } from "./task-arithmetic.ts";

/**
 * PEFT's `combination_type`s. `on` is what is combined: ranks put side by side, each tensor, or the update that the tensors make,
 * which is then decomposed again.
 */
export const combinations = {
  svd: { on: "update" },
  linear: { on: "tensors" },
  cat: { on: "ranks" },
  ties: { on: "tensors", prune: "magnitude", elects: true },
  ties_svd: { on: "update", prune: "magnitude", elects: true },
  dare_ties: { on: "tensors", prune: "random", elects: true },
  dare_linear: { on: "tensors", prune: "random" },
  dare_ties_svd: { on: "update", prune: "random", elects: true },
  dare_linear_svd: { on: "update", prune: "random" },
  magnitude_prune: { on: "tensors", prune: "magnitude" },
  magnitude_prune_svd: { on: "update", prune: "magnitude" },
} as const satisfies Record<string, CombinationKind>;

interface CombinationKind {
  readonly on: "update" | "tensors" | "ranks";
  readonly prune?: "magnitude" | "random";
  readonly elects?: true;
}

export type CombinationType = keyof typeof combinations;

export const combinationTypes = Object.keys(combinations).filter(isCombinationType);

function isCombinationType(name: string): name is CombinationType {
  return name in combinations;
}

export function kindOf(type: CombinationType): CombinationKind {
  return combinations[type];
}

/** What can be asked of a combination, under PEFT's names. */
export const combinationSchema = z.strictObject({
  type: z
    .enum(combinationTypes)
    .optional()
    .describe("how they are combined; the method's first type unless given"),
  density: z.number().gt(0).max(1).optional().describe("share of the elements that pruning leaves"),
  majority_sign_method: z
    .enum(["total", "frequency"])
    .default("total")
    .describe("whose sign is elected: that of the sum, or of most adapters"),
  svd_rank: z
    .int()
    .min(1)
    .optional()
    .describe("rank of a decomposed update; the largest of the adapters unless given"),
  svd_clamp: z.number().gt(0).max(1).optional().describe("quantile at which the factors are cut off"),
  seed: z.int().nonnegative().default(0).describe("seed of random pruning"),
});

export type CombinationRequest = z.output<typeof combinationSchema>;

/** One adapter's part of a module. */
export interface CombinedPart<O> {
  /** How much it counts. */
  readonly weight: number;
  /** Options as they hold for the module. */
  readonly options: O;
  /** Tensors by what follows the module's path in their keys. */
  readonly tensors: Readonly<Record<string, NDArray>>;
}

export interface CombineContext<O> {
  readonly type: CombinationType;
  readonly rule: TaskRule;
  readonly clamp: number | undefined;
  /** Options of the result. */
  readonly result: O;
}

/** What a method says of combining its adapters. */
export interface Combination<O> {
  /** Types that it has, the usual one first. */
  readonly types: readonly CombinationType[];
  /** What follows a module's path in the keys of the tensors that are combined; others belong to one adapter alone. */
  readonly keys: readonly string[];
  /** Options of the result that are not the first adapter's; a reason where adapters of these options cannot be combined. */
  readonly options: (
    given: readonly O[],
    request: { readonly type: CombinationType; readonly svd_rank?: number | undefined },
  ) => Partial<O> | string;
  /** Tensors of a module; a reason where its parts do not fit together. */
  readonly module: (
    parts: readonly CombinedPart<O>[],
    context: CombineContext<O>,
  ) => Readonly<Record<string, NDArray>> | string;
}

/** The same with the types of the options erased: what shared code works with. */
export interface AnyCombination {
  readonly types: readonly CombinationType[];
  readonly keys: readonly string[];
  options(
    given: readonly unknown[],
    request: { readonly type: CombinationType; readonly svd_rank?: number | undefined },
  ): Readonly<Record<string, unknown>> | string;
  module(
    path: string,
    parts: readonly CombinedPart<unknown>[],
    context: CombineContext<unknown>,
  ): Readonly<Record<string, NDArray>> | string;
}

/**
 * @param parse options as the method reads them.
 * @param optionsFor those that hold for one module.
 */
export function eraseCombination<O>(
  { types, keys, options, module }: Combination<O>,
  parse: (options: unknown) => O,
  optionsFor: (options: O, path: string) => O,
): AnyCombination {
  const at = (path: string, given: unknown): O => optionsFor(parse(given), path);
  return {
    types,
    keys,
    options: (given, request) => {
      const result = options(given.map(parse), request);
      return typeof result === "string" ? result : { ...result };
    },
    module: (path, parts, context) =>
      module(
        parts.map((part) => ({ ...part, options: at(path, part.options) })),
        { ...context, result: at(path, context.result) },
      ),
  };
}
