/** Progress of training: a bar on terminals, a plain line now and then elsewhere. */
import type { RunStart, StepFacts } from "../runtime/run-options.ts";
import type { StepResult } from "../runtime/step.ts";
import type { Terminal } from "./terminal.ts";

/** Least time between two plain lines. */
const plainInterval = 5000;

const barWidth = 20;

export class TrainProgress {
  readonly #terminal: Terminal;
  #average: number | undefined;
  #msPerStep: number | undefined;
  #lastPlain = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  start({ totalSteps, from, stepsPerEpoch, setAside }: RunStart): void {
    if (setAside !== undefined)
      this.#terminal.note(
        `beginning anew; the training that was there (see --resume) is kept in ${setAside}`,
      );
    const resumed = from > 0 ? `, going on after step ${from}` : "";
    this.#terminal.note(`training ${totalSteps} steps (${stepsPerEpoch} an epoch)${resumed}`);
  }

  step(result: StepResult, facts: StepFacts): void {
    if (Number.isFinite(result.loss)) {
      this.#average = this.#average === undefined ? result.loss : 0.95 * this.#average + 0.05 * result.loss;
    }
    this.#msPerStep = this.#msPerStep === undefined ? facts.ms : 0.9 * this.#msPerStep + 0.1 * facts.ms;
    const line = this.#line(result, facts);
    if (this.#terminal.isTerminal("err")) {
      this.#terminal.progress(`${bar(result.step / facts.totalSteps)} ${line}`);
    } else if (Date.now() - this.#lastPlain > plainInterval || result.step === facts.totalSteps) {
      this.#lastPlain = Date.now();
      this.#terminal.note(line);
    }
  }

  evaluated(step: number, metrics: Readonly<Record<string, number>>): void {
    const text = Object.entries(metrics).map(([name, value]) => `${name} ${value.toFixed(4)}`);
    this.#terminal.note(`step ${step}: ${text.join(", ")}`);
  }

  evaluating(done: number, total: number): void {
    this.#terminal.progress(`evaluating: ${done}/${total} batches`);
  }

  #line({ step, skipped, lr }: StepResult, { totalSteps }: StepFacts): string {
    const ms = this.#msPerStep ?? 0;
    const left = clock((ms * (totalSteps - step)) / 1000);
    const loss = this.#average?.toFixed(4) ?? "-";
    const note = skipped ? " skipped" : "";
    return `${step}/${totalSteps} loss ${loss} lr ${lr.toExponential(1)} ${ms.toFixed(0)} ms/step ${left} left${note}`;
  }
}

function bar(share: number): string {
  const full = Math.min(barWidth, Math.floor(share * barWidth));
  return `[${"#".repeat(full)}${".".repeat(barWidth - full)}]`;
}

/** Seconds as 1:05 or 1:02:05. */
function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [hours = 0, minutes = 0, rest = 0] = parts;
  const end = `${String(minutes).padStart(hours > 0 ? 2 : 1, "0")}:${String(rest).padStart(2, "0")}`;
  return hours > 0 ? `${hours}:${end}` : end;
}
