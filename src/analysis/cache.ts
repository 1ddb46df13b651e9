/** Finds the key/value caches of a model that generates text: inputs with what earlier calls computed, and their successors. */
import { capturesOf } from "../ir/captures.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Use, Value } from "../ir/value.ts";
import { paramAt } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";

/** One cache. */
export interface Cache {
  /** Graph input with the keys or values of earlier calls. */
  readonly past: Value;
  /** Axis that grows with every call. */
  readonly axis: number;
  /** Values with those of this call behind them, as far as they are outputs of the graph. */
  readonly presents: readonly Value[];
}

/**
 * The caches of a graph: float inputs that an operator takes as its past, or that are the front of a Concat whose result
 * the model gives back.
 */
export function findCaches(graph: Graph): Cache[] {
  return graph.inputs.flatMap((past) => {
    if (!mayBeCache(past)) return [];
    const found = [...past.uses].map((use) => growing(use, past)).filter((growth) => growth !== undefined);
    const [first] = found;
    if (first === undefined || typeof past.tensorType?.shape?.[first.axis] === "number") return [];
    const presents = found.flatMap(({ present }) => (present === undefined ? [] : outputsOf(present)));
    return [{ past, axis: first.axis, presents }];
  });
}

/** Whether an operand is one that an operator takes over from an earlier call, as records name them. */
export function isPast(node: Node, operand: number): boolean {
  const op = opOf(node);
  return op !== undefined && paramAt(op.inputs, operand)?.name.startsWith("past") === true;
}

/** An input that chooses between a branch that reads caches and one that does not. */
export interface CacheSwitch {
  readonly input: Value;
  /** What chooses the branch without caches. */
  readonly off: boolean;
  /** Inputs that the other branch alone reads. */
  readonly pasts: readonly Value[];
}

/** The switches of a graph: one file of a decoder may serve the first call and all others. */
export function findCacheSwitches(graph: Graph): CacheSwitch[] {
  return graph.inputs.flatMap((input) => {
    if (input.tensorType?.dtype !== "bool") return [];
    for (const use of input.uses) {
      if (use.kind !== "operand" || use.node.op !== "If" || use.index !== 0) continue;
      const [whenTrue, whenFalse] = [
        branchInputs(use.node, "then_branch"),
        branchInputs(use.node, "else_branch"),
      ];
      const alone = [...whenTrue].filter((value) => !whenFalse.has(value));
      const others = [...whenFalse].filter((value) => !whenTrue.has(value));
      if (alone.length === 0 || others.length === 0) {
        const pasts = [...alone, ...others];
        return pasts.length === 0 ? [] : [{ input, off: alone.length === 0, pasts }];
      }
    }
    return [];
  });
}

/** Inputs of the graph that a branch reads and that may be caches. */
function branchInputs(node: Node, branch: string): Set<Value> {
  const attribute = node.attributes.get(branch);
  const captures = attribute?.kind === "graph" ? [...capturesOf(attribute.value)] : [];
  return new Set(captures.filter((value) => value.graph === node.graph && mayBeCache(value)));
}

/** Whether a value has the type of a cache: floats, with at least rows, positions and features. */
export function mayBeCache({ tensorType: type, producer, initializer }: Value): boolean {
  if (producer !== undefined || initializer !== undefined || type?.shape === undefined) return false;
  return type.shape.length >= 3 && isFloat(type.dtype);
}

interface Growth {
  readonly axis: number;
  readonly present: Value | undefined;
}

function growing(use: Use, past: Value): Growth | undefined {
  if (use.kind !== "operand") return undefined;
  const { node, index } = use;
  const rank = past.tensorType?.shape?.length ?? 0;
  if (isPast(node, index)) {
    const op = opOf(node);
    const name = op === undefined ? undefined : paramAt(op.inputs, index)?.name.replace(/^past/, "present");
    const at = op?.outputs.findIndex((output) => output.name === name) ?? -1;
    return { axis: rank - 2, present: node.outputs[at] ?? undefined };
  }
  if (node.op !== "Concat" || index !== 0 || node.inputs.length !== 2) return undefined;
  const axis = node.int("axis", 0);
  const present = node.output(0);
  return outputsOf(present).length === 0 ? undefined : { axis: axis < 0 ? axis + rank : axis, present };
}

/** Graph outputs that a value is, or is moved or cast into. */
function outputsOf(value: Value, depth = 4): Value[] {
  const uses = [...value.uses];
  if (uses.some((use) => use.kind === "output")) return [value];
  if (depth === 0) return [];
  return uses.flatMap((use) => {
    if (use.kind !== "operand" || opOf(use.node)?.precision !== "exact") return [];
    return use.node.outputs.flatMap((output) => (output === null ? [] : outputsOf(output, depth - 1)));
  });
}
