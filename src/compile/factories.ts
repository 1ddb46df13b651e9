/** Functions such as `lora({ loraAlpha: 16 })` that say a part of a request in TypeScript's manner. */
import type { z } from "zod";
import type { Adapter } from "../adapt/define.ts";
import type { Loss } from "../training/define-loss.ts";
import type { Optimizer } from "../training/define-optimizer.ts";
import type { TaskName } from "../training/tasks.ts";

/** `lora_alpha` as TypeScript spells it: `loraAlpha`. */
export type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

/** The options of a schema under camel-case names. */
export type CamelOptions<S extends z.ZodObject> = {
  readonly [K in keyof z.input<S> as K extends string ? CamelCase<K> : never]: Unfrozen<z.input<S>[K]>;
};

/** Lists may be readonly. */
type Unfrozen<T> = T extends (infer Element)[] ? readonly Element[] : T;

/** A record by name, with options under the names of its schema: what a request holds. */
export interface Named<N extends string = string> {
  readonly name: N;
  readonly options: Record<string, unknown>;
}

/** The function that stands for a method in the API. */
export function methodFactory<S extends z.ZodObject>(
  adapter: Adapter<S>,
): (options?: CamelOptions<S>) => Named {
  return (options) => ({ name: adapter.name, options: schemaOptions(adapter.options, options) });
}

/** The function that stands for an optimizer. */
export function optimizerFactory<S extends z.ZodObject>(
  optimizer: Optimizer<S>,
): (options?: CamelOptions<S>) => Named {
  return (options) => ({ name: optimizer.name, options: schemaOptions(optimizer.options, options) });
}

/** What every loss takes beside its own options. */
export interface LossTarget {
  /** Output that it judges; the usual one of the task unless given. */
  readonly logits?: string;
}

/** The function that stands for a loss. */
export function lossFactory<S extends z.ZodObject>(
  loss: Loss<S>,
): (options?: CamelOptions<S> & LossTarget) => Named & { readonly logits: string } {
  return (options) => {
    const { logits, ...own } = { logits: "", ...options };
    return { name: loss.name, options: schemaOptions(loss.options, own), logits: String(logits) };
  };
}

/** The function that stands for a task. */
export function taskFactory<T extends TaskName>(task: T): () => T {
  return () => task;
}

/** Options under the names of their schema. Names that it does not have stay, so that they are refused by name. */
function schemaOptions(schema: z.ZodObject, options: object = {}): Record<string, unknown> {
  const names = new Map(Object.keys(schema.shape).map((name) => [camelCase(name), name]));
  return Object.fromEntries(
    Object.entries(options)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [names.get(name) ?? name, value]),
  );
}

function camelCase(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}
