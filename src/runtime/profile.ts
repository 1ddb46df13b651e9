/** Reads what ONNX Runtime's profiler writes: which node ran when, for how long, and how much memory was in use. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { z } from "zod";

/** What one graph's profiler wrote. */
export interface Trace {
  readonly graph: string;
  readonly file: string;
}

/** One run of a node. */
export interface NodeRun {
  readonly node: string;
  readonly op: string;
  /** Milliseconds, those of the nodes in its bodies left out. */
  readonly ms: number;
  /** Bytes of its results. */
  readonly bytes: number;
  /** Bytes that are in use when it is done, as they were asked for. */
  readonly inUse: number;
  /** Number of the run of the graph, from 0. */
  readonly run: number;
}

/** An event of a Chrome trace (its "complete" kind); times in microseconds. Only those of nodes carry the facts named here. */
const eventSchema = z.looseObject({
  name: z.string(),
  cat: z.string(),
  ts: z.number(),
  dur: z.number(),
  args: z.looseObject({
    op_name: z.string().optional(),
    output_size: z.coerce.number().optional(),
    mem_bytes_requested_in_use: z.coerce.number().optional(),
  }),
});

export type TraceEvent = z.output<typeof eventSchema>;

const suffix = "_kernel_time";
const runEvent = "model_run";

export function readTrace(file: string): TraceEvent[] {
  return z.array(eventSchema).parse(JSON.parse(readFileSync(file, "utf8")));
}

/** Name of the node that an event is of; undefined for events of another kind. */
export function nodeOf({ cat, name }: TraceEvent): string | undefined {
  return cat === "Node" && name.endsWith(suffix) ? name.slice(0, -suffix.length) : undefined;
}

/** Runs of nodes in the order in which they ended, those of bodies before the node that holds them. */
export function nodeRuns(events: readonly TraceEvent[]): NodeRun[] {
  const ends = events.flatMap(({ name, ts, dur }) => (name === runEvent ? [ts + dur] : []));
  const inside = timeInside(events);
  return events.flatMap((event) => {
    const node = nodeOf(event);
    if (node === undefined) return [];
    const { ts, dur, args } = event;
    const run = ends.findIndex((end) => ts < end);
    return [
      {
        node,
        op: args.op_name ?? "",
        ms: (dur - (inside.get(event) ?? 0)) / 1000,
        bytes: args.output_size ?? 0,
        inUse: args.mem_bytes_requested_in_use ?? 0,
        run: run < 0 ? ends.length : run,
      },
    ];
  });
}

/** Microseconds that other nodes take inside each node. Graphs run one node after the other, so events nest or follow. */
function timeInside(events: readonly TraceEvent[]): Map<TraceEvent, number> {
  const nodes = events.filter((event) => nodeOf(event) !== undefined);
  const sorted = nodes.toSorted((a, b) => a.ts - b.ts || b.dur - a.dur);
  const inside = new Map<TraceEvent, number>();
  const open: TraceEvent[] = [];
  for (const event of sorted) {
    for (let last = open.at(-1); last !== undefined && last.ts + last.dur <= event.ts; last = open.at(-1))
      open.pop();
    const holder = open.at(-1);
    if (holder !== undefined) inside.set(holder, (inside.get(holder) ?? 0) + event.dur);
    open.push(event);
  }
  return inside;
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
