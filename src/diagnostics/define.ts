/** Defines what a diagnostic is and how an area of the project declares its own, by stable code. */

/** One cause of failure that a user can act on: where, what was expected, what was found, what to do. */
export interface Diagnostic {
  /** Stable identifier such as `E_NO_GRADIENT`; tests and users match on it. */
  readonly code: string;
  /** One sentence that names the thing at fault. */
  readonly message: string;
  /** File, node, option or value that the message is about. */
  readonly place?: string;
  readonly expected?: string;
  readonly got?: string;
  /** What the user can do next. */
  readonly next?: string;
}

/** The error thrown for bad input: carries one diagnostic per cause, and never stands for a bug of ours. */
export class DiagnosticError extends Error {
  override readonly name = "DiagnosticError";
  readonly diagnostics: readonly [Diagnostic, ...Diagnostic[]];

  constructor(diagnostics: readonly [Diagnostic, ...Diagnostic[]]) {
    super(diagnostics.map(formatDiagnostic).join("\n"));
    this.diagnostics = diagnostics;
  }

  /** Code of the first cause. */
  get code(): string {
    return this.diagnostics[0].code;
  }
}

/** The error thrown when one of our own invariants is broken; its message starts with `internal:`. */
export class InternalError extends Error {
  override readonly name = "InternalError";

  constructor(message: string, options?: ErrorOptions) {
    super(`internal: ${message}`, options);
  }
}

/** What a wording function returns: a diagnostic without its code. */
export type Wording = Omit<Diagnostic, "code">;

/** Turns an area's table of wordings into constructors of throwable errors, keyed by the same codes. */
export type DiagnosticTable<T> = {
  readonly [Code in keyof T]: T[Code] extends (...args: infer Args) => Wording
    ? (...args: Args) => DiagnosticError
    : never;
};

const declared = new Set<string>();

/**
 * Declares the diagnostics of one area, each a function from the facts to the wording.
 *
 * @example
 * export const onnxErrors = defineDiagnostics({
 *   E_ONNX_TRUNCATED: (file: string, at: number) => ({ message: "the file ends inside a field", place: file, ... }),
 * });
 * throw onnxErrors.E_ONNX_TRUNCATED("model.onnx", 17);
 *
 * @throws InternalError when a code is declared twice or does not start with `E_`.
 */
export function defineDiagnostics<T extends Record<string, (...args: never[]) => Wording>>(
  table: T,
): DiagnosticTable<T> {
  const entries = Object.entries(table).map(([code, wording]) => {
    if (!/^E_[A-Z0-9_]+$/.test(code)) throw new InternalError(`diagnostic code "${code}" is malformed`);
    if (declared.has(code)) throw new InternalError(`diagnostic code "${code}" is declared twice`);
    declared.add(code);
    const make = (...args: never[]): DiagnosticError =>
      new DiagnosticError([{ code, ...clipFacts(wording(...args)) }]);
    return [code, make] as const;
  });
  return Object.fromEntries(entries) as DiagnosticTable<T>;
}

/** Names in a hostile file may be as long as the file: of each fact so much is kept that it can be told what it was. */
const longestFact = 2000;

function clipFacts(wording: Wording): Wording {
  const clip = (fact: string): string =>
    fact.length <= longestFact ? fact : `${fact.slice(0, longestFact / 2)}... (${fact.length} characters)`;
  const { message, place, expected, got, next } = wording;
  const facts = { place, expected, got, next };
  const clipped = Object.entries(facts).flatMap(([key, fact]) =>
    fact === undefined ? [] : [[key, clip(fact)]],
  );
  return { message: clip(message), ...Object.fromEntries(clipped) };
}

/** Joins several errors into one that carries every cause, in order. */
export function joinDiagnostics(errors: readonly [DiagnosticError, ...DiagnosticError[]]): DiagnosticError {
  const [first, ...rest] = errors;
  return new DiagnosticError([...first.diagnostics, ...rest.flatMap((error) => error.diagnostics)]);
}

/** Prints a diagnostic for people: code and message, then one indented line for each further fact. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { code, message, place, expected, got, next } = diagnostic;
  const lines = [`${code}  ${message}`];
  if (place !== undefined) lines.push(`  at        ${place}`);
  if (expected !== undefined) lines.push(`  expected  ${expected}`);
  if (got !== undefined) lines.push(`  got       ${got}`);
  if (next !== undefined) lines.push(`  next      ${next}`);
  return lines.join("\n");
}

/** Up to `limit` of `candidates` that are spelled most like `wanted`, best first: for "did you mean" lines. */
export function nearNames(wanted: string, candidates: Iterable<string>, limit = 3): string[] {
  const scored = [...candidates].map((name) => ({ name, distance: editDistance(wanted, name) }));
  return scored
    .filter(({ name, distance }) => distance < Math.max(2, wanted.length / 2, name.length / 2))
    .sort((a, b) => a.distance - b.distance || a.name.localeCompare(b.name))
    .slice(0, limit)
    .map(({ name }) => name);
}

/** Edit distance in which two neighbours that changed places count once (optimal string alignment), by rolling rows. */
function editDistance(a: string, b: string): number {
  let older: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const transposition = swapped ? (older[j - 2] ?? 0) + 1 : substitution;
      current[j] = Math.min(substitution, transposition, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1);
    }
    [older, previous] = [previous, current];
  }
  return previous[b.length] ?? 0;
}
