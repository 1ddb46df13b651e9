/** `evaluate`: metrics of an artifact's task on a data set. */
import type { Command } from "commander";
import { evaluateData } from "../runtime/evaluate-run.ts";
import { openData, wantedFields } from "../runtime/open-data.ts";
import { Trainer } from "../runtime/trainer.ts";
import { addDataOptions, type DataFlags, dataOptions } from "./data-options.ts";
import { providerOption, threadsOption } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { checkpointOption } from "./trained.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

interface EvaluateOptions extends CommonOptions, DataFlags {
  readonly data: readonly string[];
  readonly checkpoint?: string;
  readonly threads?: number;
  readonly provider?: "cpu" | "cuda";
}

export function evaluateCommand(terminal: Terminal): Command {
  const command = defineVerb("evaluate", {
    description:
      "Computes the metrics of the artifact's task: loss and perplexity, accuracy, F1 and Matthews, or Pearson and Spearman.",
    examples: [
      ["evaluate model.peft --data dev.tsv", "the newest checkpoint"],
      ["evaluate model.peft --data dev.tsv --checkpoint step-100 --json", "another one, for a script"],
    ],
  })
    .argument("<artifact>", "folder that `compile` wrote")
    .requiredOption("--data <file...>", "files to evaluate on, or the word random");
  return addDataOptions(command, 16)
    .optionsGroup("Run:")
    .addOption(checkpointOption())
    .addOption(threadsOption())
    .addOption(providerOption())
    .action(async (folder: string, options: EvaluateOptions) => {
      const { checkpoint, threads, provider, batch } = options;
      const trainer = await Trainer.open(folder, {
        threads,
        provider,
        ...(checkpoint === undefined ? {} : { checkpoint }),
      });
      try {
        const { manifest } = trainer.artifact;
        const { dataset } = openData(trainer.artifact, {
          ...dataOptions(options.data, options),
          labelNames: trainer.labelNames,
        });
        const metrics = await evaluateData(trainer, dataset, {
          batch,
          wanted: wantedFields(manifest),
          onProgress: (done, total) => terminal.progress(`${done}/${total} batches`),
          ...(options.data[0] === "random" ? { rows: batch * 4 } : {}),
        });
        terminal.result(
          options.json,
          { ok: true, task: manifest.task.name, step: trainer.updates, metrics },
          () =>
            Object.entries(metrics)
              .map(([name, value]) => `${name.padEnd(12)} ${value.toFixed(4)}`)
              .join("\n"),
        );
      } finally {
        await trainer.close();
      }
    });
}
