/** `merge`: the source model with the trained adapter inside its weights. */
import type { Command } from "commander";
import { requireModelName, saveModel } from "../compile/model-file.ts";
import { mergeTrained } from "../compile/trained.ts";
import { plural } from "./numbers.ts";
import { outputOption } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { checkpointOption, openArtifact, stateText } from "./trained.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

interface MergeOptions extends CommonOptions {
  readonly output: string;
  readonly checkpoint?: string;
}

export function mergeCommand(terminal: Terminal): Command {
  return defineVerb("merge", {
    description:
      "Folds what was trained into the weights of the model that the artifact was compiled from. The result is that very " +
      "graph, of the same opset and precision, with other weights: it runs wherever the source ran.",
    examples: [
      ["merge model.peft -o tuned.onnx", "the newest checkpoint"],
      ["merge model.peft --checkpoint step-200 -o tuned.onnx", "a given one"],
    ],
  })
    .argument("<artifact>", "folder that compile wrote")
    .addOption(outputOption("model to write, .onnx or .onnxtxt").makeOptionMandatory())
    .addOption(checkpointOption())
    .action((folder: string, options: MergeOptions) => runMerge(folder, options, terminal));
}

async function runMerge(folder: string, options: MergeOptions, terminal: Terminal): Promise<void> {
  const { output, checkpoint, json } = options;
  requireModelName(output);
  const trained = await openArtifact(folder, checkpoint);
  const model = await mergeTrained(trained, (done, total) =>
    terminal.progress(`merging ${done} of ${total}`),
  );
  terminal.progress(`writing ${output}`);
  await saveModel(model, output);
  const { method } = trained.manifest;
  const document = {
    ok: true,
    output,
    method: method.name,
    modules: method.sites.length,
    step: trained.step ?? null,
  };
  terminal.result(
    json,
    document,
    () =>
      `${output}  ${method.name} merged into ${plural(method.sites.length, "module")}, ${stateText(trained)}`,
  );
}
