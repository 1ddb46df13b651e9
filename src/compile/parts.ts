/** How a training graph computes its gradient part by part: how many rows a part has, and what is computed again within it. */
import { bindAxes } from "../analysis/bind-axes.ts";
import { footprint } from "../analysis/footprint.ts";
import { cloneModel } from "../ir/clone.ts";
import type { Model } from "../ir/model.ts";
import { markRest } from "../ir/module-mark.ts";
import { isOpen, rowsOfPart } from "../training/micro-batch.ts";
import { polish, recomputeSteps } from "./finish.ts";
import { type Instrumentation, runPasses } from "./passes.ts";
import type { CompileSettings } from "./request.ts";

/** Makes a gradient graph a Loop over parts of the batch, where it was opened for that. */
export function computeInParts(gradient: Model, settings: CompileSettings, watch: Instrumentation): void {
  if (!isOpen(gradient.graph)) return;
  runPasses(gradient, polish(settings), watch);
  const rows = settings.memory === undefined ? 0 : rowsWithin(gradient, settings.memory);
  runPasses(
    gradient,
    [...recomputeSteps(settings, rows), { pass: "micro-batch", options: { rows } }, { pass: "dce" }],
    watch,
  );
  markRest(gradient.graph, "(parts)");
}

/** The most rows of a part that fit into memory with nothing computed again, 1 where no number of them does. */
function rowsWithin(gradient: Model, { bytes, batch, seq }: NonNullable<CompileSettings["memory"]>): number {
  for (let rows = Math.min(batch, rowsOfPart(gradient.graph, seq)); rows > 1; rows = Math.floor(rows / 2)) {
    const copy = cloneModel(gradient);
    bindAxes(copy, { batch: rows, seq });
    if (footprint(copy.graph).use.taken <= bytes) return rows;
  }
  return 1;
}
