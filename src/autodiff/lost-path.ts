/** Ways on which a dependence gets lost: through integers, truth values and what is held constant, no gradient comes. */
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { markOf } from "../ir/phase.ts";
import type { Use, Value } from "../ir/value.ts";
import { isDetached } from "../ops/detach.ts";
import { paramAt, type Region } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";
import { readsShapeOnly } from "../ops/traits.ts";
import { activeThroughBodies } from "./activity.ts";
import { labelOf, shortenPath } from "./path.ts";

/** A dependence without a gradient: the node that loses it, and the way from the variable to the target. */
export interface LostPath {
  readonly node: Node;
  readonly target: Value;
  readonly path: readonly string[];
}

/** A value on the way, with how it was reached. */
interface Step {
  readonly value: Value;
  readonly node?: Node;
  readonly before?: Step;
  /** First node on the way that makes something else than floats, or holds its operand or result constant. */
  readonly lost?: Node;
}

/** Where the elements of a value go next. */
interface Flow {
  readonly value: Value;
  readonly node: Node;
  /** Whether differentiation takes the operand or the result for a constant. */
  readonly isHeld: boolean;
}

/** Says of a variable and its gradient, undefined where differentiation found none, whether a dependence is lost. */
export type FindLost = (variable: Value, gradient: Value | undefined) => LostPath | undefined;

/**
 * Looks for dependences of `targets` on variables that gradients do not say: the elements themselves, not only the shape,
 * turn into integers, truth values or what is held constant, and no other way leads on. What loops carry leaves as it
 * came where they do not run: a gradient that comes by that alone does not count.
 */
export function lostPathFinder(graph: Graph, targets: readonly Value[]): FindLost {
  const goals = new Set(targets);
  const mayPassBodies = carriesValues(graph);
  return (variable, gradient) => {
    if (gradient !== undefined && !mayPassBodies) return undefined;
    const lost = searchPath(variable, goals);
    if (lost === undefined || gradient === undefined) return lost;
    const active = activeThroughBodies(graph, [variable]);
    return targets.some((target) => active.has(target)) ? undefined : lost;
  };
}

function carriesValues(graph: Graph): boolean {
  return [...graph.allNodes()].some((node) =>
    regionsOf(node).some(({ carries }) => carries.some((input) => input !== undefined)),
  );
}

function searchPath(variable: Value, targets: ReadonlySet<Value>): LostPath | undefined {
  const seen = { kept: new Set<Value>(), lost: new Set<Value>() };
  const pending: Step[] = [{ value: variable }];
  for (const step of pending) {
    const { value, lost } = step;
    if (lost !== undefined && targets.has(value)) {
      return { node: lost, target: value, path: describeSteps(step, variable) };
    }
    for (const use of value.uses) {
      if (readsChoice(use, value)) continue;
      for (const next of flowsFrom(use)) {
        if (choosesSlope(next)) continue;
        const first = lost ?? (next.isHeld || makesOthers(next.value) ? next.node : undefined);
        const visited = first === undefined ? seen.kept : seen.lost;
        if (visited.has(next.value)) continue;
        visited.add(next.value);
        pending.push({
          value: next.value,
          node: next.node,
          before: step,
          ...(first === undefined ? {} : { lost: first }),
        });
      }
    }
  }
  return undefined;
}

/**
 * Whether a gradient rule made truth values or places of elements: which is the largest, on which side of a kink. The slope is
 * constant between such changes, so that its own derivative by them is zero.
 */
function choosesSlope({ value, node }: Flow): boolean {
  return makesOthers(value) && markOf(node) === "backward";
}

/** Whether a gradient rule reads what a node says beside its floats, such as the places that TopK took. */
function readsChoice(use: Use, value: Value): boolean {
  if (use.kind === "output" || markOf(use.node) !== "backward" || !makesOthers(value)) return false;
  return value.producer?.outputs.some((output) => output !== null && !makesOthers(output)) === true;
}

function makesOthers({ tensorType }: Value): boolean {
  return tensorType !== undefined && !isFloat(tensorType.dtype);
}

function describeSteps(last: Step, variable: Value): readonly string[] {
  const labels: string[] = [];
  for (let step: Step | undefined = last; step !== undefined; step = step.before) {
    if (step.node !== undefined) labels.push(labelOf(step.node));
  }
  return shortenPath([`"${variable.name}"`, ...labels.reverse(), `"${last.value.name}"`]);
}

/** Values that the elements of an operand may end up in: those of a body where the node passes it to one. */
function flowsFrom(use: Use): Flow[] {
  if (use.kind === "output") return flowsOut(use.graph, use.index);
  const { node, index } = use;
  if (readsShapeOnly(node) || isDetached(node)) return [];
  const entered = regionsOf(node).flatMap(({ body, enters }) =>
    body.inputs.filter((_, input) => enters[input] === index),
  );
  if (entered.length > 0) return entered.map((value) => ({ value, node, isHeld: false }));
  const op = opOf(node);
  const param = op && paramAt(op.inputs, index)?.name;
  const isHeld = param !== undefined && op?.held[param] !== undefined;
  return resultsOf(node).map((value) => {
    const result = op && paramAt(op.outputs, value.outputIndex)?.name;
    return {
      value,
      node,
      isHeld: isHeld || (result !== undefined && op?.quantized.holds?.includes(result) === true),
    };
  });
}

/** Where a result of a body goes: into one of the node that owns it and its next run, or, as a condition, into all. */
function flowsOut(body: Graph, index: number): Flow[] {
  const node = body.owner;
  if (node === undefined) return [];
  const region = regionsOf(node).find((each) => each.body === body);
  const leaves = region?.leaves[index];
  const next = body.inputs[region?.carries[index] ?? -1];
  const results = resultsOf(node);
  const reached =
    leaves === undefined && next === undefined
      ? results
      : [
          ...results.filter(({ outputIndex }) => outputIndex === leaves),
          ...(next === undefined ? [] : [next]),
        ];
  return reached.map((value) => ({ value, node, isHeld: false }));
}

function regionsOf(node: Node): readonly Region[] {
  return opOf(node)?.regions(node) ?? [];
}

function resultsOf(node: Node): Value[] {
  return node.outputs.filter((output) => output !== null);
}
