/** Options that several verbs share, each described in one place, and the readers of their values. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Instrumentation } from "../compile/passes.ts";
import type { PassSelection } from "../pass/manager.ts";

/** Reader of whole numbers from `least` on. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`a whole number >= ${least}`);
  };
}

/** Reader of numbers above 0. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("a number > 0");
}

/** Reader of bytes with a decimal unit: 500MB, 1.5GB, 200000. */
export function byteCount(text: string): number {
  const [, number = "", unit = ""] = /^([\d.]+) ?(B|kB|MB|GB|TB)?$/i.exec(text.trim()) ?? [];
  const power = ["b", "kb", "mb", "gb", "tb"].indexOf(unit.toLowerCase() || "b");
  const value = Number(number) * 1000 ** power;
  if (number !== "" && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("bytes such as 500MB or 1.5GB");
}

/** Reader of a comma-separated list. */
function commaList(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.every((name) => name !== "")) return names;
  throw new InvalidArgumentError("names separated by commas");
}

/** Like {@link commaList}, for an option that may stand several times. */
export function gatherList(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), ...commaList(text)];
}

/** An option whose value is one of a few words. */
export function choiceOption(flags: string, description: string, choices: readonly string[]): Option {
  return new Option(flags, description).argParser((text) => {
    if (choices.includes(text)) return text;
    throw new InvalidArgumentError(`one of ${choices.join(", ")}`);
  });
}

/** `--threads`, for every verb that runs a graph. */
export function threadsOption(): Option {
  return new Option("--threads <n>", "threads within one operator; all cores unless given").argParser(
    wholeNumber(1),
  );
}

const providers = ["cpu", "cuda", "webgpu", "wasm"] as const;

/** `--provider`: the part of ONNX Runtime that computes. */
export function providerOption(): Option {
  return choiceOption(
    "--provider <name>",
    `what computes: ${providers.join(", ")}; cpu unless given`,
    providers,
  );
}

/** `-o`, the only way to say where results go. */
export function outputOption(what: string, value = "path"): Option {
  return new Option(`-o, --output <${value}>`, what);
}

/** `--follow-links`, for every verb that reads a model. */
export function followLinksOption(): Option {
  return new Option("--follow-links", "read weight files that are links, from where they lead to");
}

/** Values of the options that {@link addInstrumentation} adds. */
export interface InstrumentationOptions {
  readonly printIrBefore?: readonly string[];
  readonly printIrAfter?: readonly string[];
  readonly printIrAfterChange?: boolean;
  readonly timing?: boolean;
  readonly stats?: boolean;
  readonly verifyEach?: boolean;
  readonly reproducer?: string;
}

/** Adds the options that watch passes at work, under a title of their own. */
export function addInstrumentation(command: Command): Command {
  return command
    .optionsGroup("Watch the passes:")
    .option("--print-ir-before <pass>", "print the model before a pass (a list, or all)", gatherList)
    .option("--print-ir-after <pass>", "print the model after a pass (a list, or all)", gatherList)
    .option("--print-ir-after-change", "print the model after each pass that changed it")
    .option("--timing", "print how long each pass took")
    .option("--stats", "print what each pass counted")
    .option("--verify-each", "check the model after each pass that changed it")
    .option("--reproducer <file>", "where to write the model and the passes left when one fails");
}

/** What the options ask of the pass manager; everything printed goes to `write`. */
export function instrumentationOf(
  options: InstrumentationOptions,
  write: (text: string) => void,
): Instrumentation {
  const { printIrBefore, printIrAfter, printIrAfterChange, timing, stats, verifyEach, reproducer } = options;
  return {
    write,
    ...(printIrBefore === undefined ? {} : { printBefore: selection(printIrBefore) }),
    ...(printIrAfter === undefined ? {} : { printAfter: selection(printIrAfter) }),
    ...(printIrAfterChange === undefined ? {} : { printAfterChange: printIrAfterChange }),
    ...(timing === undefined ? {} : { timing }),
    ...(stats === undefined ? {} : { statistics: stats }),
    ...(verifyEach === undefined ? {} : { verifyEach }),
    ...(reproducer === undefined ? {} : { reproducer }),
  };
}

function selection(names: readonly string[]): PassSelection {
  return names.includes("all") ? "all" : names;
}
