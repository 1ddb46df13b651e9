/** `evaluate`: metrics of an artifact's task on a data set. */
import type { Command } from "commander";
import type { RuntimeProvider } from "../runtime/session.ts";
import { evaluate } from "../runtime/train-files.ts";
import { addDataOptions, type DataFlags, dataOptions } from "./data-options.ts";
import { providerOption, threadsOption } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { checkpointOption } from "./trained.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

interface EvaluateOptions extends CommonOptions, DataFlags {
  readonly data: readonly string[];
  readonly checkpoint?: string;
  readonly threads?: number;
  readonly provider?: RuntimeProvider;
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
      const { checkpoint, threads, provider, batch, json } = options;
      const result = await evaluate(folder, {
        ...dataOptions(options.data, options),
        ...{ threads, provider, batch },
        ...(checkpoint === undefined ? {} : { checkpoint }),
        onProgress: (done, total) => terminal.progress(`${done}/${total} batches`),
      });
      terminal.result(json, { ok: true, ...result }, () =>
        Object.entries(result.metrics)
          .map(([name, value]) => `${name.padEnd(12)} ${value.toFixed(4)}`)
          .join("\n"),
      );
    });
}
