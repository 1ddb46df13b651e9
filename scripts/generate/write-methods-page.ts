/**
 * Generates `docs/methods.md`: methods, optimizers and losses with formulas and tables of their options. It reads the lists
 * that `registry.ts` writes, and runs after it, since generators run in the order of their names.
 */
import type { z } from "zod";
import { adapters } from "../../passes/adapters/index.ts";
import { losses } from "../../passes/losses/index.ts";
import { optimizers } from "../../passes/optimizers/index.ts";
import type { Adapter } from "../../src/adapt/define.ts";
import { defaultText, describeOptions, type OptionDescription } from "../../src/pass/describe-options.ts";
import { emitGenerated } from "../generated-files.ts";

interface Named {
  readonly name: string;
  readonly summary: string;
}

interface Described extends Named {
  readonly options: z.ZodObject;
}

const introduction = `# Methods, optimizers and losses

Generated from the records in [passes/](../passes) by \`npm run generate\`; \`peft-compile methods NAME\` prints the same.
On the command line an option of a method is \`--lora-alpha 16\` for \`lora_alpha\`, and those of optimizers and losses stand in
braces: \`--optimizer "adamw{lr=1e-3}"\`. In code they are \`lora({ loraAlpha: 16 })\` and \`adamw({ lr: 1e-3 })\`.
`;

/** The records as plain interfaces, which the narrow types of the generated lists are not. */
const methods: readonly Adapter[] = adapters;

const text = [
  introduction,
  "## Methods\n",
  overview(methods),
  ...methods.map(methodSection),
  "## Optimizers\n",
  ...optimizers.map((record) => section(record, record.paper)),
  "## Losses\n",
  ...losses.map((record) => section(record)),
].join("\n");
emitGenerated([{ path: "docs/methods.md", text }]);

function overview(records: readonly Adapter[]): string {
  return [
    "| method | PEFT's type | adapts | what it does |",
    "| --- | --- | --- | --- |",
    ...records.map(
      ({ name, peftType, sites, summary }) =>
        `| [${name}](#${name}) | ${peftType} | ${sites.join(", ")} | ${cell(summary)} |`,
    ),
    "",
  ].join("\n");
}

function methodSection(record: Adapter): string {
  const { formula, sites, paper } = record;
  return section(record, `    ${formula}`, `Adapts ${sites.join(", ")} modules.`, paper);
}

function section({ name, summary, options }: Described, ...facts: readonly string[]): string {
  return [
    `### ${name}\n`,
    `${sentence(summary)}\n`,
    ...facts.map((fact) => `${fact}\n`),
    optionTable(options),
  ].join("\n");
}

function optionTable(schema: z.ZodObject): string {
  const options = describeOptions(schema);
  if (options.length === 0) return "It has no options.\n";
  return [
    "| option | value | default | meaning |",
    "| --- | --- | --- | --- |",
    ...options.map((option) => `| \`${option.name}\` | ${optionCells(option)} |`),
    "",
  ].join("\n");
}

function optionCells(option: OptionDescription): string {
  const value = defaultText(option);
  return [option.type, value === undefined ? "" : `\`${value}\``, option.description].map(cell).join(" | ");
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");
}
