/** Roles of graph inputs and outputs, carried as value metadata so that text and files keep them. */
import type { Value } from "./value.ts";

/**
 * What an input is for (see the manifest); `frozen` marks initializers that an adapter made, and `divisor` what the loss is divided
 * by while a graph of parts of a batch is in the making.
 */
export type InputRole =
  | "batch"
  | "label"
  | "param"
  | "state"
  | "grad"
  | "hyper"
  | "rng"
  | "scale"
  | "frozen"
  | "divisor";

/** What an output is for. */
export type OutputRole = "loss" | "logits" | "next" | "metric" | "grad" | "output" | "divisor";

/** A role with the facts that belong to it. */
export interface RoleFacts {
  /** Key in the checkpoint or state file. */
  readonly key?: string;
  /** For `batch` and `label`: field of a batch. */
  readonly field?: string;
  /** For `hyper`, `rng` and `metric`: which. */
  readonly kind?: string;
  /** For `next`: name of the input it feeds. */
  readonly feeds?: string;
  /** For a flat buffer: its parts as JSON `[{key, offset, shape}]`. */
  readonly slices?: string;
  /** For inputs of a graph of parts: the size of their first axis in the whole batch, as text. */
  readonly rows?: string;
  /** For integer inputs that index a table: its number of rows. */
  readonly below?: string;
  /** For integer inputs that choose: what the numbers from 0 on stand for, separated by commas. */
  readonly names?: string;
  /** Parameter group for optimizers that treat groups differently. */
  readonly group?: string;
  /** Of a trained tensor on which nothing depends. */
  readonly idle?: string;
  /** Factor of what a trained tensor makes, as decimal text. */
  readonly factor?: string;
  /** For trained tensors of a method: the method, the path of its module, and its own name for the tensor. */
  readonly method?: string;
  readonly module?: string;
  readonly name?: string;
  /** For outputs: how many positions at the start of the second axis belong to virtual tokens. */
  readonly virtual?: string;
}

const factNames = [
  "key",
  "field",
  "kind",
  "feeds",
  "slices",
  "below",
  "rows",
  "names",
  "group",
  "idle",
  "factor",
  "method",
  "module",
  "name",
  "virtual",
] as const;

/** Marks a value; facts that are left out are cleared. */
export function setRole(value: Value, role: InputRole | OutputRole, facts: RoleFacts = {}): Value {
  value.metadata.set("peft.role", role);
  for (const name of factNames) {
    const fact = facts[name];
    if (fact === undefined) value.metadata.delete(`peft.${name}`);
    else value.metadata.set(`peft.${name}`, fact);
  }
  return value;
}

/** The role of a value, undefined where it has none. */
export function roleOf(value: Value): string | undefined {
  return value.metadata.get("peft.role");
}

/** One fact of a value's role. */
export function roleFact(value: Value, name: (typeof factNames)[number]): string | undefined {
  return value.metadata.get(`peft.${name}`);
}

/** Number of positions of virtual tokens in an output. */
export function virtualOf(value: Value): number {
  return Number(roleFact(value, "virtual") ?? 0);
}

/** Says of an output, whatever its role, that it has positions of virtual tokens. */
export function markVirtual(value: Value, count: number): void {
  value.metadata.set("peft.virtual", String(count));
}

/** Values of a list that have the given role. */
export function withRole(values: Iterable<Value>, role: InputRole | OutputRole): Value[] {
  return [...values].filter((value) => roleOf(value) === role);
}
