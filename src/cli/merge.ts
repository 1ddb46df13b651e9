/** `merge`: the source model with the trained adapter inside its weights. */
import type { Command } from "commander";
import { requireModelName, saveModel } from "../compile/model-file.ts";
import type { RoundingLoss } from "../compile/requantize.ts";
import { mergeTrained } from "../compile/trained.ts";
import { plural } from "./numbers.ts";
import { outputOption } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { checkpointOption, openArtifact, stateText } from "./trained.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

interface MergeOptions extends CommonOptions {
  readonly output: string;
  readonly checkpoint?: string;
  readonly requantize?: boolean;
}

export function mergeCommand(terminal: Terminal): Command {
  return defineVerb("merge", {
    description:
      "Folds what was trained into the weights of the model that the artifact was compiled from. The result is that very " +
      "graph, of the same opset and precision, with other weights: it runs wherever the source ran.",
    examples: [
      ["merge model.peft -o tuned.onnx", "the newest checkpoint"],
      ["merge model.peft --checkpoint step-200 -o tuned.onnx", "a given one"],
      ["merge model-int4.peft --requantize -o tuned.onnx", "into 4- or 8-bit weights"],
    ],
  })
    .argument("<artifact>", "folder that compile wrote")
    .addOption(outputOption("model to write, .onnx or .onnxtxt").makeOptionMandatory())
    .addOption(checkpointOption())
    .option(
      "--requantize",
      "merge into quantised weights, too, rounded under the file's own scales, and say how much of the update that loses",
    )
    .action((folder: string, options: MergeOptions) => runMerge(folder, options, terminal));
}

async function runMerge(folder: string, options: MergeOptions, terminal: Terminal): Promise<void> {
  const { output, checkpoint, requantize, json } = options;
  const losses: RoundingLoss[] = [];
  requireModelName(output);
  const trained = await openArtifact(folder, checkpoint);
  const model = await mergeTrained(
    trained,
    (done, total) => terminal.progress(`merging ${done} of ${total}`),
    requantize === true ? (loss) => losses.push(loss) : undefined,
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
    ...(losses.length === 0 ? {} : { rounding: losses }),
  };
  terminal.result(json, document, () =>
    [
      `${output}  ${method.name} merged into ${plural(method.sites.length, "module")}, ${stateText(trained)}`,
      ...roundingText(losses),
    ].join("\n"),
  );
}

/** How far off the weights are, as a share of the weights and of the update. */
function roundingText(losses: readonly RoundingLoss[]): string[] {
  if (losses.length === 0) return [];
  const total = (part: "weight" | "update" | "error"): number =>
    Math.hypot(...losses.map((loss) => loss[part]));
  const share = ({ error, update }: RoundingLoss): number => (update === 0 ? 0 : error / update);
  const worst = losses.reduce((left, right) => (share(right) > share(left) ? right : left));
  return [
    `rounded ${plural(losses.length, "quantised weight")}: off by ${percent(total("error") / total("weight"))} of the weights, ` +
      `${percent(total("error") / total("update"))} of the update; at worst ${percent(share(worst))} of it, in ${worst.path}`,
  ];
}

function percent(share: number): string {
  return `${(100 * share).toPrecision(3)} %`;
}
