/** Takes key/value caches out of a model, so that it reads whole sequences as training does. */
import {
  type Cache,
  type CacheSwitch,
  findCacheSwitches,
  findCaches,
  isPast,
  mayBeCache,
} from "../analysis/cache.ts";
import { inlineTensor } from "../ir/constant.ts";
import { type Dim, dimsEqual, substituteDim, symbolsOf } from "../ir/dim.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model } from "../ir/model.ts";
import type { Node } from "../ir/node.ts";
import { tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { inlineBranches } from "./branches.ts";

/** What was taken out, and the nodes that held the caches. */
export interface DroppedCaches {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly holders: ReadonlySet<Node>;
}

/**
 * Drops every cache: its input is empty, its output is gone, and axes that counted earlier positions too now count those
 * of this call. Switches between branches with and without caches are set to those without.
 */
export function dropCaches(model: Model): DroppedCaches {
  const { graph } = model;
  const switches = findCacheSwitches(graph);
  const unread = switches.flatMap((found) => turnOff(graph, found));
  const caches = findCaches(graph);
  const presents = new Set(caches.flatMap((cache) => cache.presents));
  unifyLengths(graph, caches);
  const holders = new Set<Node>();
  const b = new OpBuilder({ graph, before: graph.first }, model.opset);
  for (const { past } of caches) {
    for (const use of [...past.uses]) {
      if (use.kind !== "operand" || !isPast(use.node, use.index)) continue;
      use.node.setInput(use.index, null);
      holders.add(use.node);
    }
    if (past.isUsed) past.replaceUses(emptyCache(b, past, graph));
  }
  const isGone = (output: Value): boolean =>
    presents.has(output) || (switches.length > 0 && /^present/.test(output.name));
  const outputs = graph.outputs.filter(isGone);
  graph.setOutputs(graph.outputs.filter((output) => !isGone(output)));
  for (const { past } of caches) graph.removeInput(past);
  return {
    inputs: [...switches.map(({ input }) => input), ...unread, ...caches.map(({ past }) => past)].map(
      ({ name }) => name,
    ),
    outputs: outputs.map(({ name }) => name),
    holders,
  };
}

/** Takes the branch without caches. @returns inputs that nothing reads any more. */
function turnOff(graph: Graph, { input, off, pasts }: CacheSwitch): Value[] {
  const dims = input.tensorType?.shape?.length === 1 ? [1] : [];
  input.replaceUses(graph.addInitializer(inlineTensor("bool", dims, Uint8Array.of(off ? 1 : 0)), input.name));
  graph.removeInput(input);
  inlineBranches(graph);
  const unread = pasts.filter((past) => !past.isUsed);
  for (const past of unread) graph.removeInput(past);
  return unread;
}

/**
 * Sets lengths of caches to 0, and lengths of both together (those of the outputs, and sums that exporters give a name
 * such as `past_length + length`) to the length of the ids.
 */
function unifyLengths(graph: Graph, caches: readonly Cache[]): void {
  const pasts = new Set(caches.flatMap(({ past, axis }) => symbolsAt(past, axis)));
  const totals = new Set(
    caches.flatMap(({ axis, presents }) => presents.flatMap((present) => symbolsAt(present, axis))),
  );
  const isSum = (name: string): boolean => totals.has(name) || [...pasts].some((past) => name.includes(past));
  const lengths = graph.inputs.flatMap(({ tensorType: type }) =>
    type === undefined || isFloat(type.dtype) || type.shape?.length !== 2 ? [] : [type.shape[1] ?? 0],
  );
  const length = lengths.find((dim) => ![...symbolsOf(dim)].some((name) => pasts.has(name) || isSum(name)));
  const known = (name: string): Dim | undefined => {
    if (pasts.has(name)) return 0;
    return isSum(name) ? length : undefined;
  };
  const values = [...graph.allNodes()].flatMap(({ outputs }) => outputs);
  for (const value of [...graph.inputs, ...values]) {
    const type = value?.tensorType;
    if (value === null || type?.shape === undefined) continue;
    value.type = tensorType(
      type.dtype,
      type.shape.map((dim) => substituteDim(dim, known)),
    );
  }
}

function symbolsAt({ tensorType: type }: Value, axis: number): string[] {
  return [...symbolsOf(type?.shape?.[axis] ?? 0)];
}

/** A tensor of the cache's type without any position. */
function emptyCache(b: OpBuilder, past: Value, graph: Graph): Value {
  const { dtype = "float32", shape = [] } = past.tensorType ?? {};
  const sizes = shape.map((dim) => {
    if (typeof dim === "number") return b.ints([dim]);
    const source = graph.inputs.find(
      (input) =>
        input !== past &&
        input.tensorType?.shape?.some((other) => dimsEqual(other, dim)) &&
        !mayBeCache(input),
    );
    const axis = source?.tensorType?.shape?.findIndex((other) => dimsEqual(other, dim)) ?? 0;
    // A cache whose rows bear a name of their own has as many as the ids.
    const from = source ?? graph.inputs.find((input) => !mayBeCache(input));
    return from === undefined ? b.ints([1]) : b.unsqueeze(b.dim(from, axis), [0]);
  });
  return b.expand(b.scalar(0, dtype), b.concat(sizes, 0));
}
