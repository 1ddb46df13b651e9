/**
 * Generates `docs/methods.md`, which lists methods and describes optimizers and losses, and a page for each method. It reads the
 * lists that `registry.ts` writes, and runs after it, since generators run in the order of their names.
 */
import type { z } from "zod";
import { adapters } from "../../passes/adapters/index.ts";
import { losses } from "../../passes/losses/index.ts";
import { optimizers } from "../../passes/optimizers/index.ts";
import type { Adapter } from "../../src/adapt/define.ts";
import { emitGenerated, removeStale } from "../generated-files.ts";
import { methodPage } from "../method-page.ts";
import { cell, optionTable, sentence } from "../option-table.ts";

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
  "## Optimizers\n",
  ...optimizers.map((record) => section(record, record.paper)),
  "## Losses\n",
  ...losses.map((record) => section(record)),
].join("\n");
const pages = methods.map((method) => ({ path: `docs/methods/${method.name}.md`, text: methodPage(method) }));
emitGenerated([{ path: "docs/methods.md", text }, ...pages]);
const known = new Set(methods.map(({ name }) => `${name}.md`));
removeStale("docs/methods", (file) => !known.has(file));

function overview(records: readonly Adapter[]): string {
  return [
    "| method | PEFT's type | adapts | what it does |",
    "| --- | --- | --- | --- |",
    ...records.map(
      ({ name, peftType, sites, summary }) =>
        `| [${name}](methods/${name}.md) | ${peftType} | ${sites.join(", ")} | ${cell(summary)} |`,
    ),
    "",
  ].join("\n");
}

function section({ name, summary, options }: Described, ...facts: readonly string[]): string {
  return [
    `### ${name}\n`,
    `${sentence(summary)}\n`,
    ...facts.map((fact) => `${fact}\n`),
    optionTable(options),
  ].join("\n");
}
