/** `doctor`: whether this machine can compile and train, and what is missing where it cannot. */
import type { Command } from "commander";
import { type Check, runChecks } from "./doctor-checks.ts";
import { exitCodes } from "./failure.ts";
import { threadsOption } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";
import { hanging } from "./wrap.ts";

interface DoctorOptions extends CommonOptions {
  readonly threads?: number;
}

export function doctorCommand(terminal: Terminal): Command {
  return defineVerb("doctor", {
    description:
      "Checks Node, the runtime and its providers, the libraries of CUDA, and whether files can be written here; then trains " +
      "one step of a tiny model. Ends with 1 where training on the CPU would not work.",
    examples: [
      ["doctor", "what works, and how to get the rest"],
      ["doctor --json", "the same for programs"],
    ],
  })
    .addOption(threadsOption())
    .action((options: DoctorOptions) => runDoctor(options, terminal));
}

async function runDoctor({ json, threads }: DoctorOptions, terminal: Terminal): Promise<void> {
  const checks: Check[] = [];
  const selfTest = async (): Promise<string> => {
    // What is checked last is loaded last, so that a part that cannot be loaded does not hide the other checks.
    const { runSelfTest } = await import("./self-test.ts");
    return runSelfTest(threads);
  };
  for await (const check of runChecks(selfTest)) {
    checks.push(check);
    if (json !== true) terminal.print(showCheck(check, terminal));
    terminal.progress("checking");
  }
  const ok = checks.every(({ status }) => status !== "failed");
  if (!ok) terminal.exitCode = exitCodes.input;
  const verdict = ok ? "Training on the CPU works." : "Something that training needs does not work.";
  terminal.result(json, { ok, checks }, () => `\n${verdict}`);
}

function showCheck({ name, status, detail, fix }: Check, terminal: Terminal): string {
  const { style } = terminal;
  const paint = { ok: style.good, absent: style.faint, failed: style.bad }[status];
  const label = `${paint(status.padEnd(6))}  ${style.title(name.padEnd(12))}  `;
  const lines = [hanging(label, detail, terminal.width())];
  if (fix !== undefined) lines.push(hanging(`${" ".repeat(22)}fix: `, fix, terminal.width()));
  return lines.join("\n");
}
