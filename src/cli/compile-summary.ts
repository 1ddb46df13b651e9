/** What `compile` says when it is done: what was chosen, and what was written. */
import type { Manifest } from "../artifact/manifest.ts";
import type { Compiled } from "../compile/compile.ts";
import { bytes, count, duration, plural } from "./numbers.ts";
import type { Terminal } from "./terminal.ts";
import { formatPairs } from "./wrap.ts";

export interface CompileSummary {
  readonly output: string;
  readonly manifest: Manifest;
  readonly compiled: Compiled;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** Milliseconds by part of the work. */
  readonly times: Readonly<Record<string, number>>;
}

/** The JSON document of `compile --json`. */
export function summaryDocument({ output, manifest, compiled, files, times }: CompileSummary): unknown {
  const { method, task, optimizer, precision, provider, trainable, parameters } = manifest;
  return {
    ok: true,
    artifact: output,
    task: {
      name: task.name,
      ...(compiled.plan.reason === undefined ? {} : { reason: compiled.plan.reason }),
    },
    loss: compiled.plan.loss,
    method: { name: method.name, options: method.options },
    sites: method.sites,
    saved: method.saved,
    optimizer,
    precision,
    provider,
    prepack: compiled.prepack,
    trainable,
    parameters,
    files,
    ms: times,
    remarks: compiled.remarks,
  };
}

/** The summary for people. */
export function showSummary(summary: CompileSummary, terminal: Terminal): string {
  const { output, manifest, compiled, files, times } = summary;
  const { method, task, optimizer, trainable, parameters } = manifest;
  const { reason } = compiled.plan;
  const share = parameters === 0 ? 0 : (100 * trainable) / parameters;
  const total = Object.values(times).reduce((sum, ms) => sum + ms, 0);
  const pairs: (readonly [string, string])[] = [
    ["task", reason === undefined ? task.name : `${task.name}: ${reason}`],
    ["loss", compiled.plan.loss.name],
    [
      "method",
      `${method.name} on ${plural(method.sites.length, "module")}: ${examplesOf(method.sites.map(({ path }) => path))}`,
    ],
    ...(method.saved.length === 0 ? [] : [["trained whole", method.saved.join(", ")] as const]),
    ["trainable", `${count(trainable)} of ${count(parameters)} parameters, ${share.toPrecision(3)} %`],
    ["optimizer", optimizerText(optimizer)],
    ["runs on", `${manifest.provider}, ${manifest.precision}`],
    ["weights", compiled.prepack.reason],
    ["files", files.map(({ name, bytes: size }) => `${name} ${bytes(size)}`).join(", ")],
    [
      "time",
      `${Object.entries(times)
        .map(([name, ms]) => `${name} ${duration(ms)}`)
        .join(", ")}; ${duration(total)} in all`,
    ],
    ...compiled.remarks
      .filter((remark) => reason === undefined || !remark.includes(reason))
      .map((remark) => ["note", remark] as const),
  ];
  const { style } = terminal;
  return [
    style.title(output),
    formatPairs(pairs, { width: terminal.width(), paint: style.name }),
    "",
    `Train it: peft-compile train ${output} --data FILE`,
  ].join("\n");
}

/** Module names without the part that differs from layer to layer: `q_proj, v_proj of model.layers`. */
function examplesOf(paths: readonly string[]): string {
  const kinds = new Map<string, number>();
  for (const path of paths) {
    const kind = path.replace(/^.*\.\d+\./, "");
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const shown = [...kinds].map(([kind, times]) => (times > 1 ? `${kind} x ${times}` : kind));
  return shown.length <= 8
    ? shown.join(", ")
    : `${shown.slice(0, 7).join(", ")} and ${shown.length - 7} more`;
}

function optimizerText({ name, options, schedule, clip, accumulate }: Manifest["optimizer"]): string {
  const parts = [
    `${name}, lr ${String(options.lr)}`,
    schedule.kind === "constant" && schedule.warmup === 0 ? undefined : `${schedule.kind} schedule`,
    schedule.warmup > 0 ? `${schedule.warmup} steps of warm-up` : undefined,
    clip === undefined ? undefined : `clipped to ${clip}`,
    accumulate > 1 ? `${accumulate} batches a step` : undefined,
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}
