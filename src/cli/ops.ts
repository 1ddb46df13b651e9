/** `ops [NAME]`: the operators that have a record, with their gradients. */
import type { Command } from "commander";
import { cliErrors } from "../diagnostics/cli.ts";
import { nearNames } from "../diagnostics/define.ts";
import { gradientAnswer } from "../ops/gradient-answer.ts";
import type { Param } from "../ops/params.ts";
import type { Op } from "../ops/record.ts";
import { allOps } from "../ops/registry.ts";
import { headline, section } from "./describe.ts";
import { plural } from "./numbers.ts";
import type { Terminal } from "./terminal.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";
import { formatPairs, formatTable } from "./wrap.ts";

export function opsCommand(terminal: Terminal): Command {
  return defineVerb("ops", {
    description:
      "Lists the operators that the compiler knows: since which opset, how their gradient is made, and how mixed precision " +
      "treats them; or explains one.",
    examples: [
      ["ops", "every operator in one line"],
      ["ops Softmax", "operands, attributes and gradient of one"],
      ["ops com.microsoft.FusedMatMul", "one of another domain"],
      ["ops --json", "the table for programs"],
    ],
  })
    .argument("[name]", "operator to explain, with its domain where that is not ai.onnx")
    .action((name: string | undefined, { json }: CommonOptions) => {
      const ops = [...allOps()].sort((a, b) => qualifiedName(a).localeCompare(qualifiedName(b)));
      if (name !== undefined) return showOp(findOp(name, ops), json, terminal);
      terminal.result(json, { ok: true, ops: ops.map(describeOp) }, () => listOps(ops, terminal));
    });
}

function findOp(name: string, ops: readonly Op[]): Op {
  const wanted = name.replace(/^ai\.onnx\./, "");
  const op = ops.find((candidate) => qualifiedName(candidate) === wanted);
  if (op !== undefined) return op;
  const other = ops.find((candidate) => qualifiedName(candidate).toLowerCase() === wanted.toLowerCase());
  const near = other === undefined ? nearNames(wanted, ops.map(qualifiedName)) : [qualifiedName(other)];
  throw cliErrors.E_NAME_UNKNOWN("operator with a record", name, near, "peft-compile ops");
}

function listOps(ops: readonly Op[], terminal: Terminal): string {
  const rows = ops.map((op) => [
    `  ${terminal.style.name(qualifiedName(op))}`,
    String(op.versions[0]),
    op.precision,
    gradientWords[op.gradient.kind],
  ]);
  const table = formatTable(
    [
      { title: "  Operator" },
      { title: "Since", align: "right" },
      { title: "Precision" },
      { title: "Gradient" },
    ],
    rows,
    { width: terminal.width(), title: terminal.style.title },
  );
  const known = ops.filter((op) => gradientAnswer(op) === "yes").length;
  return `${table}\n\n${plural(ops.length, "operator")}, ${known} with a gradient rule`;
}

function showOp(op: Op, json: boolean | undefined, terminal: Terminal): void {
  terminal.result(json, { ok: true, op: describeOp(op) }, () => {
    const pairs = (list: readonly (readonly [string, string])[]): string =>
      list.length === 0
        ? "  none"
        : formatPairs(list, { width: terminal.width(), paint: terminal.style.name });
    return [
      headline(terminal, qualifiedName(op), `operator of ${op.domain || "ai.onnx"}`),
      section(terminal, "Operands", pairs(op.inputs.map((param) => paramPair(param, op)))),
      section(terminal, "Results", pairs(op.outputs.map((param) => paramPair(param, op)))),
      section(
        terminal,
        "Attributes",
        pairs(attributesOf(op).map(({ name, kind, fallback }) => [name, attributeText(kind, fallback)])),
      ),
      section(
        terminal,
        "Facts",
        pairs([
          ["versions", op.versions.join(", ")],
          ["gradient", gradientText(op)],
          ["precision", precisionText[op.precision]],
          [
            "constants",
            op.evaluationRefusal === undefined
              ? "evaluated at compile time"
              : `not evaluated: ${op.evaluationRefusal}`,
          ],
        ]),
      ),
    ].join("\n\n");
  });
}

const precisionText: Readonly<Record<Op["precision"], string>> = {
  low: "low: computed in 16 bits under mixed precision",
  follow: "follow: computed in whatever type its operands have",
  full: "full: computed in float32",
  exact: "exact: does no float arithmetic",
};

const gradientWords: Readonly<Record<Op["gradient"]["kind"], string>> = {
  vjp: "rule",
  expand: "through other operators",
  bodies: "through its bodies, run backwards",
  zero: "zero almost everywhere",
  none: "none",
};

function gradientText({ gradient }: Op): string {
  const word = gradientWords[gradient.kind];
  return gradient.reason === undefined ? word : `${word}: ${gradient.reason}`;
}

function paramPair({ name, optional, variadic }: Param, op: Op): readonly [string, string] {
  const facts = [
    optional ? "optional" : undefined,
    variadic ? "any number" : undefined,
    op.hostInputs.has(name) ? "a shape, axes or sizes: never differentiated" : undefined,
    op.held[name] === undefined ? undefined : `no gradient: ${op.held[name]}`,
  ].filter((fact) => fact !== undefined);
  return [name, facts.join(", ") || "required"];
}

function attributeText(kind: string, fallback: unknown): string {
  return fallback === undefined ? kind : `${kind}, default ${JSON.stringify(fallback)}`;
}

function attributesOf({ attributes }: Op): { name: string; kind: string; fallback: unknown }[] {
  return Object.entries(attributes).map(([name, { kind, fallback }]) => ({ name, kind, fallback }));
}

function describeOp(op: Op): unknown {
  return {
    name: op.type,
    domain: op.domain || "ai.onnx",
    versions: op.versions,
    inputs: op.inputs,
    outputs: op.outputs,
    attributes: attributesOf(op),
    precision: op.precision,
    gradient: gradientAnswer(op),
    gradientKind: op.gradient.kind,
    ...(op.gradient.reason !== undefined && { reason: op.gradient.reason }),
    constants:
      op.evaluationRefusal === undefined
        ? { evaluated: true }
        : { evaluated: false, reason: op.evaluationRefusal },
  };
}

function qualifiedName({ domain, type }: Op): string {
  return domain === "" || domain === "ai.onnx" ? type : `${domain}.${type}`;
}
