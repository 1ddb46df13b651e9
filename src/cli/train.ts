/** `train`: trains an artifact on text, tables, arrays or random data. */
import { type Command, Option } from "commander";
import type { RunResult } from "../runtime/run-options.ts";
import type { RuntimeProvider } from "../runtime/session.ts";
import { type TrainFilesResult, train } from "../runtime/train-files.ts";
import { addDataOptions, type DataFlags, dataOptions } from "./data-options.ts";
import { plural } from "./numbers.ts";
import { providerOption, threadsOption, wholeNumber } from "./options.ts";
import { ProfileOption } from "./profile-option.ts";
import { StopSignal } from "./stop-signal.ts";
import type { Terminal } from "./terminal.ts";
import { TrainProgress } from "./train-progress.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

interface TrainOptions extends CommonOptions, DataFlags {
  readonly data: readonly string[];
  readonly evalData?: readonly string[];
  readonly steps?: number;
  readonly epochs?: number;
  readonly evalEvery?: number;
  readonly saveEvery?: number;
  readonly keep?: number;
  readonly groupByLength?: boolean;
  readonly resume?: boolean;
  readonly out?: string;
  readonly threads?: number;
  readonly provider?: RuntimeProvider;
  readonly profile?: string;
}

export function trainCommand(terminal: Terminal): Command {
  const command = defineVerb("train", {
    description:
      "Trains an artifact. Text needs the tokenizer.json beside the model; tables are csv, tsv or jsonl; arrays are safetensors, " +
      "npy or npz files named like the model's inputs. A run always saves at its end, and on Ctrl-C after the step at hand.",
    examples: [
      [
        "train model.peft --data train.tsv --eval-data dev.tsv --epochs 3",
        "a table with text and label columns",
      ],
      ["train model.peft --data corpus.txt --max-length 256 --steps 300", "plain text, in windows"],
      ["train model.peft --data corpus.txt --steps 300 --resume", "go on after an interruption, bit for bit"],
      ["train model.peft --data random --steps 10 --profile trace.json", "see where time goes"],
    ],
  })
    .argument("<artifact>", "folder that `compile` wrote")
    .requiredOption("--data <file...>", "files to train on, or the word random")
    .option("--eval-data <file...>", "files to evaluate on")
    .option("--steps <n>", "updates of the run", wholeNumber(1))
    .addOption(
      new Option("--epochs <n>", "passes over the data; 1 unless --steps is given")
        .argParser(wholeNumber(1))
        .conflicts("steps"),
    )
    .option("--eval-every <n>", "evaluate every n updates, not only at the end", wholeNumber(1))
    .option("--save-every <n>", "save every n updates, not only at the end", wholeNumber(1))
    .option("--keep <n>", "checkpoints that are kept; all unless given", wholeNumber(1))
    .option("--no-group-by-length", "batches of any examples; of those of like length unless given")
    .option("--resume", "go on from the newest checkpoint")
    .option("--out <dir>", "folder for checkpoints and metrics; the artifact's own unless given");
  return addDataOptions(command, 8)
    .optionsGroup("Run:")
    .addOption(threadsOption())
    .addOption(providerOption())
    .option("--profile <file>", "profile the first updates: a Chrome trace, and tables of where time goes")
    .action(async (folder: string, options: TrainOptions) => {
      const profile = options.profile === undefined ? undefined : new ProfileOption(folder, options.profile);
      try {
        const result = await run(folder, options, terminal, profile);
        const profiled = profile?.summary === undefined ? {} : { profile: profile.summary };
        terminal.result(options.json, { ok: true, ...result, ...profiled }, () =>
          [...(profile === undefined ? [] : [profile.text(terminal)]), summary(folder, options, result)].join(
            "\n",
          ),
        );
      } finally {
        profile?.dispose();
      }
    });
}

async function run(
  folder: string,
  options: TrainOptions,
  terminal: Terminal,
  profile: ProfileOption | undefined,
): Promise<TrainFilesResult> {
  const progress = new TrainProgress(terminal);
  const stop = new StopSignal(() => terminal.note("stopping after this step; once more to quit at once"));
  const { out, steps, epochs, evalEvery, saveEvery, keep, resume, threads, provider, batch, evalData } =
    options;
  const { groupByLength } = options;
  try {
    terminal.progress("reading data");
    const result = await train(folder, {
      ...dataOptions(options.data, options),
      ...{ out, steps, epochs, evalEvery, saveEvery, keep, resume, threads, provider, batch, evalData },
      groupByLength,
      profile: profile?.request,
      onStart: (facts) => progress.start(facts),
      onStep: (step, facts) => progress.step(step, facts),
      onEvaluation: (step, metrics) => progress.evaluated(step, metrics),
      onEvaluationBatch: (done, total) => progress.evaluating(done, total),
      shouldStop: () => stop.requested,
    });
    const { cutInputs } = result;
    if (cutInputs > 0) {
      const verb = cutInputs === 1 ? "was" : "were";
      terminal.note(`${plural(cutInputs, "input")} longer than the limit ${verb} cut`);
    }
    return result;
  } finally {
    terminal.clearProgress();
    stop.dispose();
  }
}

function summary(folder: string, { out }: TrainOptions, result: RunResult): string {
  const { steps, totalSteps, stopped, skippedSteps, lastLoss, checkpoint, metrics, best } = result;
  const loss = Number.isNaN(lastLoss) ? "nothing was left to do" : `last loss ${lastLoss.toFixed(4)}`;
  const lines = stopped
    ? [`stopped after ${plural(steps, "step")} of ${totalSteps}; the same command with --resume goes on`]
    : [`trained ${plural(steps, "step")}; ${loss}`];
  if (skippedSteps > 0) lines.push(`${plural(skippedSteps, "step")} skipped: the gradient was not finite`);
  for (const [name, value] of Object.entries(metrics ?? {}))
    lines.push(`  ${name.padEnd(12)} ${value.toFixed(4)}`);
  if (best !== null && best.step < steps)
    lines.push(`smallest evaluation loss: ${best.loss.toFixed(4)} after step ${best.step}`);
  // Other verbs look in the artifact's own folder.
  const from = out === undefined ? "" : ` --checkpoint ${checkpoint}`;
  lines.push(`saved in ${checkpoint}`, `next: peft-compile merge ${folder}${from} -o merged.onnx`);
  return lines.join("\n");
}
