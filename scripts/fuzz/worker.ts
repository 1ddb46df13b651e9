/** Puts one damaged file after the other through the compiler, and tells what each ended in. */
import { join } from "node:path";
import { compileGraphs } from "../../src/compile/compile.ts";
import { makeGradient } from "../../src/compile/gradient.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import type { Model } from "../../src/ir/model.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";
import { mutate } from "./mutate.ts";

/** One file to make and try. */
export interface Trial {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly seed: number;
}

/** `ok`, the code of a diagnostic, or `bug:` and the message of anything else. */
export interface Outcome {
  readonly seed: number;
  readonly stage: string;
  readonly result: string;
}

const stages: Readonly<Record<string, (model: Model) => void>> = {
  write: (model) => void encodeModel(model),
  text: (model) => void parseModel(printModel(model)),
  gradient: (model) => void makeGradient(model),
  compile: (model) =>
    void compileGraphs(model, {
      method: { name: "lora", options: { target_modules: "all-linear" } },
      task: "auto",
    }),
};

function attempt(stage: string, action: () => void): Pick<Outcome, "stage" | "result"> {
  try {
    action();
    return { stage, result: "ok" };
  } catch (error) {
    if (error instanceof DiagnosticError) return { stage, result: error.code };
    const text = error instanceof Error ? `${error.message}\n${error.stack}` : String(error);
    return { stage, result: `bug: ${text}` };
  }
}

function* outcomes({ file, bytes, seed }: Trial): Generator<Outcome> {
  const damaged = mutate(bytes, seed);
  let model: Model | undefined;
  const read = attempt("read", () => {
    model = readModel(damaged, { folder: join(file, "..") });
    verifyModel(model);
  });
  yield { seed, ...read };
  if (model === undefined || read.result !== "ok") return;
  for (const [stage, run] of Object.entries(stages)) {
    const subject = model;
    yield { seed, ...attempt(stage, () => run(subject)) };
  }
}

process.on("message", (trial: Trial) => {
  for (const outcome of outcomes(trial)) process.send?.(outcome);
  process.send?.({ seed: trial.seed, stage: "end", result: "ok" });
});
