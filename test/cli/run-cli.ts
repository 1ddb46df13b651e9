/** Runs command lines inside the test's process and captures what they write. */
import { main } from "../../src/cli/program.ts";
import { Terminal } from "../../src/cli/terminal.ts";

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Makes both streams terminals of this width. */
  readonly columns?: number;
}

/** Runs `peft-compile` with these arguments. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const written = { stdout: "", stderr: "" };
  const isTTY = options.columns !== undefined;
  const stream = (name: keyof typeof written) => ({
    isTTY,
    columns: options.columns,
    write: (text: string) => {
      written[name] += text;
    },
  });
  const terminal = new Terminal({
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    env: options.env ?? {},
  });
  const code = await main(args, terminal);
  return { code, ...written };
}

/** Runs with `--json` and gives the document, which must be all of standard output. */
export async function runJson(
  args: readonly string[],
): Promise<{ code: number; document: unknown; stderr: string }> {
  const { code, stdout, stderr } = await runCli([...args, "--json"]);
  return { code, document: JSON.parse(stdout), stderr };
}
