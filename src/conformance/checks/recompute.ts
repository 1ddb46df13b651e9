/** Recomputing: a graph that computes values again in its backward pass has the same loss and gradient. */
import { type Check, distance, require } from "../check.ts";
import { evaluateExactly, randomBatch, resultOf } from "../fed-graph.ts";
import { compileSubject, randomPoint, still } from "../subject.ts";

export const recomputes: Check = {
  name: "computes the same where values are computed again",
  per: "site",
  run: (subject) => {
    const stored = compileSubject(subject, still).graphs.grad;
    const compiled = compileSubject(subject, { ...still, request: { recompute: "all" } });
    const again = compiled.graphs.grad;
    const feeds = { batch: randomBatch(stored, 4, 3), state: randomPoint(compiled) };
    const [wanted, own] = [evaluateExactly(stored, feeds), evaluateExactly(again, feeds)];
    for (const role of ["loss", "grad"]) {
      const apart = distance(resultOf(again, own, role), resultOf(stored, wanted, role));
      require(apart < 1e-9, `its ${role} is ${apart} from that of the graph that keeps all values`);
    }
    return undefined;
  },
};
