/** Dropout: on in training, off in evaluation, a function of the seed, and nothing where the rate is 0. */
import type { Compiled } from "../../compile/compile.ts";
import { DiagnosticError } from "../../diagnostics/define.ts";
import type { Model } from "../../ir/model.ts";
import { withRole } from "../../ir/role.ts";
import { encodeModel } from "../../onnx/write.ts";
import { describeOptions } from "../../pass/describe-options.ts";
import { type Check, distance, require } from "../check.ts";
import { evaluateExactly, randomBatch, resultOf, runInRuntime } from "../fed-graph.ts";
import { variations } from "../options.ts";
import { probes } from "../probes.ts";
import { compileSubject, fitSubject, randomPoint, type Subject, still } from "../subject.ts";

export const dropoutByRate: Check = {
  name: "drops out in training only, by the seed",
  per: "site",
  run: async (subject) => {
    const rates = describeOptions(subject.method.options).filter(
      ({ name, type }) => /dropout/.test(name) && /^number/.test(type),
    );
    if (rates.length === 0) return "it has no dropout";
    const reasons: string[] = [];
    for (const { name, description } of rates) {
      const reason = /^without effect/.test(description) ? description : await checkRate(subject, name);
      if (reason !== undefined) reasons.push(reason);
    }
    return reasons[0];
  },
};

/** Gives the reason where the method refuses to drop out here. */
async function checkRate(subject: Subject, name: string): Promise<string | undefined> {
  const dropping = withRate(subject, name, 0.5);
  if (typeof dropping === "string") return dropping;
  const effect = withEffect(subject, name);
  if (effect === undefined && worksElsewhere(subject, name))
    return `${name} has no effect on ${subject.probe.kind} modules`;
  const { found, compiled } = effect ?? { found: subject, compiled: dropping };
  const none = compileSubject(found, { options: { [name]: 0 } });
  const without = compileSubject(found, { ...still, options: { [name]: 0 } });
  const noisy = seedsOf(none.graphs.grad) !== seedsOf(without.graphs.grad);
  require(noisy || sameBytes(none.graphs.grad, without.graphs.grad), `${name} of 0 is not the same as none`);
  require(seedsOf(compiled.graphs.grad) === 1, `${name} of 0.5 asks for no seed, whatever the other options`);
  requireSameOutputs(compiled, none, name);
  await requireSeeded(compiled, name);
  return undefined;
}

function withRate(subject: Subject, name: string, rate: number): Compiled | string {
  try {
    return compileSubject(subject, { options: { [name]: rate } });
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics[0].message;
    throw error;
  }
}

/** The subject as it is, or with another option changed that the rate belongs to, so that the rate has an effect. */
function withEffect(subject: Subject, name: string): { found: Subject; compiled: Compiled } | undefined {
  for (const other of [{}, ...variations(subject.method)]) {
    const found = { ...subject, options: { ...subject.options, ...other } };
    const compiled = withRate(found, name, 0.5);
    if (typeof compiled !== "string" && seedsOf(compiled.graphs.grad) > 0) return { found, compiled };
  }
  return undefined;
}

/** Whether the rate has an effect on another kind of site that the method takes. */
function worksElsewhere({ method, probe }: Subject, name: string): boolean {
  return probes.some((other) => {
    if (other.kind === probe.kind || !method.sites.includes(other.kind)) return false;
    const subject = fitSubject(method, other);
    return typeof subject !== "string" && withEffect(subject, name) !== undefined;
  });
}

function requireSameOutputs({ graphs }: Compiled, none: Compiled, name: string): void {
  const [batch, state] = [randomBatch(graphs.eval, 4, 3), randomPoint(none)];
  const wanted = evaluateExactly(none.graphs.eval, { batch, state });
  for (const [output, array] of evaluateExactly(graphs.eval, { batch, state })) {
    const other = wanted.get(output);
    const same = other !== undefined && distance(array, other) < 1e-6;
    require(same, `${name} changes output "${output}" of the graph for evaluation`);
  }
}

async function requireSeeded(compiled: Compiled, name: string): Promise<void> {
  const { grad } = compiled.graphs;
  const [batch, state] = [randomBatch(grad, 4, 3), randomPoint(compiled)];
  const run = async (seed: number): Promise<ReturnType<typeof resultOf>> =>
    resultOf(grad, await runInRuntime(grad, { batch, state, seed }), "grad");
  const first = await run(1);
  require(distance(first, await run(1)) === 0, `${name} gives two gradients for one seed`);
  const others = [await run(2), await run(3), await run(4)];
  require(others.some((other) => distance(first, other) > 0), `${name} gives one gradient for four seeds`);
}

function seedsOf({ graph }: Model): number {
  return withRole(graph.inputs, "rng").length;
}

function sameBytes(a: Model, b: Model): boolean {
  return Buffer.from(encodeModel(a)).equals(encodeModel(b));
}
