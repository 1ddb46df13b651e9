/** The verbs: one file each, loaded only when asked for, so that `--help` does not wait for the compiler. */
import type { Command } from "commander";
import type { Terminal } from "./terminal.ts";

/** A verb as the list of verbs shows it, and how to get its command. */
export interface Verb {
  readonly name: string;
  readonly summary: string;
  readonly group: string;
  readonly load: (terminal: Terminal) => Promise<Command>;
}

const groups = {
  make: "Compile:",
  train: "Train:",
  use: "Use what was trained:",
  look: "Look inside:",
  know: "Find out:",
} as const;

export const verbs: readonly Verb[] = [
  {
    name: "compile",
    summary: "model + method + loss + optimizer -> training artifact",
    group: groups.make,
    load: async (terminal) => (await import("./compile.ts")).compileCommand(terminal),
  },
  {
    name: "gradient",
    summary: "the gradient of a model as a plain model",
    group: groups.make,
    load: async (terminal) => (await import("./gradient.ts")).gradientCommand(terminal),
  },
  {
    name: "train",
    summary: "train an artifact on text, tables, arrays or random data",
    group: groups.train,
    load: async (terminal) => (await import("./train.ts")).trainCommand(terminal),
  },
  {
    name: "evaluate",
    summary: "metrics of the task on a data set",
    group: groups.train,
    load: async (terminal) => (await import("./evaluate.ts")).evaluateCommand(terminal),
  },
  {
    name: "generate",
    summary: "text from a causal language model, before or after training",
    group: groups.use,
    load: async (terminal) => (await import("./generate.ts")).generateCommand(terminal),
  },
  {
    name: "merge",
    summary: "the adapter folded into the weights: a plain inference model",
    group: groups.use,
    load: async (terminal) => (await import("./merge.ts")).mergeCommand(terminal),
  },
  {
    name: "export",
    summary: "the adapter as a Hugging Face PEFT folder, or as an inference model",
    group: groups.use,
    load: async (terminal) => (await import("./export.ts")).exportCommand(terminal),
  },
  {
    name: "attach",
    summary: "adapter folders inside a model, one for each row or some at once",
    group: groups.use,
    load: async (terminal) => (await import("./attach.ts")).attachCommand(terminal),
  },
  {
    name: "combine",
    summary: "several adapter folders as one, each with a weight",
    group: groups.use,
    load: async (terminal) => (await import("./combine.ts")).combineCommand(terminal),
  },
  {
    name: "inspect",
    summary: "modules under their paths, parameters, operators, inputs and outputs",
    group: groups.look,
    load: async (terminal) => (await import("./inspect.ts")).inspectCommand(terminal),
  },
  {
    name: "analyze",
    summary: "memory, operations, parameters and communication of a step, without running it",
    group: groups.look,
    load: async (terminal) => (await import("./analyze.ts")).analyzeCommand(terminal),
  },
  {
    name: "opt",
    summary: "run passes over a model, in the manner of mlir-opt",
    group: groups.look,
    load: async (terminal) => (await import("./opt.ts")).optCommand(terminal),
  },
  {
    name: "bench",
    summary: "time of training steps, as one line of JSON",
    group: groups.know,
    load: async (terminal) => (await import("./bench.ts")).benchCommand(terminal),
  },
  {
    name: "methods",
    summary: "methods, optimizers and losses, with formulas, options and bounds",
    group: groups.know,
    load: async (terminal) => (await import("./methods.ts")).methodsCommand(terminal),
  },
  {
    name: "passes",
    summary: "the passes that pipelines are made of, with options",
    group: groups.know,
    load: async (terminal) => (await import("./passes.ts")).passesCommand(terminal),
  },
  {
    name: "ops",
    summary: "the operators that are known, and how each is differentiated",
    group: groups.know,
    load: async (terminal) => (await import("./ops.ts")).opsCommand(terminal),
  },
  {
    name: "new-method",
    summary: "a file and a test to start a method of your own from",
    group: groups.know,
    load: async (terminal) => (await import("./new-method.ts")).newMethodCommand(terminal),
  },
  {
    name: "doctor",
    summary: "whether this machine can train, and how to get what is missing",
    group: groups.know,
    load: async (terminal) => (await import("./doctor.ts")).doctorCommand(terminal),
  },
];
