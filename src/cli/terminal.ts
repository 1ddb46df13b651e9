/** Where a verb writes: results to standard output, words for people to standard error, styled where that is seen. */

/** A stream as the command line needs it: `process.stdout` fits, and so does a buffer in a test. */
export interface OutputStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

export interface TerminalOptions {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Paints text; the identity where colours are not wanted. */
type Paint = (text: string) => string;

/** The styles in use, named by what they are for. */
export interface Style {
  readonly title: Paint;
  readonly faint: Paint;
  readonly good: Paint;
  readonly bad: Paint;
  readonly name: Paint;
}

/** The two streams with all that depends on them. A verb's exit code is 0 unless it sets another. */
export class Terminal {
  readonly env: TerminalOptions["env"];
  readonly style: Style;
  readonly errorStyle: Style;
  exitCode = 0;

  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;
  #transient = 0;

  constructor({ stdout, stderr, env }: TerminalOptions) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.env = env;
    this.style = makeStyle(this.hasColors("out"));
    this.errorStyle = makeStyle(this.hasColors("err"));
  }

  /** Columns that text is laid out for: the width of the terminal, but at most 100, and 80 where there is none. */
  width(stream: "out" | "err" = "out"): number {
    const { isTTY, columns } = stream === "out" ? this.#stdout : this.#stderr;
    return Math.min(isTTY === true ? (columns ?? 80) : 80, 100);
  }

  /** Whether colours are shown: on terminals, unless NO_COLOR (no-color.org) or TERM=dumb; FORCE_COLOR asks for them. */
  hasColors(stream: "out" | "err"): boolean {
    const { NO_COLOR, FORCE_COLOR, TERM } = this.env;
    if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
    if (FORCE_COLOR !== undefined && FORCE_COLOR !== "" && FORCE_COLOR !== "0") return true;
    return this.isTerminal(stream) && TERM !== "dumb";
  }

  isTerminal(stream: "out" | "err"): boolean {
    return (stream === "out" ? this.#stdout : this.#stderr).isTTY === true;
  }

  /** Writes a result. */
  print(text: string): void {
    this.clearProgress();
    this.#stdout.write(text.endsWith("\n") ? text : `${text}\n`);
  }

  /** Tells people something that is not the result. */
  note(text: string): void {
    this.clearProgress();
    this.#stderr.write(text.endsWith("\n") ? text : `${text}\n`);
  }

  /** Shows what is going on, in a line that the next output replaces; nothing where no one would see it pass. */
  progress(text: string): void {
    if (!this.isTerminal("err")) return;
    this.clearProgress();
    const line = text.slice(0, this.width("err") - 1);
    this.#stderr.write(this.errorStyle.faint(line));
    this.#transient = line.length;
  }

  clearProgress(): void {
    if (this.#transient === 0) return;
    this.#stderr.write(`\r${" ".repeat(this.#transient)}\r`);
    this.#transient = 0;
  }

  /** The result of a verb: the one JSON document under `--json`, else text for people. */
  result(json: boolean | undefined, document: unknown, text: () => string): void {
    this.print(json === true ? JSON.stringify(document, undefined, 2) : text());
  }
}

/** The terminal of this process. A reader that closes early, such as `head`, ends the process without a word. */
export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  for (const stream of [stdout, stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      process.exit();
    });
  }
  return new Terminal({ stdout, stderr, env });
}

function makeStyle(enabled: boolean): Style {
  const paint = (open: number, close: number): Paint =>
    enabled ? (text) => `\u001b[${open}m${text}\u001b[${close}m` : (text) => text;
  return {
    title: paint(1, 22),
    faint: paint(2, 22),
    good: paint(32, 39),
    bad: paint(31, 39),
    name: paint(36, 39),
  };
}
