/** From the arguments of the process to an exit code: finds the verb, runs it, reports what went wrong. */
import { existsSync } from "node:fs";
import { Command, type OutputConfiguration } from "commander";
import { version } from "../artifact/version.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { nearNames } from "../diagnostics/define.ts";
import { exitCodes, reportFailure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";
import { asUsageError, isHelpShown, UsageError, unknownFlag } from "./usage.ts";
import { withCommonOptions } from "./verb.ts";
import { type Verb, verbs } from "./verbs.ts";

/**
 * Runs one command line.
 *
 * @param args without the names of Node and the script.
 * @returns the exit code: 0 done, 1 the input is at fault, 2 usage, 70 a bug of ours.
 */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    await dispatch(args, terminal);
    return terminal.exitCode;
  } catch (error) {
    if (isHelpShown(error)) return exitCodes.done;
    const options = { json: args.includes("--json"), verbose: args.includes("--verbose") };
    return reportFailure(error, terminal, options);
  } finally {
    terminal.clearProgress();
  }
}

async function dispatch(args: readonly string[], terminal: Terminal): Promise<void> {
  const [first, second] = args;
  if (first === undefined) {
    terminal.note(makeProgram(terminal).helpInformation({ error: true }));
    terminal.exitCode = exitCodes.usage;
    return;
  }
  if (first === "--version" || first === "-V") return terminal.print(version);
  if (first === "--help" || first === "-h" || first === "help") {
    const verb = first === "help" && second !== undefined ? findVerb(second) : undefined;
    if (verb !== undefined) return runVerb(verb, ["--help"], terminal);
    return terminal.print(makeProgram(terminal).helpInformation());
  }
  const verb = verbs.find(({ name }) => name === first);
  if (verb !== undefined) return runVerb(verb, args.slice(1), terminal);
  return runVerb(findVerb(impliedVerb(args)), args, terminal);
}

/** Without a verb, a model's path asks to compile it. */
function impliedVerb(args: readonly string[]): string {
  const [first = ""] = args;
  if (!first.startsWith("-")) return looksLikeModel(first) ? "compile" : first;
  if (args.some((arg) => !arg.startsWith("-") && looksLikeModel(arg))) return "compile";
  throw unknownFlag("peft-compile", first, ["--help", "--version"]);
}

function looksLikeModel(text: string): boolean {
  return /\.(onnx|onnxtxt|ort|pb)$/i.test(text) || /[/\\]/.test(text) || existsSync(text);
}

function findVerb(name: string): Verb {
  const verb = verbs.find((candidate) => candidate.name === name);
  if (verb !== undefined) return verb;
  const names = verbs.map((candidate) => candidate.name);
  throw new UsageError(cliErrors.E_UNKNOWN_VERB(name, nearNames(name, names)));
}

async function runVerb(verb: Verb, args: readonly string[], terminal: Terminal): Promise<void> {
  const command = await verb.load(terminal);
  new Command("peft-compile").addCommand(command);
  settle(command, terminal);
  try {
    await command.parseAsync(args, { from: "user" });
  } catch (error) {
    throw asUsageError(error, command);
  }
}

/** Lets a command throw instead of ending the process, and print where the terminal says. */
function settle(command: Command, terminal: Terminal): void {
  if (!command.options.some(({ long }) => long === "--json")) withCommonOptions(command);
  command.exitOverride().showSuggestionAfterError(false).configureOutput(outputOf(terminal));
  command.configureHelp({ styleTitle: (text) => terminal.style.title(text) });
}

function outputOf(terminal: Terminal): OutputConfiguration {
  return {
    writeOut: (text) => terminal.print(text),
    writeErr: (text) => terminal.note(text),
    // Refused command lines are reported with the exit code, not here.
    outputError: () => {},
    getOutHelpWidth: () => terminal.width("out"),
    getErrHelpWidth: () => terminal.width("err"),
    getOutHasColors: () => terminal.hasColors("out"),
    getErrHasColors: () => terminal.hasColors("err"),
  };
}

/** The program as its help shows it; the verbs here are names only. */
function makeProgram(terminal: Terminal): Command {
  const program = new Command("peft-compile")
    .usage("MODEL.onnx [options]\n       peft-compile VERB [arguments] [options]")
    .description(
      "Compiles an ONNX model into training graphs for parameter-efficient fine-tuning, which plain ONNX Runtime runs.",
    )
    .helpCommand(false)
    .option("-V, --version", "print the version")
    .helpOption("-h, --help", "show this help; peft-compile VERB --help shows that of a verb")
    .configureHelp({
      subcommandTerm: (command) => command.name(),
      styleTitle: (text) => terminal.style.title(text),
    })
    .configureOutput(outputOf(terminal));
  for (const { name, summary, group } of verbs) {
    program.addCommand(new Command(name).summary(summary).description(summary).helpGroup(group));
  }
  return program;
}
