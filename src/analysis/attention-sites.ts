/** Finds attention blocks by pattern: queries times keys, masks and scales, Softmax, times values. */
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { canonicalAxes, type HeadTensor, isScalar, lengthOf, openHeads, traceHeads } from "./head-tensor.ts";
import { ModuleTree } from "./module-path.ts";
import type { LinearSite, Site } from "./sites.ts";
import type { PromptSite } from "./token-streams.ts";

/** A linear module and the part of its outputs that is meant. */
export interface Projection {
  readonly site: LinearSite;
  /** First output feature, and number of them: all unless queries, keys and values are one product. */
  readonly start: number;
  readonly size: number;
}

/** An attention block. Lengths and numbers of heads are static. */
export interface AttentionSite {
  readonly kind: "attention";
  /** Module path of the block, such as `model.layers.0.self_attn`. */
  readonly path: string;
  /** Its Softmax or Attention node. */
  readonly node: Node;
  readonly query: HeadTensor;
  /** Keys and values as they are stored, with their own number of heads. */
  readonly key: HeadTensor;
  readonly value: HeadTensor;
  /** Weighted sums of the values, [batch, heads, sequence, head_dim]. */
  readonly mixed: Value;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
  /** Stream of the queries, where keys and values come from the same; undefined for attention across streams. */
  readonly stream: PromptSite | undefined;
  /** Modules that make keys, values, and the block's output; undefined where none was found. */
  readonly keyProjection: Projection | undefined;
  readonly valueProjection: Projection | undefined;
  readonly output: LinearSite | undefined;
  /** Whether queries, keys and values are parts of one product. */
  readonly fused: boolean;
}

/** What a search found beside blocks: Softmax nodes that are no part of one, with the reason. */
export interface AttentionSearch {
  readonly sites: readonly AttentionSite[];
  readonly rejected: readonly { readonly node: string; readonly reason: string }[];
}

/** Blocks of a prepared graph in execution order. */
export function findAttention(
  graph: Graph,
  sites: readonly Site[],
  streams: readonly PromptSite[],
): AttentionSearch {
  const tree = new ModuleTree(graph);
  const linear = new Map<Value, LinearSite>();
  for (const site of sites) {
    if (site.kind === "linear") linear.set(site.y, site).set(site.node.output(), site);
  }
  const influences = streams.map(({ tokens }) => influenceOf(tokens));
  const last = (value: Value): number => influences.findLastIndex((each) => each.has(value));
  // Attention across streams has queries of a later one than its keys.
  const streamOf = ({ query, key }: Parts): PromptSite | undefined =>
    last(query.value) === last(key.value) ? streams[last(key.value)] : undefined;
  const found: AttentionSite[] = [];
  const rejected: { node: string; reason: string }[] = [];
  for (const node of graph.nodes()) {
    const parts = partsOf(node);
    if (parts === undefined) continue;
    const site = typeof parts === "string" ? parts : toSite(node, parts, tree, linear, streamOf(parts));
    if (typeof site === "string") rejected.push({ node: node.name, reason: site });
    else found.push(site);
  }
  return { sites: found, rejected };
}

interface Parts {
  readonly query: HeadTensor;
  readonly key: HeadTensor;
  readonly value: HeadTensor;
  readonly mixed: Value;
}

function partsOf(node: Node): Parts | string | undefined {
  if (node.domain !== "") return undefined;
  if (node.op === "Attention") return partsOfAttention(node);
  if (node.op !== "Softmax") return undefined;
  const scores = scoresOf(node);
  const mix = mixOf(node);
  if (scores === undefined) return "no product of queries and keys makes its scores";
  if (mix === undefined) return "its weights are not multiplied with values";
  const [query, key] = [scores.input(0), scores.input(1)];
  const value = mix.input(1);
  if (query === undefined || key === undefined || value === undefined) return "an operand is missing";
  const [q, k, v] = [
    openHeads(query, canonicalAxes),
    openHeads(key, ["batch", "heads", "dim", "sequence"]),
    openHeads(value, canonicalAxes),
  ];
  if (q === undefined || k === undefined || v === undefined)
    return "its products are not over [batch, heads, sequence, head_dim]";
  return { query: q, key: k, value: v, mixed: mix.output() };
}

/** The operator of its own, with heads as an axis. */
function partsOfAttention(node: Node): Parts | string {
  const [query, key, value] = [node.input(0), node.input(1), node.input(2)];
  if (query === undefined || key === undefined || value === undefined) return "an operand is missing";
  if (rank(query) !== 4) return "its heads are not an axis";
  const [q, k, v] = [query, key, value].map((operand) => traceHeads(operand, canonicalAxes));
  if (q === undefined || k === undefined || v === undefined) return "an operand is missing";
  return { query: q, key: k, value: v, mixed: node.output() };
}

function rank(value: Value): number | undefined {
  return value.tensorType?.shape?.length;
}

/** The product of queries and keys behind a Softmax: masks are added or chosen, scales and caps applied in between. */
function scoresOf(softmax: Node): Node | undefined {
  let value = softmax.input(0);
  while (value?.producer !== undefined) {
    const node: Node = value.producer;
    if (node.op === "MatMul") return node;
    value = scoreOperand(node);
  }
  return undefined;
}

