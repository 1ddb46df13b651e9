/** `export`: what was trained, in the form that another program reads. */
import { join } from "node:path";
import type { Command } from "commander";
import { checkpointTensors } from "../compile/checkpoint-tensors.ts";
import { writeOnnxAdapter } from "../compile/export-onnx-adapter.ts";
import { writePeftFolder } from "../compile/export-peft.ts";
import { inferenceModel } from "../compile/inference-model.ts";
import { requireModelName, saveModel, standardStream } from "../compile/model-file.ts";
import { runConstantGraph } from "../compile/run-constant.ts";
import type { Trained } from "../compile/trained.ts";
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

const defaultNames: Readonly<Record<ExportOptions["format"], string>> = {
  peft: "adapter",
  onnx: "merged.onnx",
  "onnx-adapter": "adapted.onnx",
};

export function exportCommand(terminal: Terminal): Command {
  return defineVerb("export", {
    description:
      "Writes what was trained as an adapter folder that Hugging Face PEFT loads (peft), as an inference model with the " +
      "adapter inside (onnx, as merge does), or as a model that takes the adapter as inputs with the .onnx_adapter file " +
      "that feeds them (onnx-adapter).",
    examples: [
      ["export model.peft --format peft -o adapter", "for PeftModel.from_pretrained in Python"],
      ["export model.peft --format onnx -o tuned.onnx", "for ONNX Runtime"],
      [
        "export model.peft --format onnx-adapter -o base.onnx",
        "also writes base.onnx_adapter, which ONNX Runtime activates run by run",
      ],
    ],
  })
    .argument("<artifact>", "folder that compile wrote")
    .addOption(choiceOption("--format <form>", "what to write", formats).makeOptionMandatory())
    .addOption(
      outputOption("where to write; adapter, merged.onnx or adapted.onnx in the artifact unless given"),
    )
    .addOption(checkpointOption())
    .action((folder: string, options: ExportOptions) => runExport(folder, options, terminal));
}

async function runExport(folder: string, options: ExportOptions, terminal: Terminal): Promise<void> {
  const { format, checkpoint, json } = options;
  const output = options.output ?? join(folder, defaultNames[format]);
  if (format !== "peft") requireModelName(output);
  if (output === standardStream && format === "onnx-adapter") {
    const message = "peft-compile export: --format onnx-adapter writes two files and needs a name for them";
    throw new UsageError(cliErrors.E_USAGE(message, "peft-compile export --help"));
  }
  const trained = await openArtifact(folder, checkpoint);
  const files = await writers[format](trained, output, terminal);
  const { manifest, tensors, step } = trained;
  const document = {
    ok: true,
    output,
    files,
    format,
    method: manifest.method.name,
    tensors: tensors.size,
    step: step ?? null,
  };
  terminal.result(
    json,
    document,
    () =>
      `${files.join(" and ")}  ${manifest.method.name} with ${plural(tensors.size, "tensor")}, ${stateText(trained)}`,
  );
}

/** Writes one form and gives what it wrote. */
type Write = (trained: Trained, output: string, terminal: Terminal) => Promise<readonly string[]>;

const writers: Readonly<Record<ExportOptions["format"], Write>> = {
  peft: exportPeft,
  onnx: exportMerged,
  "onnx-adapter": async (trained, output) => [output, await writeOnnxAdapter(trained, output)],
};

async function exportMerged(trained: Trained, output: string, terminal: Terminal): Promise<[string]> {
  const model = await inferenceModel(trained, (done, total) =>
    terminal.progress(`merging ${done} of ${total}`),
  );
  await saveModel(model, output);
  return [output];
}

async function exportPeft({ adapter, manifest, tensors }: Trained, folder: string): Promise<[string]> {
  const task = taskNames.find((name) => name === manifest.task.name);
  await writePeftFolder(folder, {
    adapter,
    tensors: await checkpointTensors(adapter, tensors, runConstantGraph),
    taskType: task === undefined ? undefined : peftTaskTypes[task],
    facts: manifest.method.peft,
  });
  return [folder];
}
