/** Puts one hostile model after the other through the compiler, and tells what each ended in. */
import { join } from "node:path";
import { compileGraphs } from "../../src/compile/compile.ts";
import { makeGradient } from "../../src/compile/gradient.ts";
import { inspectModel } from "../../src/compile/inspect.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { preparePipeline } from "../../src/compile/prepare.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { cloneModel } from "../../src/ir/clone.ts";
import type { Model } from "../../src/ir/model.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";
import { bytesOf, type Trial } from "./trial.ts";

/** How a stage ended: `ok`, the code of a diagnostic, or `bug:` and the message of anything else. */
export interface Outcome {
  readonly stage: string;
  readonly result: string;
}

/** What is said once the compiler is loaded. */
export interface Ready {
  readonly stage: "ready";
}

/** What is said after the last stage: the most memory that the process has held so far, and the size of the model, 0 where there was none. */
export interface Ending {
  readonly stage: "end";
  readonly peakBytes: number;
  readonly modelBytes: number;
}

const stages: Readonly<Record<string, (model: Model) => void>> = {
  write: (model) => void encodeModel(model),
  text: (model) => {
    const text = printModel(model);
    if (printModel(parseModel(text)) !== text) throw new Error("the text reads back as another");
  },
  inspect: (model) => void inspectModel(model),
  prepare: (model) => {
    const copy = cloneModel(model);
    runPasses(copy, preparePipeline, { verifyEach: true });
    encodeModel(copy);
  },
  gradient: (model) => void makeGradient(model),
  compile: (model) =>
    void compileGraphs(model, {
      method: { name: "lora", options: { target_modules: "all-linear" } },
      task: "auto",
    }),
};

function attempt(stage: string, action: () => void): Outcome {
  try {
    action();
    return { stage, result: "ok" };
  } catch (error) {
    if (error instanceof DiagnosticError) return { stage, result: error.code };
    return { stage, result: `bug: ${describe(error)}` };
  }
}

/** Message and stack, with those of what caused it. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? `${error.message}\n${error.stack}` : describe(error.cause);
}

async function* outcomes(trial: Trial): AsyncGenerator<Outcome, number> {
  if (trial.verb === true) {
    verbs ??= await import("./verbs.ts");
    yield await verbs.tryVerb(trial.seed);
    return 1;
  }
  const bytes = bytesOf(trial);
  if (bytes === undefined) return 0;
  let model: Model | undefined;
  const read = attempt("read", () => {
    model = readModel(bytes, { folder: join(trial.file ?? ".", "..") });
    verifyModel(model);
  });
  yield read;
  if (model === undefined || read.result !== "ok") return bytes.length;
  for (const [stage, run] of Object.entries(stages)) {
    const subject = model;
    yield attempt(stage, () => run(subject));
  }
  return bytes.length;
}

/** Loads all verbs and makes an artifact, for which other trials need not wait. */
let verbs: typeof import("./verbs.ts") | undefined;

process.send?.({ stage: "ready" } satisfies Ready);
process.on("message", async (trial: Trial) => {
  const all = outcomes(trial);
  for (;;) {
    const { done, value } = await all.next();
    if (done === true) {
      const ending: Ending = {
        stage: "end",
        modelBytes: value,
        peakBytes: process.resourceUsage().maxRSS * 1024,
      };
      process.send?.(ending);
      return;
    }
    process.send?.(value);
  }
});
