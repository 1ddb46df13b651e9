/** Data parallelism: the mean gradient of two halves of a batch is the gradient of the whole. */

import { fromNumbers } from "../../ops/ndarray.ts";
import { type Check, distance, require } from "../check.ts";
import { evaluateExactly, randomBatch, resultOf, rowsOf } from "../fed-graph.ts";
import { compileSubject, randomPoint, still } from "../subject.ts";

export const twoRanks: Check = {
  name: "has the same gradient on two ranks",
  per: "site",
  run: (subject) => {
    const compiled = compileSubject(subject, still);
    if (compiled.plan.adapter.mixesRows !== undefined) return compiled.plan.adapter.mixesRows;
    const { grad } = compiled.graphs;
    const [batch, state] = [randomBatch(grad, 4, 3), randomPoint(compiled)];
    const gradientOf = (part: typeof batch): ReturnType<typeof resultOf> =>
      resultOf(grad, evaluateExactly(grad, { batch: part, state }), "grad");
    const whole = gradientOf(batch);
    const [first, second] = [gradientOf(rowsOf(batch, 0, 2)), gradientOf(rowsOf(batch, 2, 4))];
    const mean = first.numbers.map((value, i) => (value + (second.numbers[i] ?? Number.NaN)) / 2);
    const apart = distance(fromNumbers("float32", whole.shape, mean, true), whole);
    require(apart < 1e-9, `the mean gradient of two halves of a batch is ${apart} from that of the whole`);
    return undefined;
  },
};
