/** Runs pipelines over a model: printing, timing, statistics, verification and crash reproducers. */
import { writeFileSync } from "node:fs";
import { DiagnosticError, InternalError } from "../diagnostics/define.ts";
import { cloneModel } from "../ir/clone.ts";
import type { Model } from "../ir/model.ts";
import { verifyModel } from "../ir/verify.ts";
import type { Pass } from "./define.ts";
import { type PipelineStep, printPipeline, type ResolvedStep, resolvePipeline } from "./pipeline.ts";
import { formatReport } from "./report.ts";

/** What a pass did. */
interface StepReport {
  readonly pass: string;
  readonly changed: boolean;
  readonly ms: number;
  /** By the names that the pass declares; those that stayed 0 are left out. */
  readonly statistics: Readonly<Record<string, number>>;
  readonly remarks: readonly string[];
}

/** What a pipeline did, one entry for each step that ran. */
export interface PipelineReport {
  readonly steps: readonly StepReport[];
  readonly changed: boolean;
}

/** Names of passes, or every one of them. */
export type PassSelection = readonly string[] | "all";

export interface PipelineOptions {
  /** Passes that the pipeline may name. */
  readonly registry: readonly Pass[];
  /** Text of a model; needed by every option that prints or compares. */
  readonly print?: (model: Model) => string;
  readonly printBefore?: PassSelection;
  readonly printAfter?: PassSelection;
  /** Print after each pass that changed something. */
  readonly printAfterChange?: boolean;
  /** Write a table of times when done. */
  readonly timing?: boolean;
  /** Write the statistics when done. */
  readonly statistics?: boolean;
  /** Check the invariants of the IR after each pass that changed something. */
  readonly verifyEach?: boolean;
  /** Compare each pass's word on whether it changed anything with the printed text; for tests. */
  readonly checkTruth?: boolean;
  /** File that gets the IR before the pass that failed, and the rest of the pipeline, as one text. */
  readonly reproducer?: string;
  readonly onRemark?: (pass: string, message: string) => void;
  /** Where printed text goes; standard error unless given. */
  readonly write?: (text: string) => void;
}

/**
 * Runs the passes in order on `model`, in place.
 *
 * @throws DiagnosticError for a bad pipeline, and what passes throw for bad input.
 * @throws InternalError for a pass that breaks an invariant or does not tell the truth.
 */
export function runPipeline(
  model: Model,
  pipeline: string | readonly PipelineStep[],
  options: PipelineOptions,
): PipelineReport {
  const steps = resolvePipeline(pipeline, options.registry);
  const write = options.write ?? ((text) => process.stderr.write(text));
  const reports: StepReport[] = [];
  steps.forEach((step, index) => {
    const { name } = step.pass;
    const show = (when: string): void => write(`# ${when} ${name}\n${printWith(options, model)}\n`);
    if (selects(options.printBefore, name)) show("before");
    const report = guarded(model, steps.slice(index), options, () => runStep(model, step, options));
    reports.push(report);
    if (selects(options.printAfter, name) || (options.printAfterChange === true && report.changed))
      show("after");
  });
  const report = { steps: reports, changed: reports.some(({ changed }) => changed) };
  const table = formatReport(report, {
    timing: options.timing === true,
    statistics: options.statistics === true,
  });
  if (table !== "") write(table);
  return report;
}

function selects(selection: PassSelection | undefined, name: string): boolean {
  return selection === "all" || selection?.includes(name) === true;
}

function printWith(options: PipelineOptions, model: Model): string {
  if (options.print === undefined) throw new InternalError("a pipeline that prints needs a printer");
  return options.print(model);
}

function runStep(
  model: Model,
  { pass, options: passOptions }: ResolvedStep,
  options: PipelineOptions,
): StepReport {
  const counters = new Map<string, number>();
  const remarks: string[] = [];
  const before = options.checkTruth === true ? printWith(options, model) : undefined;
  const start = performance.now();
  const changed = pass.run(model, {
    options: passOptions,
    stat: (name, amount = 1) => {
      if (!(name in pass.statistics))
        throw new InternalError(`pass "${pass.name}" does not declare "${name}"`);
      counters.set(name, (counters.get(name) ?? 0) + amount);
    },
    remark: (message) => {
      remarks.push(message);
      options.onRemark?.(pass.name, message);
    },
  });
  const ms = performance.now() - start;
  if (options.verifyEach === true && changed) verifyModel(model);
  if (before !== undefined && changed !== (before !== printWith(options, model))) {
    throw new InternalError(
      `pass "${pass.name}" says that it ${changed ? "changed" : "kept"} the model, its text says otherwise`,
    );
  }
  const statistics = Object.fromEntries([...counters].filter(([, count]) => count !== 0));
  return { pass: pass.name, changed, ms, statistics, remarks };
}

/** Runs one step; where it throws, writes the reproducer and says which pass it was. */
function guarded(
  model: Model,
  rest: readonly ResolvedStep[],
  options: PipelineOptions,
  run: () => StepReport,
): StepReport {
  const copy = options.reproducer === undefined ? undefined : cloneModel(model);
  try {
    return run();
  } catch (error) {
    let where = "";
    if (copy !== undefined && options.reproducer !== undefined) {
      writeFileSync(options.reproducer, reproducerText(printWith(options, copy), rest, error));
      where = `; the reproducer is ${options.reproducer}`;
    }
    if (error instanceof DiagnosticError) throw error;
    const message = error instanceof Error ? error.message.replace(/^internal: /, "") : String(error);
    throw new InternalError(`pass "${rest[0]?.pass.name}" failed: ${message}${where}`, { cause: error });
  }
}

/** One text that holds everything: comments with the pipeline and the failure, then the model. */
function reproducerText(ir: string, rest: readonly ResolvedStep[], error: unknown): string {
  const pipeline = printPipeline(rest);
  const message = String(error instanceof Error ? error.message : error).replaceAll("\n", "\n#   ");
  return [
    "# peft-compile reproducer: the model before the pass that failed",
    `# pipeline: ${pipeline}`,
    `# error: ${message}`,
    `# run: peft-compile opt THIS_FILE --pipeline '${pipeline}' -o -`,
    ir,
    "",
  ].join("\n");
}
