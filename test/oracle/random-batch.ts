/** Random data for whatever a graph reads: ids below their table's rows, masks of ones, labels in range. */
import { Random } from "../../src/data/random.ts";
import { substituteDim, symbolsOf } from "../../src/ir/dim.ts";
import { isFloat } from "../../src/ir/dtype.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { roleFact, roleOf } from "../../src/ir/role.ts";
import type { Value } from "../../src/ir/value.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import type { Batch } from "./graph-session.ts";

/** Arrays for every batch and label input; every axis but the first named one is `seq` long. */
export function randomBatch(graph: Graph, sizes: { batch: number; seq: number; seed: number }): Batch {
  const random = new Random(sizes.seed);
  const batch = new Map<string, NDArray>();
  for (const input of graph.inputs) {
    const role = roleOf(input);
    const field = roleFact(input, "field");
    if ((role === "batch" || role === "label") && field !== undefined)
      batch.set(field, randomArray(input, sizes, random));
  }
  return batch;
}

function randomArray(input: Value, { batch, seq }: { batch: number; seq: number }, random: Random): NDArray {
  const type = input.tensorType;
  if (type?.shape === undefined) throw new Error(`"${input.name}" has no known rank`);
  const shape = type.shape.map((dim, axis) => {
    if (typeof dim === "number") return dim;
    for (const name of symbolsOf(dim)) {
      const size = substituteDim(dim, (symbol) => (symbol === name && axis === 0 ? batch : seq));
      if (typeof size === "number") return size;
    }
    throw new Error(`"${input.name}" has an axis ${dim.key}`);
  });
  const count = shape.reduce((product, dim) => product * dim, 1);
  const draw = (): number => {
    if (isFloat(type.dtype)) return random.normal();
    if (/mask/.test(input.name)) return 1;
    return random.below(Number(roleFact(input, "below") ?? 2));
  };
  return fromNumbers(type.dtype, shape, Array.from({ length: count }, draw));
}
