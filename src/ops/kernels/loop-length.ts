/** How often a Loop runs, where that is known. */
import { constantOf } from "../../ir/constant.ts";
import { type Dim, unknownDim } from "../../ir/dim.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Value } from "../../ir/value.ts";
import { contentOf } from "./content.ts";

/** The number of iterations; an unknown one where the body may end the loop, or nothing says the count. */
export function tripsOf(count: Value | undefined, condition: Value | undefined, body: Graph): Dim {
  return (runsToEnd(condition, body) ? contentOf(count)?.[0] : undefined) ?? unknownDim();
}

/** A condition that is known, through contents or as a constant. */
export function truthOf(condition: Value): boolean | undefined {
  const element = condition.content?.[0];
  if (typeof element === "number") return element !== 0;
  const constant = constantOf(condition);
  return constant?.dtype === "bool" && constant.size === 1 ? constant.bytes()[0] !== 0 : undefined;
}

/**
 * Whether only the count ends the loop: the condition is true at first, and the body passes it on or says
 * true.
 */
function runsToEnd(condition: Value | undefined, body: Graph): boolean {
  if (condition !== undefined && truthOf(condition) !== true) return false;
  let next = body.outputs[0];
  while (next?.producer?.op === "Identity" && next.producer.domain === "") next = next.producer.input(0);
  return next !== undefined && (next === body.inputs[1] || truthOf(next) === true);
}
