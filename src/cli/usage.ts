/** Usage errors: a command line that cannot be understood, as opposed to input that is at fault. */
import { type Command, CommanderError } from "commander";
import { cliErrors } from "../diagnostics/cli.ts";
import { type DiagnosticError, nearNames } from "../diagnostics/define.ts";
import { passErrors } from "../diagnostics/pass.ts";

/** Carries the diagnostic of a usage error; the process ends with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly diagnostic: DiagnosticError;

  constructor(diagnostic: DiagnosticError) {
    super(diagnostic.message);
    this.diagnostic = diagnostic;
  }
}

/** Text that commander was asked to show, such as help: not an error. */
export function isHelpShown(error: unknown): boolean {
  return error instanceof CommanderError && error.exitCode === 0;
}

/** The usage error that commander's refusal of a command line amounts to; other errors as they are. */
export function asUsageError(error: unknown, command: Command): unknown {
  if (!(error instanceof CommanderError) || error.exitCode === 0) return error;
  const path = commandPath(command);
  const message = error.message.replace(/^error: /, "");
  if (error.code === "commander.unknownOption") {
    const flag = /'(.*)'/.exec(message)?.[1] ?? message;
    return unknownFlag(path, flag, flagsOf(command));
  }
  if (error.code === "commander.invalidArgument") {
    const [, name = "", got = ""] = /'(.*?)' argument '(.*)' is invalid/s.exec(message) ?? [];
    const expected = /is invalid\. (.*)$/s.exec(message)?.[1] ?? "another value";
    const flag = /--[\w-]+/.exec(name)?.[0] ?? name;
    return new UsageError(passErrors.E_BAD_OPTION(path, flag, expected.replace(/\.$/, ""), `"${got}"`));
  }
  return new UsageError(cliErrors.E_USAGE(`${path}: ${message.replaceAll("'", '"')}`, `${path} --help`));
}

/** A flag that a command does not have. @param known the flags that it has. */
export function unknownFlag(path: string, flag: string, known: readonly string[]): UsageError {
  const bare = (text: string): string => text.replace(/^-+|=.*$/gs, "");
  const near = nearNames(bare(flag), known.map(bare), 1).map((name) => `--${name}`);
  return new UsageError(
    passErrors.E_UNKNOWN_OPTION(path, flag, [`the options that \`${path} --help\` lists`], near),
  );
}

/** Long flags of a command, those hidden from help excepted. */
export function flagsOf(command: Command): string[] {
  return command.options
    .flatMap(({ long, hidden }) => (long == null || hidden ? [] : [long]))
    .concat("--help");
}

/** Name of a command with those it belongs to: `peft-compile compile`. */
export function commandPath(command: Command): string {
  const parent = command.parent;
  return parent === null ? command.name() : `${commandPath(parent)} ${command.name()}`;
}
