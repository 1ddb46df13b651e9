/** Diagnostics of losses, optimizers and the assembly of training graphs. */
import { defineDiagnostics } from "./define.ts";

const listed = (names: readonly string[]): string => (names.length === 0 ? "none" : names.join(", "));

export const trainingErrors = defineDiagnostics({
  E_LOSS_UNKNOWN: (name: string, near: readonly string[], all: readonly string[]) => ({
    message: `there is no loss "${name}"`,
    place: "--loss",
    expected: near.length > 0 ? `did you mean ${listed(near)}?` : `one of ${listed(all)}`,
    got: name,
    next: "choose one of these, or let --task choose",
  }),
  E_OPTIMIZER_UNKNOWN: (name: string, near: readonly string[], all: readonly string[]) => ({
    message: `there is no optimizer "${name}"`,
    place: "--optimizer",
    expected: near.length > 0 ? `did you mean ${listed(near)}?` : `one of ${listed(all)}`,
    got: name,
    next: "choose one of these",
  }),
  E_OPTIMIZER_TENSORS: (name: string, expected: string, got: string) => ({
    message: `optimizer ${name} has nothing here to work with`,
    place: "--optimizer",
    expected,
    got,
    next: "choose another optimizer, such as adamw, or a method that has such tensors",
  }),
  E_NO_OUTPUT: (outputs: readonly string[]) => ({
    message: "the model has no float output that a loss could judge",
    place: "graph outputs",
    expected: "at least one float tensor",
    got: listed(outputs),
    next: "export the model with its logits or hidden states as an output",
  }),
  E_OUTPUT_NOT_FOUND: (name: string, outputs: readonly string[]) => ({
    message: `the model has no float output "${name}"`,
    place: "--loss",
    expected: `one of ${listed(outputs)}`,
    got: name,
    next: "name one of these as logits",
  }),
  E_PARAM_LOST: (key: string, node: string, path: readonly string[]) => ({
    message: `the loss depends on the trainable "${key}" only through what ${node} makes of it, from which no gradient comes`,
    place: path.join(" -> "),
    expected: "a way on which all elements stay floats",
    got: "integers, truth values or what is held constant",
    next: "leave the module out with --exclude, or choose another loss",
  }),
  E_NAME_TAKEN: (name: string, expected: string, got: string) => ({
    message: `the model already has an input called "${name}", which is no label of this loss`,
    place: name,
    expected,
    got,
    next: "choose another field for the labels, as in --loss cross-entropy{labels=targets}",
  }),
  E_MEMORY_BUDGET: (budget: number, least: number, batch: number, seq: number) => ({
    message: "a step does not fit into the memory that it is given, whatever is computed again",
    place: "--memory",
    expected: `at least ${Math.ceil(least / 1e6)} MB for a batch of ${batch} and a length of ${seq}`,
    got: `${Math.floor(budget / 1e6)} MB`,
    next: "give more memory, or a smaller --batch or --seq",
  }),
});
