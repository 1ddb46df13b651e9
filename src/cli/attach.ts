/** `attach`: adapter folders inside a model for inference, one for each row of a batch or some at once. */
import { basename, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { baseName } from "../adapt/several.ts";
import { attachAdapters, type NamedAdapter } from "../compile/attach.ts";
import { openModel, requireModelName, saveModel } from "../compile/model-file.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { plural } from "./numbers.ts";
import { followLinksOption, outputOption } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

interface Options extends CommonOptions {
  readonly adapter?: readonly NamedAdapter[];
  readonly active?: readonly string[];
  readonly routing?: Readonly<Record<string, unknown>>;
  readonly general?: readonly string[];
  readonly output?: string;
  readonly followLinks?: boolean;
}

export function attachCommand(terminal: Terminal): Command {
  return defineVerb("attach", {
    description:
      "Puts adapter folders of Hugging Face PEFT into a model for inference. The model gets an input adapter_names with a " +
      "number for each row of the batch: 0 for the base model, 1 for the first adapter, and so on. With --active there is " +
      "no such input, and the adapters that it names act on all rows, at once.",
    examples: [
      ["attach model.onnx --adapter fr=a --adapter de=b -o c.onnx", "an adapter for each row"],
      ["attach model.onnx --adapter a --adapter b --active a,b -o c.onnx", "both at once"],
      ["attach m.onnx --adapter a --adapter b --routing top_k=1 -o c.onnx", "one for each token"],
    ],
  })
    .argument("<model>", ".onnx file")
    .option(
      "--adapter <name=dir>",
      "adapter folder and its name, the folder's unless given (repeat it)",
      gather,
    )
    .option("--active <names>", `adapters that act on every row; ${baseName} for none of them`, activeNames)
    .option(
      "--routing <options>",
      "let each token choose among the active adapters: NAME=NUMBER, separated by commas",
      routingOptions,
    )
    .option(
      "--general <names>",
      "with --routing: active adapters whose mean is taken off the others, and that are not chosen",
      activeNames,
    )
    .addOption(outputOption("where to write the model"))
    .addOption(followLinksOption())
    .action((model: string, options: Options) => runAttach(model, options, terminal));
}

async function runAttach(file: string, options: Options, terminal: Terminal): Promise<void> {
  const { adapter, routing, general, output, json } = options;
  if (adapter === undefined) throw usage("which adapters? give each with --adapter NAME=DIR");
  if (output === undefined) throw usage("where to? give the file with -o");
  // Tokens choose among all adapters unless some are named.
  const active = options.active ?? (routing === undefined ? undefined : adapter.map(({ name }) => name));
  if (general !== undefined && routing === undefined) throw usage("--general is of --routing");
  requireModelName(output);
  terminal.progress(`reading ${file}`);
  const model = openModel(file, options);
  terminal.progress("attaching");
  const given = {
    ...(active === undefined ? {} : { active }),
    ...(routing === undefined ? {} : { routing }),
    ...(general === undefined ? {} : { general }),
  };
  await saveModel(attachAdapters(model, adapter, given), output);
  const names = [baseName, ...adapter.map(({ name }) => name)];
  const document = {
    ok: true,
    output,
    adapters: adapter.map(({ name, folder }) => ({ name, folder })),
    ...(active === undefined ? { input: "adapter_names", names } : given),
  };
  terminal.result(json, document, () =>
    active === undefined
      ? `${output}  ${plural(adapter.length, "adapter")}; adapter_names: ${names.map((name, i) => `${i} ${name}`).join(", ")}`
      : `${output}  active: ${active.length === 0 ? baseName : active.join(", ")}`,
  );
}

function gather(text: string, before: readonly NamedAdapter[] | undefined): NamedAdapter[] {
  const [, name, folder] = /^([^=/\\]+)=(.+)$/.exec(text) ?? [];
  if (text === "") throw new InvalidArgumentError("a name and a folder: NAME=DIR");
  const given =
    name === undefined || folder === undefined
      ? { name: basename(resolve(text)), folder: text }
      : { name, folder };
  return [...(before ?? []), given];
}

function activeNames(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) throw new InvalidArgumentError(`names separated by commas, or ${baseName}`);
  return names.length === 1 && names[0] === baseName ? [] : names;
}

function routingOptions(text: string): Record<string, number> {
  const entries = text.split(",").map((entry) => /^\s*(\w+)=([\d.eE+-]+)\s*$/.exec(entry));
  return Object.fromEntries(
    entries.map((entry) => {
      const [, name, value] = entry ?? [];
      if (name === undefined || Number.isNaN(Number(value)))
        throw new InvalidArgumentError("options with their values: NAME=NUMBER, separated by commas");
      return [name, Number(value)];
    }),
  );
}

function usage(message: string): UsageError {
  return new UsageError(cliErrors.E_USAGE(`peft-compile attach: ${message}`, "peft-compile attach --help"));
}
