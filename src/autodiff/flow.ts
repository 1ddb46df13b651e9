/** Where cotangents flow through the bodies of a node: what a rule for bodies is told. */
import { capturesOf } from "../ir/captures.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import type { Region, RegionFlow } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";
import { activeInBody, activeOperands } from "./activity.ts";

/**
 * The flow through each body of a node: what lies between the active values and those results that `isWanted` says have
 * a gradient. A carried value joins where the one of a later iteration does, until nothing more joins.
 */
export function flowsOf(
  node: Node,
  active: ReadonlySet<Value>,
  isWanted: (result: number) => boolean,
): RegionFlow[] {
  const regions = opOf(node)?.regions(node) ?? [];
  return regions.map((region) => flowOf(region, activeInBody(node, region, active), isWanted));
}

function flowOf(
  region: Region,
  active: ReadonlySet<Value>,
  isWanted: (result: number) => boolean,
): RegionFlow {
  const { body, enters, carries, leaves } = region;
  const isActive = (value: Value | undefined): boolean => value !== undefined && active.has(value);
  const wanted = leaves.map((result) => result !== undefined && isWanted(result));
  const stacked = body.outputs.flatMap((output, at) =>
    carries[at] === undefined && wanted[at] === true && isActive(output) ? [at] : [],
  );
  const pairs = carries.flatMap((input, output) => (input === undefined ? [] : [{ input, output }]));
  let carried = pairs.filter(({ input, output }) => wanted[output] === true && isActive(body.inputs[input]));
  for (;;) {
    const targets = [...stacked, ...carried.map(({ output }) => output)].flatMap(
      (at) => body.outputs[at] ?? [],
    );
    const relevant = relevantValues(body, targets, active);
    const isRelevant = (input: number): boolean => {
      const value = body.inputs[input];
      return value !== undefined && relevant.has(value);
    };
    const known = carried;
    const next = pairs.filter((pair) => known.includes(pair) || isRelevant(pair.input));
    if (next.length === known.length) {
      const slices = [...body.inputs.keys()].filter(
        (input) =>
          enters[input] !== undefined && isRelevant(input) && !pairs.some((pair) => pair.input === input),
      );
      const captures = [...capturesOf(body)].filter((value) => relevant.has(value));
      return { region, carried: known, slices, stacked, captures };
    }
    carried = next;
  }
}

/** Active values, those around the body included, that the targets depend on. */
function relevantValues(body: Graph, targets: readonly Value[], active: ReadonlySet<Value>): Set<Value> {
  const relevant = new Set(targets.filter((target) => active.has(target)));
  for (const node of body.reversed()) {
    const isWanted = (result: number): boolean => {
      const output = node.outputs[result];
      return output != null && relevant.has(output);
    };
    if (!node.outputs.some((_, result) => isWanted(result))) continue;
    for (const value of influences(node, active, isWanted)) relevant.add(value);
  }
  return relevant;
}

/** Active operands and captures that some wanted result of a node depends on. */
function influences(node: Node, active: ReadonlySet<Value>, isWanted: (result: number) => boolean): Value[] {
  const operands = activeOperands(node, active);
  const regions = opOf(node)?.regions(node) ?? [];
  if (regions.length === 0) {
    const captured = node.subgraphs().flatMap((inner) => [...capturesOf(inner)]);
    return [
      ...operands.flatMap((index) => node.input(index) ?? []),
      ...captured.filter((value) => active.has(value)),
    ];
  }
  return flowsOf(node, active, isWanted).flatMap(({ region, carried, slices, captures }) => {
    const inputs = [...carried.map(({ input }) => input), ...slices];
    const indices = inputs.flatMap((input) => region.enters[input] ?? []);
    return [
      ...indices.filter((index) => operands.includes(index)).flatMap((index) => node.input(index) ?? []),
      ...captures,
    ];
  });
}
