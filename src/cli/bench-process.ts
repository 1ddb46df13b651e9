/** The process of its own in which `bench` runs steps: how it is started, and what it does when it is. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { DiagnosticError, InternalError } from "../diagnostics/define.ts";
import { type BenchJob, timeSteps } from "./bench-steps.ts";

/** What the process says. */
type Message =
  | { readonly kind: "step"; readonly step: number }
  | { readonly kind: "figures"; readonly figures: Record<string, unknown> }
  | { readonly kind: "refused"; readonly diagnostics: DiagnosticError["diagnostics"] }
  | { readonly kind: "failed"; readonly error: unknown };

const file = fileURLToPath(import.meta.url);

/**
 * Times the steps of a job in a new process.
 *
 * @throws DiagnosticError what the process throws. InternalError where it ends without a word.
 */
export function timeInProcess(
  job: BenchJob,
  onStep: (step: number) => void,
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const child = fork(file, [], {
      serialization: "advanced",
      // Sources are TypeScript, which Node itself may not read.
      execArgv: file.endsWith(".ts") ? ["--import", "tsx"] : [],
    });
    child.on("message", (message: Message) => {
      if (message.kind === "step") onStep(message.step);
      else if (message.kind === "figures") resolve(message.figures);
      else if (message.kind === "refused") reject(new DiagnosticError(message.diagnostics));
      else reject(message.error);
    });
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      reject(new InternalError(`the process that runs the steps ended with ${signal ?? code}`));
    });
    child.send(job);
  });
}

if (process.argv[1] === file && process.send !== undefined) {
  const say = (message: Message, then?: () => void): void => {
    process.send?.(message, undefined, {}, then);
  };
  process.once("message", (job: BenchJob) => {
    timeSteps(job, (step) => say({ kind: "step", step })).then(
      (figures) => say({ kind: "figures", figures }, () => process.disconnect()),
      (error: unknown) =>
        say(
          error instanceof DiagnosticError
            ? { kind: "refused", diagnostics: error.diagnostics }
            : { kind: "failed", error },
          () => process.disconnect(),
        ),
    );
  });
}
