/** The options that say what to compile, for every verb that does: `compile` and `bench`. */
import { type Command, InvalidArgumentError } from "commander";
import { losses } from "../../passes/losses/index.ts";
import { optimizers } from "../../passes/optimizers/index.ts";
import { type OptimizationName, optimizationNames } from "../compile/optimizations.ts";
import { taskNames } from "../training/tasks.ts";
import {
  byteCount,
  choiceOption,
  gatherList,
  positiveNumber,
  providerOption,
  wholeNumber,
} from "./options.ts";

/** Values of the options that {@link addCompileOptions} adds. */
export interface CompileOptions {
  readonly method?: string;
  readonly target?: string;
  readonly exclude?: string;
  readonly adapter?: string;
  readonly config?: string;
  readonly use?: readonly string[];
  readonly modulesToSave?: readonly string[];
  readonly task?: string;
  readonly loss?: string;
  readonly optimizer?: string;
  readonly schedule?: string;
  readonly clip?: number;
  readonly precision?: string;
  readonly base?: string;
  readonly provider?: string;
  readonly accumulate?: number;
  readonly accumulateBy?: string;
  readonly stepsPerRun?: number;
  readonly seed?: number;
  readonly disable?: readonly OptimizationName[];
  readonly portable?: boolean;
  readonly recompute?: string;
  readonly prepack?: string;
  readonly memory?: number;
  /** Sizes that `memory` is meant for. */
  readonly batch?: number;
  readonly seq?: number;
}

const listed = (records: readonly { readonly name: string }[]): string =>
  records.map(({ name }) => name).join(", ");

/**
 * Adds the options. Those of the method itself depend on its name: they are left over as arguments of the command, for
 * `chooseMethod` to read.
 */
export function addCompileOptions(command: Command): Command {
  return command
    .allowUnknownOption()
    .allowExcessArguments()
    .optionsGroup("What is adapted, and how:")
    .option("--method <name>", "fine-tuning method; lora unless given")
    .option(
      "--target <modules>",
      "suffixes of module paths, a regular expression, or all-linear (the default)",
    )
    .option("--exclude <modules>", "modules to leave alone, said in the same way")
    .option(
      "--modules-to-save <names>",
      "modules trained whole; none for none; the head unless given",
      moduleNames,
    )
    .option("--adapter <dir>", "start from an adapter folder of Hugging Face PEFT")
    .option("--config <file>", "take all settings from a .json, .js or .ts file")
    .option("--use <file>", "load a method from a file (may be repeated)", gatherList)
    .optionsGroup("Training:")
    .addOption(
      choiceOption("--task <name>", `${taskNames.join(", ")}; found out unless given`, [
        ...taskNames,
        "auto",
      ]),
    )
    .option("--loss <loss>", `${listed(losses)}, or an output that is a loss; the task's unless given`)
    .option("--optimizer <optimizer>", `${listed(optimizers)}, with options: "adamw{lr=1e-3}"`)
    .option("--schedule <schedule>", 'constant, linear or cosine: "cosine{warmup=20 total=300}"')
    .option("--clip <norm>", "global norm that gradients are cut down to", positiveNumber)
    .option("--accumulate <n>", "batches to one optimizer step", wholeNumber(1))
    .addOption(choiceOption("--accumulate-by <what>", "mean over batches or tokens", ["batches", "tokens"]))
    .option("--seed <n>", "seed of starting values and dropout", wholeNumber(0))
    .optionsGroup("What it runs on:")
    .addOption(choiceOption("--precision <type>", "fp32, fp16 or bf16", ["fp32", "fp16", "bf16"]))
    .addOption(
      choiceOption("--base <type>", "how frozen weights are held: fp32 (the file's own), int8 or int4", [
        "fp32",
        "int8",
        "int4",
      ]),
    )
    .addOption(providerOption())
    .option("--steps-per-run <k>", "optimizer steps in one run of the graph", wholeNumber(1))
    .option("--disable <passes>", `optimizations to leave out: ${optimizationNames.join(", ")}`, passNames)
    .addOption(
      choiceOption(
        "--recompute <what>",
        "forward values that backward computes again: none, all, or auto for --memory",
        ["none", "all", "auto"],
      ),
    )
    .option("--memory <bytes>", "what a step may add to the weights, as in 500MB or 1GB", byteCount)
    .addOption(
      choiceOption(
        "--prepack <what>",
        "weights copied into the layout of kernels: all, none (slower by some per cent, and smaller), or auto",
        ["auto", "all", "none"],
      ),
    )
    .option("--portable", "standard operators only, whatever the provider has besides");
}

function passNames(text: string): readonly OptimizationName[] {
  return text.split(",").map((name) => {
    const known = optimizationNames.find((pass) => pass === name.trim());
    if (known === undefined) throw new InvalidArgumentError(`known are ${optimizationNames.join(", ")}`);
    return known;
  });
}

function moduleNames(text: string, before: readonly string[] | undefined): readonly string[] {
  if (text === "none") return [];
  const names = text.split(",").map((name) => name.trim());
  if (names.some((name) => name === "")) throw new InvalidArgumentError("names separated by commas, or none");
  return [...(before ?? []), ...names];
}
