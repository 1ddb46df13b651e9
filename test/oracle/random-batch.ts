/** Random data for whatever a graph reads: ids below their table's rows, masks of ones, labels in range. */
import { Random } from "../../src/data/random.ts";
import { substituteDim } from "../../src/ir/dim.ts";
import { isFloat } from "../../src/ir/dtype.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { roleFact, roleOf } from "../../src/ir/role.ts";
import type { Value } from "../../src/ir/value.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import type { Batch } from "./graph-session.ts";

/** Arrays for every batch and label input; every named axis is `seq` long but those that come first in some input. */
export function randomBatch(graph: Graph, sizes: { batch: number; seq: number; seed: number }): Batch {
  const random = new Random(sizes.seed);
  const batch = new Map<string, NDArray>();
  const counted = new Set(graph.inputs.flatMap((input) => firstAxis(input)));
  for (const input of graph.inputs) {
    const role = roleOf(input);
    const field = roleFact(input, "field");
    if ((role === "batch" || role === "label") && field !== undefined)
      batch.set(field, randomArray(input, { ...sizes, counted }, random));
  }
  return batch;
}

/** The name by which an input counts its rows. */
function firstAxis({ tensorType: type }: Value): string[] {
  const first = type?.shape?.[0];
  return first === undefined || typeof first === "number" ? [] : [first.key];
}

function randomArray(
  input: Value,
  { batch, seq, counted }: { batch: number; seq: number; counted: ReadonlySet<string> },
  random: Random,
): NDArray {
  const type = input.tensorType;
  if (type?.shape === undefined) throw new Error(`"${input.name}" has no known rank`);
  const shape = type.shape.map((dim) => {
    const size = substituteDim(dim, (name) => (counted.has(name) ? batch : seq));
    if (typeof size === "number") return size;
    throw new Error(`"${input.name}" has an axis ${size.key}`);
  });
  const count = shape.reduce((product, dim) => product * dim, 1);
  const draw = (): number => {
    if (isFloat(type.dtype)) return random.normal();
    if (/mask/.test(input.name)) return 1;
    return random.below(Number(roleFact(input, "below") ?? 2));
  };
  return fromNumbers(type.dtype, shape, Array.from({ length: count }, draw));
}
