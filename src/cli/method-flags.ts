/** A method's options as flags of the command line: `--lora-alpha 16` for `lora_alpha`. */
import type { Adapter } from "../adapt/define.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { describeOptions, isSwitch, type OptionDescription } from "../pass/describe-options.ts";
import { type GivenOptions, resolveOptions } from "../pass/options.ts";
import { OptionText } from "../pass/syntax.ts";
import { UsageError, unknownFlag } from "./usage.ts";

/** Short flags, and the options that they stand for where the method has them. */
const shortFlags: Readonly<Record<string, string>> = {
  "--rank": "r",
  "--alpha": "lora_alpha",
  "--target": "target_modules",
  "--exclude": "exclude_modules",
};

/** What a command line says that its verb does not define itself. */
export interface MethodArguments {
  /** Arguments that are no flags, in order. */
  readonly operands: readonly string[];
  /** Options under PEFT's names, coerced as their schema asks for. */
  readonly options: GivenOptions;
}

/** Flag of an option: `--lora-alpha`. */
export function flagOf(option: string): string {
  return `--${option.replaceAll("_", "-")}`;
}

/** Flags of a method by the options that they set. */
export function methodFlags(adapter: Adapter): Map<string, OptionDescription> {
  const options = describeOptions(adapter.options);
  const flags = new Map(options.map((option) => [flagOf(option.name), option]));
  for (const [flag, name] of Object.entries(shortFlags)) {
    const option = options.find((candidate) => candidate.name === name);
    if (option !== undefined && !flags.has(flag)) flags.set(flag, option);
  }
  return flags;
}

/**
 * Reads the arguments that a verb left over: operands, and options of the method.
 *
 * @param verb path and flags of the verb, for messages about unknown options.
 * @throws UsageError for unknown flags and missing values; DiagnosticError `E_BAD_OPTION` for values out of bounds.
 */
export function readMethodArguments(
  adapter: Adapter,
  args: readonly string[],
  verb: { readonly path: string; readonly flags: readonly string[] },
): MethodArguments {
  const flags = methodFlags(adapter);
  const operands: string[] = [];
  const given: Record<string, unknown> = {};
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "--") {
      operands.push(...args.slice(at + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      operands.push(arg);
      continue;
    }
    const [, flag = arg, inline] = /^(--[^=]+)=(.*)$/s.exec(arg) ?? [];
    const option = flags.get(flag);
    if (option === undefined) {
      throw unknownFlag(`${verb.path} --method ${adapter.name}`, flag, [...flags.keys(), ...verb.flags]);
    }
    const next = args[at + 1];
    if (inline !== undefined) given[option.name] = optionValue(option, inline);
    else if (isSwitch(option) && next !== "true" && next !== "false") given[option.name] = true;
    else if (next === undefined || next.startsWith("--")) {
      throw new UsageError(
        cliErrors.E_USAGE(`${verb.path}: option ${flag} lacks its value`, `${verb.path} --help`),
      );
    } else {
      given[option.name] = optionValue(option, next);
      at += 1;
    }
  }
  return { operands, options: resolveOptions(`method "${adapter.name}"`, adapter.options, given) };
}

const patternOptions: ReadonlySet<string> = new Set(["target_modules", "exclude_modules"]);

function optionValue({ name }: OptionDescription, text: string): unknown {
  return patternOptions.has(name) ? modulePatterns(text) : optionText(text);
}

/**
 * The targets that a text stands for, by PEFT's rules: a list of suffixes, or one regular expression over whole paths.
 * A text with characters that only regular expressions use is one, and so is what follows `re:`; `all-linear` stays a
 * word, everything else is a list separated by commas.
 */
function modulePatterns(text: string): string | string[] {
  if (text.startsWith("re:")) return text.slice("re:".length);
  if (/[\\^$*+?()[\]{}|]/.test(text) || text.toLowerCase() === "all-linear") return text;
  return text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/** Text of a flag as an option waiting for its schema: a comma makes a list, but not inside JSON or quotes. */
function optionText(text: string): OptionText {
  const quoted = /^"(.*)"$/s.exec(text)?.[1];
  if (quoted !== undefined) return new OptionText([{ text: quoted, quoted: true }], false);
  if (text.startsWith("{")) return new OptionText([{ text, quoted: false }], false);
  const bracketed = /^\[(.*)\]$/s.exec(text)?.[1];
  const words = (bracketed ?? text).split(",").map((word) => ({ text: word.trim(), quoted: false }));
  const isList = bracketed !== undefined || words.length > 1;
  return new OptionText(isList ? words.filter((word) => word.text !== "") : words, isList);
}
