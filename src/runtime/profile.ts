/** Reads what ONNX Runtime's profiler writes: which node ran when, for how long, and how much memory was in use. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { z } from "zod";

/** One run of a node. */
export interface NodeRun {
  readonly node: string;
  readonly op: string;
  /** Milliseconds. */
  readonly ms: number;
  /** Bytes of its results. */
  readonly bytes: number;
  /** Bytes that are in use when it is done, as they were asked for. */
  readonly inUse: number;
}

/** The trace is the profiler's own; only events of nodes carry these facts. */
const eventSchema = z.object({
  name: z.string(),
  cat: z.string(),
  dur: z.number(),
  args: z.object({
    op_name: z.string().optional(),
    output_size: z.coerce.number().optional(),
    mem_bytes_requested_in_use: z.coerce.number().optional(),
  }),
});

const suffix = "_kernel_time";

/** Runs of nodes in the order in which they ran, those of bodies before the node that holds them. */
export function readProfile(file: string): NodeRun[] {
  const events = z.array(eventSchema).parse(JSON.parse(readFileSync(file, "utf8")));
  return events.flatMap(({ name, cat, dur, args }) => {
    if (cat !== "Node" || !name.endsWith(suffix)) return [];
    return [
      {
        node: name.slice(0, -suffix.length),
        op: args.op_name ?? "",
        ms: dur / 1000,
        bytes: args.output_size ?? 0,
        inUse: args.mem_bytes_requested_in_use ?? 0,
      },
    ];
  });
}

/** The newest file that the profiler wrote for a prefix: it appends date and time. */
export function profileFile(prefix: string): string | undefined {
  const start = `${basename(prefix)}_`;
  const names = readdirSync(dirname(prefix)).filter(
    (name) => name.startsWith(start) && name.endsWith(".json"),
  );
  const newest = names.sort().at(-1);
  return newest === undefined ? undefined : join(dirname(prefix), newest);
}
