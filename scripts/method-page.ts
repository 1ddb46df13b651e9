/** The page of a method: what its record says, and what compiling with it shows of checkpoints, cost and errors. */
import { bindAdapter } from "../passes/adapt.ts";
import { weightShape } from "../src/adapt/base-weight.ts";
import type { Adapter } from "../src/adapt/define.ts";
import { keyOf } from "../src/adapt/parameters.ts";
import { ownerPath } from "../src/adapt/select.ts";
import type { Site } from "../src/analysis/sites.ts";
import { flopTable, parameterTable, subjectOf } from "../src/compile/analyze.ts";
import { type Compiled, compileGraphs } from "../src/compile/compile.ts";
import { mergeJobs } from "../src/compile/merge.ts";
import { runPasses } from "../src/compile/passes.ts";
import { preparePipeline } from "../src/compile/prepare.ts";
import { badValues } from "../src/conformance/options.ts";
import { probes } from "../src/conformance/probes.ts";
import { compileSubject, fitSubject, type Subject } from "../src/conformance/subject.ts";
import { type Diagnostic, DiagnosticError, formatDiagnostic } from "../src/diagnostics/define.ts";
import { cell, optionTable, sentence } from "./option-table.ts";
import { samples } from "./sample-models.ts";

/** Sizes of the batch whose cost is told. */
const sizes = { batch: 8, seq: 128 };

export function methodPage(method: Adapter): string {
  const { name, summary, formula, paper, options } = method;
  const tried = probes
    .filter(({ kind }) => method.sites.includes(kind))
    .map((probe) => ({ probe, subject: fitSubject(method, probe) }));
  const fitting = tried.flatMap(({ subject }) => (typeof subject === "string" ? [] : [subject]));
  return [
    `# ${name}\n`,
    `${sentence(summary)}\n`,
    `    ${formula}\n`,
    `${paper}\n`,
    facts(method, fitting),
    "## Options\n",
    optionTable(options),
    "## Checkpoint\n",
    ...checkpoint(fitting),
    "## Cost\n",
    cost(method, fitting[0]),
    "## Errors\n",
    ...errors(method).map((diagnostic) => `\`\`\`text\n${formatDiagnostic(diagnostic)}\n\`\`\`\n`),
    "Generated from the record by `npm run generate`; [methods.md](../methods.md) lists all methods.\n",
  ].join("\n");
}

function facts(method: Adapter, [subject]: readonly Subject[]): string {
  const adapter = subject && compileSubject(subject).plan.adapter;
  const start =
    adapter?.identityAtStart === true ? "leaves the model's output as it is" : "changes the model's output";
  const rows: (readonly [string, string | undefined])[] = [
    ["PEFT's type", method.peftType],
    ["adapts", method.sites.join(", ")],
    ["a fresh adapter", `${start}, by default`],
    ["merging", subject && merging(subject)],
    ["gradients do not pass", adapter?.detaches],
    ["rows of a batch", adapter?.mixesRows],
    ["folders of PEFT", adapter?.unportable.fromPeft ?? adapter?.unportable.toPeft],
  ];
  return [
    "| | |",
    "| --- | --- |",
    ...rows.flatMap(([title, text]) => (text === undefined ? [] : [`| ${title} | ${cell(text)} |`])),
    "",
  ].join("\n");
}

/** Whether the first site is merged, and why not. */
function merging(subject: Subject): string {
  const { plan, state } = compileSubject(subject);
  if (plan.adapter.structure !== undefined) return "no: it changes what the model computes, not a weight";
  const sites = plan.sites.filter(
    (site): site is Site => site.kind !== "prompt" && site.kind !== "attention",
  );
  try {
    mergeJobs(plan.adapter, sites, state.tensors, 20);
    return "into the weights of the model";
  } catch (error) {
    return `no: ${causeOf(error).got ?? causeOf(error).message}`;
  }
}

function causeOf(error: unknown): Diagnostic {
  if (error instanceof DiagnosticError) return error.diagnostics[0];
  throw error;
}

