/** The gradient: against central differences of the loss in float64, along a random direction. */

import type { Compiled } from "../../compile/compile.ts";
import { runPasses } from "../../compile/passes.ts";
import { preparePipeline } from "../../compile/prepare.ts";
import { Random } from "../../data/random.ts";
import { cloneModel } from "../../ir/clone.ts";
import type { Model } from "../../ir/model.ts";
import { roleFact, withRole } from "../../ir/role.ts";
import type { Value } from "../../ir/value.ts";
import { isDetached } from "../../ops/detach.ts";
import { NDArray, toTensor } from "../../ops/ndarray.ts";
import { readSlices } from "../../training/flatten.ts";
import { type Check, norm, require } from "../check.ts";
import { type Arrays, evaluateExactly, randomBatch, resultOf, scalarOf } from "../fed-graph.ts";
import { parseProbe } from "../probes.ts";
import { compileSubject, flatInput, randomPoint, type Subject, still } from "../subject.ts";

const step = 1e-5;
/** Central differences in float64 carry some 1e-9; kinks of a method lie farther from a random point than the step. */
const tolerance = 1e-5;

export const gradientOfLoss: Check = {
  name: "has the gradient of its loss",
  per: "site",
  run: (subject) => {
    const compiled = compileSubject(subject, still);
    const { grad } = compiled.graphs;
    const point = randomPoint(compiled);
    const batch = randomBatch(grad, 4, 3);
    const gradient = resultOf(grad, evaluateExactly(grad, { batch, state: point }), "grad").numbers;
    const name = flatInput(grad);
    const at = point.get(name)?.numbers ?? new Float64Array(0);
    const along = direction(gradient);
    const slope = gradient.reduce((sum, value, i) => sum + value * (along[i] ?? 0), 0);
    const loss = lossOf(subject, compiled, batch, point);
    const moved = (sign: number): number =>
      loss(new Map([[name, array(at.map((value, i) => value + sign * step * (along[i] ?? 0)))]]));
    const measured = (moved(1) - moved(-1)) / (2 * step);
    const off = Math.abs(measured - slope) / Math.max(1e-3, Math.abs(measured));
    require(off <
      tolerance, `its gradient along a random direction is ${slope}, the loss changes by ${measured}`);
    return undefined;
  },
};

function array(values: Float64Array<ArrayBuffer>): NDArray {
  return new NDArray("float32", [values.length], values);
}

/** Half random and half the gradient's own, so that the slope is of the gradient's size. */
function direction(gradient: Float64Array): Float64Array {
  const random = new Random(7);
  const noise = gradient.map(() => random.normal());
  const [length, size] = [Math.max(norm(gradient), 1e-30), Math.max(norm(noise), 1e-30)];
  return gradient.map((value, i) => value / length + (noise[i] ?? 0) / size);
}

/** The loss as a function of the parameters. What the method says that it detaches keeps the value that it has at the point. */
function lossOf(subject: Subject, compiled: Compiled, batch: Arrays, point: Arrays): (at: Arrays) => number {
  const model = forwardOf(subject, compiled);
  const slices = withRole(compiled.graphs.grad.graph.inputs, "param").flatMap(readSlices);
  const stateAt = (at: Arrays): Map<string, NDArray> => {
    const values = at.get(flatInput(compiled.graphs.grad))?.numbers ?? new Float64Array(0);
    const byKey = new Map(
      slices.map(({ key, offset, shape }) => {
        const size = shape.reduce((product, dim) => product * dim, 1);
        return [key, new NDArray("float32", shape, values.slice(offset, offset + size))];
      }),
    );
    return new Map(
      withRole(model.graph.inputs, "param").flatMap((input) => {
        const value = byKey.get(roleFact(input, "key") ?? "");
        return value === undefined ? [] : [[input.name, value] as const];
      }),
    );
  };
  if (compiled.plan.adapter.detaches !== undefined) holdDetached(model, batch, stateAt(point));
  return (at) => scalarOf(resultOf(model, evaluateExactly(model, { batch, state: stateAt(at) }), "loss"));
}

/** The adapted forward graph with its loss, as the gradient graph was made from it. */
function forwardOf({ method, probe }: Subject, { plan, settings }: Compiled): Model {
  const model = parseProbe(probe);
  runPasses(model, preparePipeline);
  const options = JSON.stringify(plan.methodOptions);
  const { name: kind, logits } = plan.loss;
  runPasses(model, [
    { pass: "adapt", options: { method: method.name, options, training: false, seed: settings.seed } },
    { pass: "loss", options: { kind, options: JSON.stringify(plan.loss.options), logits } },
  ]);
  return model;
}

function holdDetached(model: Model, batch: Arrays, state: Arrays): void {
  const detachedIn = ({ graph }: Model): Value[] =>
    [...graph.nodes()].filter(isDetached).map((node) => node.output());
  const found = detachedIn(model);
  if (found.length === 0) return;
  const probing = cloneModel(model);
  const copies = detachedIn(probing);
  for (const [i, value] of copies.entries()) {
    value.name = `detached.${i}`;
    probing.graph.addOutput(value);
  }
  const values = evaluateExactly(probing, { batch, state });
  for (const [i, value] of found.entries()) {
    const held = values.get(`detached.${i}`);
    if (held !== undefined) value.replaceUses(model.graph.addInitializer(toTensor(held), `held.${i}`));
  }
}
