/** Only what the method declares is trained, all of it has an effect, and the base model stays as it was. */

import type { Compiled } from "../../compile/compile.ts";
import type { Model } from "../../ir/model.ts";
import { roleFact, roleOf, withRole } from "../../ir/role.ts";
import { readSlices } from "../../training/flatten.ts";
import { type Check, norm, require } from "../check.ts";
import { evaluateExactly, randomBatch, resultOf } from "../fed-graph.ts";
import { parseProbe } from "../probes.ts";
import { compileSubject, declaredKeys, randomPoint, still } from "../subject.ts";

export const trainsDeclared: Check = {
  name: "trains what it declares and nothing else",
  per: "site",
  run: (subject) => {
    const compiled = compileSubject(subject, still);
    requireDistinctKeys(compiled);
    const declared = declaredKeys(compiled);
    for (const model of Object.values(compiled.graphs)) {
      const [param] = withRole(model.graph.inputs, "param");
      const trained = param === undefined ? [] : readSlices(param).map(({ key }) => key);
      const extra = trained.find((key) => !declared.has(key));
      require(extra === undefined, `"${extra}" is trained, which the method does not declare`);
      const missing = [...declared].find((key) => !trained.includes(key));
      require(missing === undefined, `"${missing}" is declared as trained and is not`);
      const fed = model.graph.outputs.flatMap((output) => roleFact(output, "feeds") ?? []);
      for (const name of fed) {
        const input = model.graph.inputs.find((value) => value.name === name);
        require(input !== undefined && changing.has(roleOf(input) ?? ""), `a step changes "${name}"`);
      }
    }
  },
};

function requireDistinctKeys({ plan: { adapter, sites } }: Compiled): void {
  for (const site of sites) {
    const keys = Object.values(adapter.parameters(site, sites)).map(({ key }) => key);
    const twice = keys.find((key, i) => keys.indexOf(key) !== i);
    require(twice === undefined, `two tensors of "${site.path}" have the key "${twice}"`);
  }
}

const changing: ReadonlySet<string> = new Set(["param", "state", "scale"]);

export const everyTensorCounts: Check = {
  name: "gives every trained tensor a gradient",
  per: "site",
  run: (subject) => {
    const compiled = compileSubject(subject, still);
    const { grad } = compiled.graphs;
    const feeds = { batch: randomBatch(grad, 4, 3), state: randomPoint(compiled) };
    const gradient = resultOf(grad, evaluateExactly(grad, feeds), "grad").numbers;
    const [output] = withRole(grad.graph.outputs, "grad");
    for (const { key, offset, shape, idle } of output === undefined ? [] : readSlices(output)) {
      const size = shape.reduce((product, dim) => product * dim, 1);
      const length = norm(gradient.slice(offset, offset + size));
      require(idle === undefined || length === 0, `"${key}" is said to be idle, but the loss depends on it`);
      require(idle !== undefined || length > 0, `"${key}" is trained, but the loss does not depend on it`);
    }
  },
};

export const baseUntouched: Check = {
  name: "leaves the weights of the base model as they are",
  per: "site",
  run: (subject) => {
    const before = weightsOf(parseProbe(subject.probe));
    const compiled = compileSubject(subject);
    for (const [name, model] of Object.entries(compiled.graphs)) {
      for (const [weight, bytes] of weightsOf(model)) {
        const own = before.get(weight);
        require(own === undefined || own.equals(bytes), `"${weight}" has other bytes in ${name}.onnx`);
      }
    }
  },
};

function weightsOf({ graph }: Model): Map<string, Buffer> {
  return new Map(
    [...graph.initializers].flatMap(({ name, initializer }) =>
      initializer === undefined ? [] : [[name, Buffer.from(initializer.bytes())] as const],
    ),
  );
}
