/** What `analyze` finds, as tables for a terminal of 80 columns. */
import type { Footprint } from "../analysis/footprint.ts";
import type { Communication, FlopTable, ParameterTable } from "../compile/analyze.ts";
import { countElements } from "../ir/shape.ts";
import type { Value } from "../ir/value.ts";
import { section } from "./describe.ts";
import { bytes, count, plural } from "./numbers.ts";
import type { Terminal } from "./terminal.ts";
import { formatPairs, formatTable } from "./wrap.ts";

const right = { align: "right" as const };

/** Operations in the largest unit that keeps a digit before the point. */
export function flops(value: number | undefined): string {
  if (value === undefined) return "unknown";
  const units = ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"];
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  return `${(value / 1000 ** unit).toPrecision(4)} ${units[unit]}`;
}

export function share(part: number, whole: number): string {
  return whole === 0 ? "" : `${((100 * part) / whole).toPrecision(3)} %`;
}

export function memoryText(terminal: Terminal, title: string, found: Footprint): string {
  const { weights, use, growth } = found;
  const { width, style } = { width: terminal.width(), style: terminal.style };
  const pairs: [string, string][] = [
    ["weights", `${bytes(weights.inFile)} in the file`],
    [
      "packed copies",
      `${bytes(weights.packed)}${weights.packed === 0 ? "" : ", made when the graph is opened"}`,
    ],
    ["values", `${bytes(use.peak)} at the peak`],
    ["arena", `${bytes(use.taken)} with padding and gaps`],
    ["mapped", `${bytes(weights.mapped)} of weights that steps read where they lie`],
    ["growth", `${bytes(growth)} from the opened graph to the peak of a step`],
    ...(use.unknown.length === 0
      ? []
      : [
          [
            "unknown",
            `${plural(use.unknown.length, "value")} whose size depends on the data, counted as 0`,
          ] as [string, string],
        ]),
  ];
  const phases = found.phases.map(({ phase, nodes, peak }) => [`  ${phase}`, count(nodes), bytes(peak)]);
  const held = groupHolders(use.holders).map(({ name, times, size }) => [
    `  ${bytes(size)}`,
    String(times),
    name,
  ]);
  return [
    section(terminal, title, formatPairs(pairs, { width, paint: style.name })),
    formatTable(
      [{ title: "  Phase" }, { title: "Nodes", ...right }, { title: "Peak of values", ...right }],
      phases,
      {
        width,
        title: style.title,
      },
    ),
    formatTable([{ title: "  At the peak", ...right }, { title: "x", ...right }, { title: "Value" }], held, {
      width,
      title: style.title,
    }),
  ].join("\n\n");
}

/** Values that differ only in numbers of their names, largest sum first; the first ten groups. */
function groupHolders(holders: Footprint["use"]["holders"]): { name: string; times: number; size: number }[] {
  const groups = new Map<string, { name: string; times: number; size: number }>();
  for (const { value, bytes: size } of holders) {
    const name = holderName(value);
    const group = groups.get(name) ?? { name, times: 0, size: 0 };
    group.times += 1;
    group.size += size;
    groups.set(name, group);
  }
  return [...groups.values()].sort((a, b) => b.size - a.size).slice(0, 10);
}

function holderName(value: Value): string {
  const made = value.producer === undefined ? "" : `${value.producer.op} of `;
  const shape = value.tensorType?.shape ?? [];
  return `${made}${value.name.replace(/\d+/g, "*")} [${shape.join(", ")}]`;
}

export function flopsText(terminal: Terminal, title: string, found: FlopTable): string {
  const known = Object.values(found).filter((value) => value !== undefined);
  const total = known.length === 3 ? known.reduce((sum, value) => sum + value, 0) : undefined;
  const rows = [...Object.entries(found), ["step", total] as const].map(([phase, value]) => [
    `  ${phase}`,
    flops(value),
    value === undefined || total === undefined ? "" : share(value, total),
  ]);
  const table = formatTable(
    [{ title: "  Phase" }, { title: "Products", ...right }, { title: "", ...right }],
    rows,
    {
      width: terminal.width(),
      title: terminal.style.title,
    },
  );
  return section(terminal, title, table);
}

export function parametersText(terminal: Terminal, title: string, found: ParameterTable): string {
  const { method, trainable, parameters, checkpoint, state, tensors } = found;
  const groups = new Map<string, { times: number; size: number; shape: string }>();
  for (const { key, shape } of tensors) {
    const name = key.replace(/^base_model\.model\./, "").replace(/\.\d+\./g, ".*.");
    const id = `${name} [${shape.join(", ")}]`;
    const group = groups.get(id) ?? { times: 0, size: 0, shape: shape.join(" x ") };
    groups.set(id, { ...group, times: group.times + 1, size: group.size + countElements(shape) });
  }
  const rows = [...groups].map(([name, { times, size }]) => [`  ${count(size)}`, String(times), name]);
  const pairs: [string, string][] = [
    ["method", method],
    ["trainable", `${count(trainable)} of ${count(parameters)}, ${share(trainable, parameters)}`],
    ["checkpoint", bytes(checkpoint)],
    ["optimizer", `${bytes(state)} of state`],
  ];
  const { width, style } = { width: terminal.width(), style: terminal.style };
  return [
    section(terminal, title, formatPairs(pairs, { width, paint: style.name })),
    formatTable([{ title: "  Elements", ...right }, { title: "x", ...right }, { title: "Tensor" }], rows, {
      width,
      title: style.title,
    }),
  ].join("\n\n");
}

export function communicationText(
  terminal: Terminal,
  title: string,
  rows: readonly (Communication & { readonly full: Communication })[],
): string {
  const table = formatTable(
    [
      { title: "  Ranks", ...right },
      { title: "Bytes sent", ...right },
      { title: "Time", ...right },
      { title: "All weights", ...right },
      { title: "Time", ...right },
    ],
    rows.map(({ ranks, bytes: sent, seconds, full }) => [
      `  ${ranks}`,
      bytes(Math.round(sent)),
      `${(1000 * seconds).toFixed(2)} ms`,
      bytes(Math.round(full.bytes)),
      `${(1000 * full.seconds).toFixed(2)} ms`,
    ]),
    { width: terminal.width(), title: terminal.style.title },
  );
  return section(terminal, title, table);
}
