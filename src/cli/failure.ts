/** How a verb that failed is reported: to people on standard error, or to programs as the one JSON document. */
import { cliErrors } from "../diagnostics/cli.ts";
import { type Diagnostic, DiagnosticError } from "../diagnostics/define.ts";
import { systemReason } from "../formats/system-error.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage.ts";
import { hanging, wrapLines } from "./wrap.ts";

/** Exit codes: the promise to scripts. */
export const exitCodes = { done: 0, input: 1, usage: 2, internal: 70 } as const;

export interface FailureOptions {
  readonly json: boolean;
  readonly verbose: boolean;
}

const reportRequest =
  "This is a bug of peft-compile, or of a file given with --use. Please report it with the command line, the model if you " +
  "can share it, and the output of the same command with --verbose, which shows where it happened.";

/** Reports an error and gives the exit code that it stands for. */
export function reportFailure(error: unknown, terminal: Terminal, options: FailureOptions): number {
  const found = diagnosticsOf(error);
  if (found !== undefined) {
    const { diagnostics, exitCode } = found;
    if (options.json) {
      const [first, ...more] = diagnostics;
      printError(terminal, { ok: false, error: first, ...(more.length > 0 ? { more } : {}) });
    } else {
      for (const diagnostic of diagnostics) terminal.note(formatForTerminal(diagnostic, terminal));
    }
    if (options.verbose && error instanceof Error) terminal.note(framesOf(error));
    return exitCode;
  }
  const message = internalMessage(error);
  if (options.json) printError(terminal, { ok: false, error: { code: "internal", message } });
  terminal.note(terminal.errorStyle.bad(message));
  terminal.note(wrapLines(reportRequest, terminal.width("err")).join("\n"));
  if (options.verbose) terminal.note(stackOf(error));
  return exitCodes.internal;
}

/** The diagnostics of an error for which the input or the command line is to blame. */
function diagnosticsOf(
  error: unknown,
): { readonly diagnostics: readonly Diagnostic[]; readonly exitCode: number } | undefined {
  if (error instanceof UsageError) {
    return { diagnostics: error.diagnostic.diagnostics, exitCode: exitCodes.usage };
  }
  if (error instanceof DiagnosticError) return { diagnostics: error.diagnostics, exitCode: exitCodes.input };
  const reason = systemReason(error);
  if (reason === undefined) return undefined;
  return { diagnostics: cliErrors.E_SYSTEM(pathOf(error), reason).diagnostics, exitCode: exitCodes.input };
}

function pathOf(error: unknown): string {
  const named = typeof error === "object" && error !== null && "path" in error ? error.path : undefined;
  return typeof named === "string" ? named : "a file";
}

/** `internal:` and what happened, whatever was thrown. */
export function internalMessage(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.startsWith("internal:") ? text : `internal: ${text}`;
}

/** The lines of a stack without the message before them. */
function framesOf({ stack = "" }: Error): string {
  return stack.slice(Math.max(0, stack.search(/^ {4}at /m)));
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `\ncaused by ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}

function printError(terminal: Terminal, document: unknown): void {
  terminal.print(JSON.stringify(document, undefined, 2));
}

/** As `formatDiagnostic` prints it, in colour, and on a terminal wrapped under its labels. */
export function formatForTerminal(diagnostic: Diagnostic, terminal: Terminal): string {
  const { code, message, place, expected, got, next } = diagnostic;
  const style = terminal.errorStyle;
  const width = terminal.isTerminal("err") ? terminal.width("err") : Number.POSITIVE_INFINITY;
  const facts = { at: place, expected, got, next };
  const lines = Object.entries(facts).flatMap(([label, text]) =>
    text === undefined ? [] : [hanging(`  ${style.faint(label.padEnd(8))}  `, text, width)],
  );
  return [hanging(`${style.bad(code)}  `, style.title(message), width), ...lines].join("\n");
}
