/** `inspect`: what a model holds, and what of it adapters can attach to. */
import { statSync } from "node:fs";
import { relative, resolve } from "node:path";
import type { Command } from "commander";
import { inspectModel, type ModelInfo, type ModuleInfo, type PortInfo } from "../compile/inspect.ts";
import { openModel } from "../compile/model-file.ts";
import { section } from "./describe.ts";
import { formatForTerminal } from "./failure.ts";
import { bytes, count, plural } from "./numbers.ts";
import { followLinksOption } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";
import { formatPairs, formatTable } from "./wrap.ts";

interface InspectOptions extends CommonOptions {
  readonly followLinks?: boolean;
  readonly all?: boolean;
}

export function inspectCommand(terminal: Terminal): Command {
  return defineVerb("inspect", {
    description:
      "Shows the modules of a model under the paths that PyTorch gave them, its parameters, inputs and outputs, and the " +
      "operators that cannot be trained through. Modules that differ only in numbers of their paths share a line.",
    examples: [
      ["inspect model.onnx", "what can be adapted, and what --target takes"],
      ["inspect model.onnx --all", "every module on a line of its own"],
      ["inspect model.onnx --json", "all of it, with the place of every weight"],
    ],
  })
    .argument("<model>", ".onnx or .onnxtxt file")
    .option("--all", "do not put similar modules on one line")
    .addOption(followLinksOption())
    .action((path: string, options: InspectOptions) => {
      const info = inspectModel(openModel(path, options));
      for (const problem of info.problems ?? []) terminal.note(formatForTerminal(problem, terminal));
      const document = { ok: true, file: path, ...info };
      terminal.result(options.json, document, () => showModel(path, info, options.all === true, terminal));
    });
}

function showModel(path: string, info: ModelInfo, all: boolean, terminal: Terminal): string {
  const { style } = terminal;
  const pairs = (list: readonly (readonly [string, string])[]): string =>
    formatPairs(list, { width: terminal.width(), paint: style.name });
  const ports = (list: readonly PortInfo[]): string => pairs(list.map(({ name, type }) => [name, type]));
  const { parameters, modules, unsupported } = info;
  return [
    section(terminal, path, pairs(headerPairs(path, info))),
    section(terminal, "Inputs", ports(info.inputs)),
    section(terminal, "Outputs", ports(info.outputs)),
    modules.length === 0
      ? section(terminal, "Modules", "  none that an adapter can attach to")
      : moduleTable(modules, all, terminal),
    `${plural(modules.length, "module")}; ${count(parameters.count)} parameters, ${bytes(parameters.bytes)}${typesText(info)}`,
    ...(unsupported.length === 0
      ? []
      : [
          section(
            terminal,
            "Operators that cannot be trained through",
            pairs(unsupported.map(({ op, count: times, reason }) => [op, `${times} x, ${reason}`])),
          ),
        ]),
  ].join("\n\n");
}

function headerPairs(path: string, info: ModelInfo): (readonly [string, string])[] {
  const opsets = Object.entries(info.opsets).map(([domain, version]) => `${domain} ${version}`);
  const size = path === "-" ? undefined : statSync(path, { throwIfNoEntry: false })?.size;
  return [
    ...(size === undefined ? [] : [["size", bytes(size)] as const]),
    ...(info.producer === "" ? [] : [["producer", info.producer] as const]),
    ["opset", opsets.join(", ") || "none"],
    ["ir version", String(info.irVersion)],
    [
      "nodes",
      count(info.nodes) +
        (info.functions.length === 0 ? "" : `, ${plural(info.functions.length, "function")}`),
    ],
    ["weights", weightPlaces(path, info.modules)],
  ];
}

/** Files that the weights of modules lie in, with the bytes that they take there. */
function weightPlaces(path: string, modules: readonly ModuleInfo[]): string {
  const places = new Map<string, number>();
  const seen = new Set<string>();
  for (const { weight } of modules) {
    if (seen.has(weight.name)) continue;
    seen.add(weight.name);
    const { storage } = weight;
    const place = relative(process.cwd(), storage.kind === "file" ? storage.file : resolve(path));
    places.set(place, (places.get(place) ?? 0) + storage.length);
  }
  return (
    [...places].map(([place, length]) => `${bytes(length)} of modules in ${place}`).join("\n") ||
    "none of a module"
  );
}

function typesText({ parameters }: ModelInfo): string {
  const types = Object.entries(parameters.types);
  if (types.length === 1) return ` of ${types[0]?.[0]}`;
  return types.length === 0 ? "" : ` (${types.map(([type, size]) => `${count(size)} ${type}`).join(", ")})`;
}

function moduleTable(modules: readonly ModuleInfo[], all: boolean, terminal: Terminal): string {
  const groups = all ? modules.map((module) => [module] as const) : groupAlike(modules);
  const mixed = new Set(modules.map(({ dtype }) => dtype)).size > 1;
  const rows = groups.map((group) => {
    const [module] = group;
    return [
      `  ${terminal.style.name(pathOf(group))}`,
      module.kind,
      shapeText(module),
      ...(mixed ? [module.dtype] : []),
      count(module.parameters) + (group.length > 1 ? ` x ${group.length}` : ""),
      notesOf(module),
    ];
  });
  const columns = [
    { title: "  Module" },
    { title: "Kind" },
    { title: "In x out", align: "right" as const },
    ...(mixed ? [{ title: "Type" }] : []),
    { title: "Parameters", align: "right" as const },
    { title: "" },
  ];
  return formatTable(columns, rows, { width: terminal.width(), title: terminal.style.title });
}

function shapeText({ in: from, out, kernel, groups = 1 }: ModuleInfo): string {
  const window = kernel === undefined ? "" : ` ${kernel.join("x")}`;
  return `${from} x ${out}${window}${groups > 1 ? ` /${groups}` : ""}`;
}

function notesOf({ head, tied }: ModuleInfo): string {
  const notes = [
    head ? "head" : undefined,
    tied.length > 0
      ? `tied to ${tied.length > 2 ? plural(tied.length, "module") : tied.join(", ")}`
      : undefined,
  ];
  return notes.filter((note) => note !== undefined).join("; ");
}

type Group = readonly [ModuleInfo, ...ModuleInfo[]];

/** Modules whose paths are equal but for numbers, and that are equal in all that the table shows. */
function groupAlike(modules: readonly ModuleInfo[]): Group[] {
  const groups = new Map<string, Group>();
  for (const module of modules) {
    const facts = [
      module.path.replace(/\d+/g, "*"),
      module.kind,
      shapeText(module),
      module.dtype,
      notesOf(module),
    ];
    const key = JSON.stringify(facts);
    const known = groups.get(key);
    groups.set(key, known === undefined ? [module] : [...known, module]);
  }
  return [...groups.values()];
}

/** The path of a group: where a number differs between its members, the numbers as ranges. */
function pathOf(group: Group): string {
  const split = group.map(({ path }) => path.split(/(\d+)/));
  const parts = split[0]?.map((part, at) => {
    const values = [...new Set(split.map((parts) => parts[at] ?? ""))];
    return values.length === 1 ? part : `[${ranges(values.map(Number))}]`;
  });
  return parts?.join("") ?? "";
}

function ranges(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let at = 0; at < numbers.length; ) {
    let end = at;
    while (numbers[end + 1] === (numbers[end] ?? 0) + 1) end += 1;
    parts.push(end === at ? String(numbers[at]) : `${numbers[at]}-${numbers[end]}`);
    at = end + 1;
  }
  return parts.join(",");
}
