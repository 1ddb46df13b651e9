/** Training of an oracle case: its batches through the graphs, state handed on from step to step. */
import type { Compiled } from "../../src/compile/compile.ts";
import { roleOf } from "../../src/ir/role.ts";
import { fromNumbers, NDArray } from "../../src/ops/ndarray.ts";
import {
  advance,
  type Batch,
  GraphSession,
  resultOf,
  type State,
  splitFlat,
  startingState,
} from "./graph-session.ts";
import type { OracleCase, TrainRecord } from "./oracle-set.ts";

/** Fields of one batch; `extra` such as expected logits are ignored by the graph. */
export function batchOf(io: ReadonlyMap<string, NDArray>, name: string): Batch {
  const prefix = `${name}.`;
  const fields = new Map(
    [...io].flatMap(([key, array]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), array] as const] : [],
    ),
  );
  const labels = fields.get("labels");
  if (labels === undefined) return fields;
  // Fields that only some methods read, as the set's index describes them.
  const rows = labels.shape[0] ?? 0;
  const tasks = Array.from({ length: rows }, (_, row) => row % 3);
  return fields.set("task_ids", fromNumbers("int64", [rows], tasks)).set(
    "input_type_mask",
    fromNumbers(
      "int64",
      labels.shape,
      labels.toNumbers().map((label) => (label === -100 ? 0 : 4)),
    ),
  );
}

/** Trains as the record says. */
export function trainCase(
  compiled: Compiled,
  io: ReadonlyMap<string, NDArray>,
  record: TrainRecord,
  item: OracleCase,
): Promise<Trajectory> {
  const run = record.gradient_accumulation > 1 ? accumulatedSteps : singleSteps;
  return run(compiled, io, record, item);
}

/** Trained tensors by key, as the state has them. */
export function trainedArrays({ graphs }: Compiled, state: State): Map<string, NDArray> {
  const [param] = graphs.train.graph.inputs.filter((input) => roleOf(input) === "param");
  if (param === undefined) throw new Error("nothing is trained");
  return splitFlat(param, state.get(param.name) ?? fromNumbers("float32", [0], []));
}

export interface Trajectory {
  readonly state: State;
  readonly losses: number[];
  readonly norms: number[];
  readonly scales: number[];
}

async function singleSteps(
  compiled: Compiled,
  io: ReadonlyMap<string, NDArray>,
  record: TrainRecord,
): Promise<Trajectory> {
  const session = await GraphSession.open(compiled.graphs.train);
  const result: Trajectory = { state: startingState(compiled, "train"), losses: [], norms: [], scales: [] };
  try {
    for (const name of record.batches) {
      result.scales.push(result.state.get("loss_scale")?.numbers[0] ?? 1);
      const results = await session.run(batchOf(io, name), result.state, {
        lr: fromNumbers("float32", [], [record.lr]),
      });
      result.losses.push(scalar(resultOf(results, "loss")));
      result.norms.push(scalar(resultOf(results, "metric", "grad_norm")));
      advance(result.state, results);
    }
  } finally {
    await session.close();
  }
  return result;
}

/** Micro-batches through the gradient graph, their mean (over batches or over labelled tokens) through the update. */
async function accumulatedSteps(
  compiled: Compiled,
  io: ReadonlyMap<string, NDArray>,
  record: TrainRecord,
  item: OracleCase,
): Promise<Trajectory> {
  const byTokens = item.name.endsWith("-tokens");
  const grad = await GraphSession.open(compiled.graphs.grad);
  const apply = await GraphSession.open(compiled.graphs.apply);
  const result: Trajectory = { state: startingState(compiled, "apply"), losses: [], norms: [], scales: [] };
  const count = record.gradient_accumulation;
  try {
    for (let step = 0; step * count < record.batches.length; step++) {
      const micro = [];
      for (const name of record.batches.slice(step * count, (step + 1) * count)) {
        micro.push(await grad.run(batchOf(io, name), new Map([...result.state])));
      }
      const weights = micro.map((results) => (byTokens ? scalar(resultOf(results, "metric", "tokens")) : 1));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const sum = new Float64Array(resultOf(micro[0] ?? new Map(), "grad").size);
      let loss = 0;
      micro.forEach((results, i) => {
        const share = (weights[i] ?? 0) / total;
        loss += scalar(resultOf(results, "loss")) * share;
        resultOf(results, "grad").numbers.forEach((value, at) => {
          sum[at] = (sum[at] ?? 0) + value * share;
        });
      });
      const [input] = apply.model.graph.inputs.filter((value) => value.metadata.get("peft.role") === "grad");
      const results = await apply.run(new Map(), result.state, {
        lr: fromNumbers("float32", [], [record.lr]),
        [input?.name ?? ""]: new NDArray("float32", [sum.length], sum),
      });
      result.losses.push(loss);
      result.norms.push(scalar(resultOf(results, "metric", "grad_norm")));
      advance(result.state, results);
    }
  } finally {
    await grad.close();
    await apply.close();
  }
  return result;
}

function scalar(array: NDArray): number {
  return array.toNumbers()[0] ?? Number.NaN;
}