/** Keys of one module of each kind, with shapes. */
function checkpoint(fitting: readonly Subject[]): string[] {
  const firsts = fitting.filter(
    ({ probe }, i) => fitting.findIndex((other) => other.probe.kind === probe.kind) === i,
  );
  return firsts.map((subject) => {
    const { adapter, sites } = compileSubject(subject).plan;
    const [site] = sites;
    if (site === undefined) return "";
    const rows = [
      ...Object.values(adapter.shared(sites)).map((spec) => ({ spec, key: keyOf(spec, undefined) })),
      ...Object.values(adapter.parameters(site, sites)).map((spec) => ({
        spec,
        key: keyOf(spec, ownerPath(site)),
      })),
    ];
    const given = Object.entries(subject.options).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
    const shape = "weight" in site ? `, whose weight is [${weightShape(site).join(", ")}]` : "";
    return [
      `${sentence(`${subject.probe.name}: \`${site.path}\`${shape}${given.length === 0 ? "" : `, with ${given.join(", ")}`}`)}\n`,
      "| key | shape | |",
      "| --- | --- | --- |",
      ...rows.map(
        ({ spec, key }) =>
          `| \`${key}\` | [${spec.shape.join(", ")}] | ${spec.trainable === false ? "kept as it is" : "trained"}${spec.saved === false ? ", not in a folder of PEFT" : ""} |`,
      ),
      "",
    ].join("\n");
  });
}

function cost(method: Adapter, subject: Subject | undefined): string {
  const [kind = "linear"] = method.sites;
  const sample = samples[kind];
  const compiled = compileSample(method, subject);
  const adapted = subjectOf(compiled);
  const base = sample.build();
  runPasses(base, preparePipeline);
  const { trainable, parameters, checkpoint: bytes } = parameterTable(adapted);
  const { forward, backward } = flopTable(adapted, sizes);
  const plain = flopTable({ ...adapted, train: base }, sizes).forward;
  const rows: (readonly [string, string])[] = [
    ["trained", `${trainable} of ${parameters} (${((100 * trainable) / parameters).toPrecision(2)} %)`],
    ["checkpoint", `${bytes} bytes`],
    ["forward", `${mega(forward)}; the model alone ${mega(plain)}`],
    ["backward", mega(backward)],
  ];
  return [
    `On ${sample.title}, with a batch of ${sizes.batch} x ${sizes.seq}; \`peft-compile analyze\` says it for a model of yours.\n`,
    "| | |",
    "| --- | --- |",
    ...rows.map(([title, text]) => `| ${title} | ${text} |`),
    "",
  ].join("\n");
}

/** With default options, or those that fit a small model where they cannot be left out. */
function compileSample(method: Adapter, subject: Subject | undefined): Compiled {
  const { build, targets } = samples[method.sites[0] ?? "linear"];
  const own =
    targets.length > 0 && "target_modules" in method.options.shape ? { target_modules: targets } : {};
  const compileWith = (options: object): Compiled =>
    compileGraphs(build(), {
      method: { name: method.name, options: { ...own, ...options } },
      modulesToSave: [],
    });
  try {
    return compileWith({});
  } catch (error) {
    causeOf(error);
    return compileWith(subject?.options ?? {});
  }
}

function mega(flops: number | undefined): string {
  return flops === undefined ? "not known" : `${(flops / 1e6).toFixed(1)} MFLOP`;
}

/** What the method says to a value out of bounds, and to a module that it does not take. */
function errors(method: Adapter): Diagnostic[] {
  const bad = badValues(method);
  const chosen = bad.find(({ bound }) => bound !== undefined) ?? bad[0];
  const other = probes.find(({ kind, targets }) => !method.sites.includes(kind) && targets.length > 0);
  const acts = [
    ...(chosen === undefined ? [] : [() => bindAdapter(method.name, { [chosen.option]: chosen.value })]),
    ...(other === undefined || !("target_modules" in method.options.shape)
      ? []
      : [() => compileSubject({ method, probe: other, options: {} })]),
  ];
  return acts.map((act) => {
    try {
      act();
    } catch (error) {
      return causeOf(error);
    }
    throw new Error(`${method.name} refuses nothing where it should`);
  });
}
