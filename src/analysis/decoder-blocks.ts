/** Finds the blocks of a decoder: the modules of one numbered list, each between two values of the hidden states. */
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import type { AttentionSite } from "./attention-sites.ts";
import type { Site } from "./sites.ts";
import type { PromptSite } from "./token-streams.ts";

/** A block through which the hidden states go, [batch, sequence, width]: all that follows depends on what leaves it alone. */
export interface BlockSite {
  readonly kind: "block";
  /** Module path, such as `model.layers.0`. */
  readonly path: string;
  /** Number in its list. */
  readonly index: number;
  readonly input: Value;
  readonly output: Value;
  readonly stack: BlockStack;
}

/** What the blocks of a list have in common. */
export interface BlockStack {
  /** Path of the module that has the list, and begins the paths of its modules, such as `model.`; empty at the top. */
  readonly prefix: string;
  readonly width: number;
  /** What the table of tokens yields. */
  readonly tokens: Value;
  /** What enters the first block, and leaves the last. */
  readonly input: Value;
  readonly output: Value;
  /** What leaves each block. */
  readonly ends: readonly Value[];
  /** Modules of each block, and those between the last block and the head, in execution order. */
  readonly blocks: readonly (readonly Site[])[];
  readonly behind: readonly Site[];
  /** Paths of attention modules. */
  readonly attention: readonly string[];
  /** Module that makes the output. */
  readonly head: Site;
}

/** Blocks in execution order; a reason where the model has none. */
export function findBlocks(
  graph: Graph,
  sites: readonly Site[],
  stream: PromptSite | undefined,
  attention: readonly AttentionSite[],
  head: Site | undefined,
): readonly BlockSite[] | string {
  if (stream === undefined) return "no table of tokens is indexed by an input";
  if (head === undefined) return "no module makes the output";
  const lists = groupBy(sites, ({ path }) => /^((?:.*?\.)?[A-Za-z_]\w*)\.\d+\./.exec(path)?.[1] ?? "");
  const own = [...lists].filter(
    ([name, all]) => name !== "" && attention.some(({ path }) => all.some((site) => isIn(site, path))),
  );
  const [[list, members] = [undefined, []], another] = own;
  if (list === undefined) return "no numbered list of modules has attention";
  if (another !== undefined) return `attention is in two lists of modules, "${list}" and "${another[0]}"`;
  const blocks = [...groupBy(members, ({ path }) => Number(path.slice(list.length + 1).split(".")[0]))];
  const last = members.at(-1);
  const stack: Omit<BlockStack, "input" | "output" | "ends"> = {
    prefix: list.includes(".") ? `${list.slice(0, list.lastIndexOf("."))}.` : "",
    width: stream.width,
    tokens: stream.tokens,
    blocks: blocks.map(([, all]) => all),
    behind: last === undefined ? [] : sites.slice(sites.indexOf(last) + 1).filter((site) => site !== head),
    attention: attention.map(({ path }) => path),
    head,
  };
  const waist = narrowValues(graph, stream.tokens, head.y);
  const place = new Map([...graph.nodes()].map((node, at) => [node, at]));
  const placeOf = ({ producer }: Value): number =>
    producer === undefined ? -1 : (place.get(producer) ?? -1);
  const ends = blocks.flatMap(([, all]) => {
    const behind = Math.max(...all.map(({ y }) => placeOf(y)));
    return waist.find((value) => placeOf(value) >= behind) ?? [];
  });
  const start = Math.min(...stack.blocks.flat().map(({ node }) => place.get(node) ?? 0));
  const input = waist.findLast((value) => placeOf(value) < start);
  const output = ends.at(-1);
  if (input === undefined || output === undefined) return `not all that "${list}" yields goes through it`;
  const found = blocks.flatMap(([index], at): BlockSite[] => {
    const [from, to] = [at === 0 ? input : ends[at - 1], ends[at]];
    if (from === undefined || to === undefined || from === to) return [];
    return [
      {
        kind: "block",
        path: `${list}.${index}`,
        index,
        input: from,
        output: to,
        stack: { ...stack, input, output, ends },
      },
    ];
  });
  return found.length === blocks.length
    ? found
    : `no single value leads from each block of "${list}" to the next`;
}

function groupBy<T, K>(all: readonly T[], keyOf: (each: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const each of all) {
    const key = keyOf(each);
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  return groups;
}

function isIn({ path }: Site, module: string): boolean {
  return path.startsWith(`${module}.`);
}

/** Values that everything between two values goes through, both included, in order; lengths aside. */
function narrowValues(graph: Graph, from: Value, to: Value): Value[] {
  const nodes = nodesBetween(graph, from, to, isFloatValue);
  const open = new Map<Value, number>();
  const known = new Set(nodes);
  const floatUses = (value: Value): number =>
    [...value.uses].filter((use) => use.kind === "operand" && known.has(use.node)).length;
  open.set(from, floatUses(from));
  const narrow = [from];
  for (const node of nodes) {
    for (const input of node.inputs) {
      const left = input === null ? undefined : open.get(input);
      if (input === null || left === undefined) continue;
      if (left === 1) open.delete(input);
      else open.set(input, left - 1);
    }
    for (const output of node.outputs) {
      if (output === null || !isFloatValue(output)) continue;
      const count = output === to ? 1 : floatUses(output);
      if (count > 0) open.set(output, count);
    }
    const [only, another] = open.keys();
    if (only !== undefined && another === undefined && narrow.at(-1) !== only) narrow.push(only);
  }
  return narrow;
}

export function isFloatValue({ tensorType: type }: Value): boolean {
  return type !== undefined && isFloat(type.dtype);
}

/**
 * Nodes between two values, in order: those that read the first, through others too, and that lead to the second.
 *
 * @param counts says which values in between it may be read through; all unless given.
 */
export function nodesBetween(
  graph: Graph,
  from: Value,
  to: Value,
  counts: (value: Value) => boolean = () => true,
): Node[] {
  const reading = new Set<Value>([from]);
  const behind = new Set<Node>();
  for (const value of reading) {
    for (const use of value.uses) {
      if (use.kind !== "operand") continue;
      behind.add(use.node);
      for (const output of use.node.outputs) if (output !== null && counts(output)) reading.add(output);
    }
  }
  const wanted = new Set<Value>(from === to ? [] : [to]);
  const found = new Set<Node>();
  for (const value of wanted) {
    const node = value.producer;
    if (value === from || node === undefined || !behind.has(node)) continue;
    found.add(node);
    for (const input of node.inputs) if (input !== null) wanted.add(input);
  }
  return [...graph.nodes()].filter((node) => found.has(node));
}
