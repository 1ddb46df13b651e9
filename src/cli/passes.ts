/** `passes [NAME]`: the passes that exist, and the options of one. */
import type { Command } from "commander";
import { passes } from "../../passes/index.ts";
import { nearNames } from "../diagnostics/define.ts";
import { passErrors } from "../diagnostics/pass.ts";
import type { Pass } from "../pass/define.ts";
import { describeOptions } from "../pass/describe-options.ts";
import { headline, optionTable, section, summaryTable } from "./describe.ts";
import type { Terminal } from "./terminal.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";
import { formatPairs } from "./wrap.ts";

export function passesCommand(terminal: Terminal): Command {
  return defineVerb("passes", {
    description:
      "Lists the passes that pipelines are made of, or explains one: its options, and what it counts.",
    examples: [
      ["passes", "every pass with one line"],
      ["passes fold", "options and statistics of one"],
      ["passes --json", "the same for programs"],
    ],
  })
    .argument("[name]", "pass to explain")
    .action((name: string | undefined, { json }: CommonOptions) => {
      if (name !== undefined) return showPass(findPass(name), json, terminal);
      terminal.result(json, { ok: true, passes: passes.map(passDocument) }, () =>
        summaryTable(terminal, "Pass", passes),
      );
    });
}

function findPass(name: string): Pass {
  const pass = passes.find((candidate) => candidate.name === name);
  if (pass !== undefined) return pass;
  const near = nearNames(
    name,
    passes.map((candidate) => candidate.name),
  );
  throw passErrors.E_UNKNOWN_PASS(name, near);
}

function showPass(pass: Pass, json: boolean | undefined, terminal: Terminal): void {
  terminal.result(json, { ok: true, pass: passDocument(pass) }, () => {
    const { style } = terminal;
    const counted = Object.entries(pass.statistics);
    return [
      headline(terminal, pass.name, pass.summary),
      section(terminal, "Options", optionTable(terminal, describeOptions(pass.options))),
      section(
        terminal,
        "Statistics",
        counted.length === 0
          ? "  none"
          : formatPairs(counted, { width: terminal.width(), paint: style.name }),
      ),
      section(terminal, "Example", `  peft-compile opt MODEL.onnx --pipeline ${pass.name} -o -`),
    ].join("\n\n");
  });
}

function passDocument({ name, summary, options, statistics }: Pass): unknown {
  return { name, summary, options: describeOptions(options), statistics };
}
