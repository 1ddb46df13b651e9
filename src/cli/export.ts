/** `export`: what was trained, in the form that another program reads. */
import { join } from "node:path";
import type { Command } from "commander";
import { writePeftFolder } from "../compile/export-peft.ts";
import { requireModelName, saveModel } from "../compile/model-file.ts";
import { mergeTrained, type Trained } from "../compile/trained.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { peftTaskTypes, taskNames } from "../training/tasks.ts";
import { plural } from "./numbers.ts";
import { choiceOption, outputOption } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { checkpointOption, openArtifact, stateText } from "./trained.ts";
import { UsageError } from "./usage.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

const formats = ["peft", "onnx", "onnx-adapter"] as const;

interface ExportOptions extends CommonOptions {
  readonly format: (typeof formats)[number];
  readonly output?: string;
  readonly checkpoint?: string;
}

export function exportCommand(terminal: Terminal): Command {
  return defineVerb("export", {
    description:
      "Writes what was trained as an adapter folder that Hugging Face PEFT loads (peft), or as an inference model with the " +
      "adapter inside (onnx, as merge does).",
    examples: [
      ["export model.peft --format peft -o adapter", "for PeftModel.from_pretrained in Python"],
      ["export model.peft --format onnx -o tuned.onnx", "for ONNX Runtime"],
    ],
  })
    .argument("<artifact>", "folder that compile wrote")
    .addOption(
      choiceOption("--format <form>", "peft or onnx; onnx-adapter is to come", formats).makeOptionMandatory(),
    )
    .addOption(outputOption("where to write; ARTIFACT/adapter or ARTIFACT/merged.onnx unless given"))
    .addOption(checkpointOption())
    .action((folder: string, options: ExportOptions) => runExport(folder, options, terminal));
}

async function runExport(folder: string, options: ExportOptions, terminal: Terminal): Promise<void> {
  const { format, checkpoint, json } = options;
  if (format === "onnx-adapter") {
    const message = "peft-compile export: --format onnx-adapter is not available yet";
    throw new UsageError(cliErrors.E_USAGE(message, "peft-compile export --help"));
  }
  const output = options.output ?? join(folder, format === "peft" ? "adapter" : "merged.onnx");
  if (format === "onnx") requireModelName(output);
  const trained = await openArtifact(folder, checkpoint);
  if (format === "peft") await exportPeft(trained, output);
  else {
    const model = await mergeTrained(trained, (done, total) =>
      terminal.progress(`merging ${done} of ${total}`),
    );
    await saveModel(model, output);
  }
  const { manifest, tensors, step } = trained;
  const document = {
    ok: true,
    output,
    format,
    method: manifest.method.name,
    tensors: tensors.size,
    step: step ?? null,
  };
  terminal.result(
    json,
    document,
    () => `${output}  ${manifest.method.name} with ${plural(tensors.size, "tensor")}, ${stateText(trained)}`,
  );
}

async function exportPeft({ adapter, manifest, tensors }: Trained, folder: string): Promise<void> {
  const task = taskNames.find((name) => name === manifest.task.name);
  await writePeftFolder(folder, {
    adapter,
    tensors,
    taskType: task === undefined ? undefined : peftTaskTypes[task],
  });
}
