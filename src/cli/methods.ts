/** `methods [NAME]`: fine-tuning methods, optimizers and losses, and the options of one. */
import type { Command } from "commander";
import { adapters } from "../../passes/adapters/index.ts";
import { losses } from "../../passes/losses/index.ts";
import { optimizers } from "../../passes/optimizers/index.ts";
import type { Adapter } from "../adapt/define.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { nearNames } from "../diagnostics/define.ts";
import { defaultText, describeOptions } from "../pass/describe-options.ts";
import type { Loss } from "../training/define-loss.ts";
import type { Optimizer } from "../training/define-optimizer.ts";
import { headline, optionTable, paragraph, section, summaryTable } from "./describe.ts";
import { flagOf } from "./method-flags.ts";
import type { Terminal } from "./terminal.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

/** A record with the kind that its file declares it as. */
type Entry =
  | { readonly kind: "method"; readonly record: Adapter }
  | { readonly kind: "optimizer"; readonly record: Optimizer }
  | { readonly kind: "loss"; readonly record: Loss };

export function methodsCommand(terminal: Terminal): Command {
  return defineVerb("methods", {
    description:
      "Lists the fine-tuning methods (--method), the optimizers (--optimizer) and the losses (--loss), or explains one: " +
      "formula, paper, options with bounds and defaults.",
    examples: [
      ["methods", "everything with one line each"],
      ["methods lora", "formula and options of one method"],
      ["methods adamw --json", "an optimizer, for programs"],
    ],
  })
    .argument("[name]", "method, optimizer or loss to explain")
    .action((name: string | undefined, { json }: CommonOptions) => {
      if (name !== undefined) return showEntry(findEntry(name), json, terminal);
      const document = {
        ok: true,
        methods: adapters.map((record) => describeEntry({ kind: "method", record })),
        optimizers: optimizers.map((record) => describeEntry({ kind: "optimizer", record })),
        losses: losses.map((record) => describeEntry({ kind: "loss", record })),
      };
      terminal.result(json, document, () =>
        [
          summaryTable(terminal, "Method", adapters),
          summaryTable(terminal, "Optimizer", optimizers),
          summaryTable(terminal, "Loss", losses),
        ].join("\n\n"),
      );
    });
}

function findEntry(name: string): Entry {
  const entries: Entry[] = [
    ...adapters.map((record) => ({ kind: "method", record }) as const),
    ...optimizers.map((record) => ({ kind: "optimizer", record }) as const),
    ...losses.map((record) => ({ kind: "loss", record }) as const),
  ];
  const entry = entries.find(({ record }) => record.name === name);
  if (entry !== undefined) return entry;
  const near = nearNames(
    name,
    entries.map(({ record }) => record.name),
  );
  throw cliErrors.E_NAME_UNKNOWN("method, optimizer or loss", name, near, "peft-compile methods");
}

function showEntry(entry: Entry, json: boolean | undefined, terminal: Terminal): void {
  const { name, summary, options } = entry.record;
  terminal.result(json, { ok: true, [entry.kind]: describeEntry(entry) }, () =>
    [
      headline(terminal, name, summary),
      ...(entry.kind === "method"
        ? [section(terminal, "Formula", paragraph(terminal, entry.record.formula))]
        : []),
      ...(entry.kind === "loss" ? [] : [section(terminal, "Paper", paragraph(terminal, entry.record.paper))]),
      ...(entry.kind === "method"
        ? [section(terminal, "Adapts", paragraph(terminal, `${entry.record.sites.join(", ")} modules`))]
        : []),
      section(terminal, "Options", optionTable(terminal, describeOptions(options))),
      section(terminal, "Example", example(entry)),
    ].join("\n\n"),
  );
}

/** A command with the record in it, on as many lines as it takes. */
function example(entry: Entry): string {
  const [command, rest] = ["  peft-compile MODEL.onnx", `${exampleOf(entry)} -o model.peft`];
  const whole = `${command} ${rest}`;
  return whole.length <= 80 ? whole : `${command} \\\n    ${rest}`;
}

/** How the first option of the record is said on the command line. */
function exampleOf({ kind, record }: Entry): string {
  const first = describeOptions(record.options).find((option) => defaultText(option) !== "[]");
  const value = first === undefined ? undefined : defaultText(first);
  if (kind === "method")
    return `--method ${record.name}${first === undefined || value === undefined ? "" : ` ${flagOf(first.name)} ${value}`}`;
  return `--${kind} "${record.name}${value === undefined ? "" : `{${first?.name}=${value}}`}"`;
}

function describeEntry({ kind, record }: Entry): unknown {
  const { name, summary, options } = record;
  const own =
    kind === "method"
      ? { peftType: record.peftType, formula: record.formula, paper: record.paper, sites: record.sites }
      : kind === "optimizer"
        ? { paper: record.paper }
        : {};
  return { name, summary, ...own, options: describeOptions(options) };
}
