/** Methods side by side on one model: what each trains, computes and holds. */

import { requireAdapter } from "../../passes/adapt.ts";
import { adapters } from "../../passes/adapters/index.ts";
import { flopTable, memoryTable, parameterTable, subjectOf } from "../compile/analyze.ts";
import { compileGraphs } from "../compile/compile.ts";
import { withDefaultTargets } from "../compile/method.ts";
import { DiagnosticError } from "../diagnostics/define.ts";
import type { Model } from "../ir/model.ts";
import { flops, share } from "./analyze-text.ts";
import { section } from "./describe.ts";
import { bytes, count } from "./numbers.ts";
import type { Terminal } from "./terminal.ts";
import { formatTable } from "./wrap.ts";

export interface MethodRow {
  readonly method: string;
  readonly trainable?: number;
  readonly share?: number;
  readonly checkpoint?: number;
  readonly forward?: number | undefined;
  readonly backward?: number | undefined;
  /** Bytes of values at the peak of a step. */
  readonly peak?: number;
  /** Code of the diagnostic with which the method does not take the model as it is. */
  readonly refused?: string;
}

/** @param names of methods, or `all`. @throws DiagnosticError for names of no method. */
export function compareMethods(
  source: Model,
  names: readonly string[],
  sizes: { readonly batch: number; readonly seq: number },
  onProgress: (name: string) => void,
): MethodRow[] {
  const chosen = names.includes("all") ? adapters.map(({ name }) => name) : names;
  return chosen.map((name) => {
    const record = requireAdapter(name);
    onProgress(name);
    try {
      const method = { name, options: withDefaultTargets(record, {}) };
      const subject = subjectOf(compileGraphs(source, { method }));
      const { trainable, parameters, checkpoint } = parameterTable(subject);
      const { forward, backward } = flopTable(subject, sizes);
      const { use } = memoryTable(subject, sizes);
      return {
        ...{ method: name, trainable, share: trainable / parameters, checkpoint },
        ...{ forward, backward, peak: use.peak },
      };
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      return { method: name, refused: error.diagnostics[0]?.code ?? "" };
    }
  });
}

export function methodsText(terminal: Terminal, title: string, rows: readonly MethodRow[]): string {
  const right = { align: "right" as const };
  const cells = rows.map(({ method, trainable = 0, checkpoint = 0, peak = 0, ...row }) => {
    if (row.refused !== undefined) return [`  ${method}`, row.refused];
    return [
      `  ${method}`,
      count(trainable),
      share(row.share ?? 0, 1),
      bytes(checkpoint),
      flops(row.forward),
      flops(row.backward),
      bytes(peak),
    ];
  });
  const table = formatTable(
    [
      { title: "  Method" },
      { title: "Trains", ...right },
      { title: "Share", ...right },
      { title: "Saved", ...right },
      { title: "Forward", ...right },
      { title: "Backward", ...right },
      { title: "Peak", ...right },
    ],
    cells,
    { width: terminal.width(), title: terminal.style.title },
  );
  return section(terminal, title, table);
}
