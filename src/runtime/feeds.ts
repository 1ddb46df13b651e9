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
 * @throws DiagnosticError `E_BATCH_FIELD`, `E_FIELD_DTYPE`, `E_FIELD_RANGE`.
 */
export function makeFeeds(
  graph: GraphManifest,
  state: Readonly<State>,
  { batch, rate, seed }: UpdateInputs,
): Record<string, Field> {
  const feeds: Record<string, Field> = {};
  for (const { name, role, dtype, field = name, hyper } of graph.inputs) {
    const carried = state.get(name);
    if (role === "batch" || role === "label") {
      const given = batch[field];
      if (given === undefined) throw runtimeErrors.E_BATCH_FIELD(field, Object.keys(batch));
      feeds[name] = castField(field, given, fieldType(name, dtype));
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
