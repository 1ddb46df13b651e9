/** What a graph is fed with at an update: the batch, the learning rate, the seed of dropout and the carried state. */
import type { GraphManifest } from "../artifact/manifest.ts";
import { type Batch, castField, type Field } from "../data/batch.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import { fieldType } from "./graph-ports.ts";
import { stackFields } from "./stack.ts";
import type { State } from "./state.ts";

/** What changes from one update to the next. */
export interface UpdateInputs {
  readonly batch: Batch;
  /** Learning rate. */
  readonly rate: number;
  readonly seed: bigint;
}

/**
 * Fields of a batch are converted to the types of the graph's inputs; its other fields are left out.
 *
 * @throws DiagnosticError `E_BATCH_FIELD`, `E_FIELD_DTYPE`, `E_FIELD_RANGE`, `E_ID_RANGE`.
 */
export function makeFeeds(
  graph: GraphManifest,
  state: Readonly<State>,
  { batch, rate, seed }: UpdateInputs,
): Record<string, Field> {
  const feeds: Record<string, Field> = {};
  for (const { name, role, dtype, field = name, hyper, below } of graph.inputs) {
    const carried = state.get(name);
    if (role === "batch" || role === "label") {
      const given = batch[field];
      if (given === undefined) throw runtimeErrors.E_BATCH_FIELD(field, Object.keys(batch));
      const fed = castField(field, given, fieldType(name, dtype));
      if (below !== undefined) checkIds(field, fed, below);
      feeds[name] = fed;
    } else if (role === "hyper" && hyper === "lr") {
      feeds[name] = { dtype: "float32", shape: [], data: Float32Array.of(rate) };
    } else if (role === "rng") {
      feeds[name] = { dtype: "uint64", shape: [], data: BigUint64Array.of(seed) };
    } else if (carried !== undefined) {
      feeds[name] = carried;
    }
  }
  return feeds;
}

/** Refuses ids that the table which they index has no row for; those below 0 count from its end. */
function checkIds(field: string, { shape, data }: Field, rows: number): void {
  const at = data.findIndex((id: number | bigint) => Number(id) >= rows || Number(id) < -rows);
  if (at < 0) return;
  const perExample = data.length / Math.max(1, shape[0] ?? 1);
  const place = { example: Math.floor(at / perExample), position: at % perExample };
  throw runtimeErrors.E_ID_RANGE(field, place, Number(data[at]), rows);
}

/** The same for a run of several updates: what each reads anew lies on a new first axis. */
export function stackFeeds(
  graph: GraphManifest,
  state: Readonly<State>,
  updates: readonly UpdateInputs[],
): Record<string, Field> {
  const perUpdate = updates.map((inputs) => makeFeeds(graph, state, inputs));
  return Object.fromEntries(
    graph.inputs.map(({ name }) => {
      const parts = perUpdate.map((feeds) => feeds[name]);
      return [name, state.get(name) ?? stackFields(name, parts)];
    }),
  );
}
