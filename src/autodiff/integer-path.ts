/** Ways on which values reach an output only as integers or truth values: there is no gradient, but a dependence. */
import { isFloat } from "../ir/dtype.ts";
import type { Node } from "../ir/node.ts";
import type { Use, Value } from "../ir/value.ts";
import { paramAt } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";
import { readsShapeOnly } from "../ops/traits.ts";
import { labelOf, shortenPath } from "./path.ts";

/** A dependence through integers: the node that makes them, and the way from the variable to the target. */
export interface IntegerPath {
  readonly node: Node;
  readonly path: readonly string[];
}

/** A value on the way, with how it was reached. */
interface Step {
  readonly value: Value;
  readonly node?: Node;
  readonly before?: Step;
  /** First node on the way whose result is no float. */
  readonly integers?: Node;
}

/**
 * Looks for a way from `variable` to one of `targets` along which the elements themselves, not only the shape, turn into
 * integers or truth values. Undefined where nothing of that kind depends on the variable.
 */
export function findIntegerPath(variable: Value, targets: ReadonlySet<Value>): IntegerPath | undefined {
  const seen = { floats: new Set<Value>(), integers: new Set<Value>() };
  const pending: Step[] = [{ value: variable }];
  for (const step of pending) {
    const { value, integers } = step;
    if (integers !== undefined && targets.has(value))
      return { node: integers, path: describeSteps(step, variable) };
    for (const use of value.uses) {
      for (const result of resultsOf(use)) {
        const node = result.producer;
        if (node === undefined) continue;
        const makesIntegers = result.tensorType !== undefined && !isFloat(result.tensorType.dtype);
        const first = integers ?? (makesIntegers ? node : undefined);
        const visited = first === undefined ? seen.floats : seen.integers;
        if (visited.has(result)) continue;
        visited.add(result);
        pending.push({
          value: result,
          node,
          before: step,
          ...(first === undefined ? {} : { integers: first }),
        });
      }
    }
  }
  return undefined;
}

function describeSteps(last: Step, variable: Value): readonly string[] {
  const labels: string[] = [];
  for (let step: Step | undefined = last; step !== undefined; step = step.before) {
    if (step.node !== undefined) labels.push(labelOf(step.node));
  }
  return shortenPath([`"${variable.name}"`, ...labels.reverse()]);
}

/** Results that the elements of an operand may end up in; for a body's node, those of the node that owns the body. */
function resultsOf(use: Use): Value[] {
  if (use.kind === "output") return use.graph.owner === undefined ? [] : ownResults(use.graph.owner);
  const { node, index } = use;
  const op = opOf(node);
  const param = op === undefined ? undefined : paramAt(op.inputs, index)?.name;
  if (readsShapeOnly(node) || (param !== undefined && op?.hostInputs.has(param))) return [];
  return ownResults(node);
}

function ownResults(node: Node): Value[] {
  return node.outputs.filter((output) => output !== null);
}
