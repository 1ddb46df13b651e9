/** Where the time of a step goes, as tables for a terminal of 80 columns. */
import type { ModuleShare, OperatorShare, Share, StepProfile } from "../compile/step-profile.ts";
import { type Phase, phases } from "../ir/phase.ts";
import { share } from "./analyze-text.ts";
import { section } from "./describe.ts";
import { bytes, plural } from "./numbers.ts";
import type { Terminal } from "./terminal.ts";
import { formatTable } from "./wrap.ts";

const others = "(others)";

const right = { align: "right" as const };

/** Rows of each table; what is left stands in one row below. */
const most = 12;

/** Columns of a name; the innermost parts of a longer path are kept. */
const nameWidth = 26;

export function profileText(
  terminal: Terminal,
  { file, updates, ms, operators, modules }: Omit<StepProfile, "events"> & { readonly file: string },
): string {
  const options = { width: terminal.width(), title: terminal.style.title };
  const time = `${milliseconds(ms)} ms an update, mean of ${updates}`;
  const byOperator = formatTable(
    [{ title: "  Operator" }, ...["calls", "ms", "share", "results"].map((title) => ({ title, ...right }))],
    withRest(operators, (rest): OperatorShare => ({ op: others, ...total(rest) })).map((row) => [
      `  ${row.op}`,
      String(Math.round(row.calls)),
      milliseconds(row.ms),
      share(row.ms, ms),
      bytes(Math.round(row.bytes)),
    ]),
    options,
  );
  const byModule = formatTable(
    [{ title: "  Module" }, ...[...phases, "ms", "share", "results"].map((title) => ({ title, ...right }))],
    withRest(groupModules(modules), (rest) => ({
      name: others,
      phases: totalPhases(rest),
      ...total(rest),
    })).map((row) => [
      `  ${row.name}`,
      ...phases.map((phase) => {
        const value = row.phases[phase];
        return value === undefined ? "" : milliseconds(value);
      }),
      milliseconds(row.ms),
      share(row.ms, ms),
      bytes(Math.round(row.bytes)),
    ]),
    options,
  );
  return [
    section(terminal, `Operators: ${time}`, byOperator),
    section(terminal, "Modules: ms by phase; * stands for the number of a layer", byModule),
    `trace of ${plural(updates, "update")} and the first run: ${file}, for chrome://tracing or ui.perfetto.dev\n`,
  ].join("\n\n");
}

/** Milliseconds of each phase that a module has a part in. */
type PhaseTimes = Readonly<Partial<Record<Phase, number>>>;

interface ModuleRow extends Share {
  readonly name: string;
  readonly phases: PhaseTimes;
}

/** Modules that differ only in the numbers of their paths as one, longest first. */
function groupModules(modules: readonly ModuleShare[]): ModuleRow[] {
  const rows = new Map<string, ModuleRow>();
  for (const { module, phase, ...own } of modules) {
    const name = shorten(module.replace(/\.\d+(?=\.|$)/g, ".*"));
    const before = rows.get(name);
    const row = { name, phases: phase === null ? {} : { [phase]: own.ms }, ...own };
    const group = before === undefined ? [row] : [before, row];
    rows.set(name, { name, phases: totalPhases(group), ...total(group) });
  }
  return [...rows.values()].sort((a, b) => b.ms - a.ms);
}

function shorten(path: string): string {
  let short = path;
  while (short.length > nameWidth && short.slice(1).includes("."))
    short = `…${short.slice(short.indexOf(".", 1) + 1)}`;
  return short;
}

/** The first rows, and one that sums up the others where there are more. */
function withRest<T extends Share>(rows: readonly T[], makeRest: (rest: readonly T[]) => T): readonly T[] {
  if (rows.length <= most) return rows;
  return [...rows.slice(0, most - 1), makeRest(rows.slice(most - 1))];
}

function totalPhases(rows: readonly ModuleRow[]): PhaseTimes {
  const sums: Partial<Record<Phase, number>> = {};
  for (const { phases: times } of rows)
    for (const phase of phases) {
      const ms = times[phase];
      if (ms !== undefined) sums[phase] = (sums[phase] ?? 0) + ms;
    }
  return sums;
}

function total(shares: readonly Share[]): Share {
  return shares.reduce((sum, { calls, ms, bytes: size }) => ({
    calls: sum.calls + calls,
    ms: sum.ms + ms,
    bytes: sum.bytes + size,
  }));
}

function milliseconds(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
