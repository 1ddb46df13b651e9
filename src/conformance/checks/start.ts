/** A fresh adapter: the model's own outputs where the method says so, and the same numbers from the same seed. */

import { runPasses } from "../../compile/passes.ts";
import { preparePipeline } from "../../compile/prepare.ts";
import { encodeModel } from "../../onnx/write.ts";
import { type Check, distance, require } from "../check.ts";
import { evaluateExactly, randomBatch } from "../fed-graph.ts";
import { parseProbe } from "../probes.ts";
import { compileSubject, startOf } from "../subject.ts";

export const identityAtStart: Check = {
  name: "starts as the identity",
  per: "site",
  run: (subject) => {
    const compiled = compileSubject(subject);
    if (!compiled.plan.adapter.identityAtStart) return "it declares that it does not";
    const graph = compiled.graphs.eval;
    const base = parseProbe(subject.probe);
    runPasses(base, preparePipeline);
    const batch = randomBatch(graph, 4, 3);
    const wanted = evaluateExactly(base, { batch, state: new Map() });
    const got = evaluateExactly(graph, { batch, state: startOf(compiled, "eval") });
    for (const [name, array] of wanted) {
      const own = got.get(name);
      const apart = own === undefined ? Number.POSITIVE_INFINITY : distance(own, array);
      require(apart < 1e-5, `output "${name}" of a fresh adapter is ${apart} from the model's own`);
    }
    return undefined;
  },
};

export const sameFromSeed: Check = {
  name: "draws the same from the same seed",
  per: "site",
  run: (subject) => {
    const [first, second] = [compileSubject(subject), compileSubject(subject)];
    for (const [key, tensor] of first.state.tensors) {
      const other = second.state.tensors.get(key);
      const same = other !== undefined && Buffer.from(tensor.bytes()).equals(other.bytes());
      require(same, `"${key}" starts differently in two compilations with one seed`);
    }
    const [one, two] = [first, second].map(({ graphs }) => Buffer.from(encodeModel(graphs.train)));
    require(one !== undefined && two !== undefined && one.equals(two), "two compilations give two graphs");
    return undefined;
  },
};