function scoreOperand(node: Node): Value | undefined {
  switch (node.op) {
    case "Cast":
    case "Identity":
    case "Tanh":
    case "Div":
    case "Sub":
    case "Clip":
    case "Reshape":
      return node.input(0);
    case "Mul":
      return isScalar(node.input(0)) ? node.input(1) : node.input(0);
    case "Add":
    case "Max":
      return [node.input(0), node.input(1)].find(
        (operand) => operand !== undefined && leadsToProduct(operand),
      );
    case "Where":
      return [node.input(1), node.input(2)].find(
        (operand) => operand !== undefined && leadsToProduct(operand),
      );
    default:
      return undefined;
  }
}

/** Whether an operand of a sum is the scores rather than a mask or a bias. */
function leadsToProduct(operand: Value): boolean {
  const node = operand.producer;
  if (node === undefined) return false;
  if (node.op === "MatMul") return (rank(node.output()) ?? 0) > 2;
  const next = scoreOperand(node);
  return next !== undefined && leadsToProduct(next);
}

/** The product of a Softmax's weights with the values: guards against empty rows and casts stand in between. */
function mixOf(softmax: Node): Node | undefined {
  let value = softmax.output();
  for (;;) {
    const readers: Node[] = [...value.uses].flatMap((use) => (use.kind === "operand" ? [use.node] : []));
    const product = readers.find((node) => node.op === "MatMul" && node.input(0) === value);
    if (product !== undefined) return product;
    const next = readers.find(({ op }) => /^(Cast|Where|Identity|Dropout|Reshape)$/.test(op));
    if (next === undefined) return undefined;
    value = next.output();
  }
}

function toSite(
  node: Node,
  { query, key, value, mixed }: Parts,
  tree: ModuleTree,
  linear: ReadonlyMap<Value, LinearSite>,
  stream: PromptSite | undefined,
): AttentionSite | string {
  const heads = lengthOf(query, "heads");
  const keyHeads = lengthOf(key, "heads");
  const headDim = lengthOf(key, "dim");
  const valueDim = lengthOf(value, "dim");
  if (
    typeof heads !== "number" ||
    typeof keyHeads !== "number" ||
    typeof headDim !== "number" ||
    typeof valueDim !== "number"
  ) {
    return "numbers and sizes of its heads are not fixed";
  }
  if (lengthOf(value, "heads") !== keyHeads) return "keys and values have different numbers of heads";
  const [ofKey, ofValue] = [key, value].map((part) => projectionOf(part.value, linear));
  const output = outputOf(mixed, linear);
  const path = tree.pathOf(node) ?? commonParent(ofKey?.site.path, output?.path) ?? node.name;
  return {
    kind: "attention",
    path,
    node,
    query,
    key,
    value,
    mixed,
    heads,
    keyHeads,
    headDim,
    valueDim,
    stream,
    keyProjection: ofKey,
    valueProjection: ofValue,
    output,
    fused: ofKey !== undefined && ofKey.site === ofValue?.site,
  };
}

/** Every float value that depends on another one. */
function influenceOf(from: Value): Set<Value> {
  const reached = new Set([from]);
  for (const value of reached) {
    for (const use of value.uses) {
      if (use.kind !== "operand") continue;
      for (const output of use.node.outputs) {
        const type = output?.tensorType;
        if (output !== null && type !== undefined && isFloat(type.dtype)) reached.add(output);
      }
    }
  }
  return reached;
}

/** The linear module that makes a tensor, and which of its features, seen through movement and rotary angles. */
function projectionOf(from: Value, linear: ReadonlyMap<Value, LinearSite>): Projection | undefined {
  const open: { value: Value; start: number; size: number | undefined }[] = [
    { value: from, start: 0, size: undefined },
  ];
  const seen = new Set<Value>();
  for (const { value, start, size } of open) {
    if (seen.has(value)) continue;
    seen.add(value);
    const site = linear.get(value);
    if (site !== undefined) return { site, start, size: size ?? site.outFeatures };
    const node = value.producer;
    if (node === undefined || value.tensorType?.dtype === "int64") continue;
    const part = node.op === "Split" ? partOfSplit(node, value) : undefined;
    for (const input of node.op === "Split" ? [node.input(0)] : node.inputs) {
      if (input === null || input === undefined || input.initializer !== undefined) continue;
      open.push({ value: input, start: start + (part?.start ?? 0), size: size ?? part?.size });
    }
  }
  return undefined;
}

/** Position of a result of Split on the last axis. */
function partOfSplit(node: Node, value: Value): { start: number; size: number } | undefined {
  const sizes = node.outputs.map((output) => output?.tensorType?.shape?.at(-1));
  const size = sizes[value.outputIndex];
  let start = 0;
  for (const before of sizes.slice(0, value.outputIndex)) {
    if (typeof before !== "number") return undefined;
    start += before;
  }
  return typeof size === "number" ? { start, size } : undefined;
}

/** The linear module that reads the mixed values, behind movement. */
function outputOf(mixed: Value, linear: ReadonlyMap<Value, LinearSite>): LinearSite | undefined {
  const sites = new Set(linear.values());
  let value = mixed;
  for (;;) {
    const readers: Node[] = [...value.uses].flatMap((use) => (use.kind === "operand" ? [use.node] : []));
    for (const site of sites) if (site.x === value) return site;
    const next = readers.find(({ op }) => op === "Transpose" || op === "Reshape" || op === "Cast");
    if (next === undefined) return undefined;
    value = next.output();
  }
}

function commonParent(left: string | undefined, right: string | undefined): string | undefined {
  if (left === undefined || right === undefined) return undefined;
  const [a, b] = [left.split("."), right.split(".")];
  const length = a.findIndex((part, i) => part !== b[i]);
  return length <= 0 ? undefined : a.slice(0, length).join(".");
}
