/** Attaches methods of prompts and attention: virtual tokens, prefixes of keys and values, updates of attention blocks. */
import type { AttentionSite, Projection } from "../analysis/attention-sites.ts";
import { canonicalAxes, type HeadTensor } from "../analysis/head-tensor.ts";
import type { AnySite } from "../analysis/sites.ts";
import type { PromptSite } from "../analysis/token-streams.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { InternalError } from "../diagnostics/define.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { markVirtual } from "../ir/role.ts";
import type { Use, Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { dimOf, rankOf } from "../ops/facts.ts";
import { type AttachOptions, toolsOf } from "./attach-tools.ts";
import type { AttentionChange, AttentionStructure, HeadPair, PromptStructure } from "./define-structure.ts";
import { dropVirtual } from "./drop-virtual.ts";
import { isLonger, lengthenStream } from "./lengthen.ts";

/** What both kinds of attaching are given beside method and places. */
export interface StructureAt {
  readonly graph: Graph;
  /** First node of the model, before which is built what depends on nothing but parameters. */
  readonly start: Node | undefined;
  /** All token streams of the model. */
  readonly streams: readonly PromptSite[];
  /** Tensors of the method by name, for one place. */
  readonly paramsOf: (site: AnySite) => Readonly<Record<string, Value>>;
  readonly options: AttachOptions;
}

/** Puts what the method builds before the tokens of each chosen stream. */
export function attachPrompts(method: PromptStructure, sites: readonly PromptSite[], at: StructureAt): void {
  const { graph, start, options, paramsOf } = at;
  for (const site of sites) {
    const tools = toolsOf(builderAt(graph, start, options), options);
    const virtual = method.build({ ...tools, site, params: paramsOf(site) });
    const count = lengthOfTokens(virtual);
    lengthen(site, count, at);
    const b = builderAt(graph, firstReader(graph, site.tokens), options);
    const readers = new Set(site.tokens.uses);
    replaceFront(b, site.tokens, readers, rows(b, virtual, site), count);
    for (const output of graph.outputs) if (isLonger(output, site, count)) markVirtual(output, count);
  }
}

/** Lets the method change each chosen block. Prefixes make the streams of their blocks longer, without a trace at the outputs. */
export function attachToAttention(
  method: AttentionStructure,
  sites: readonly AttentionSite[],
  at: StructureAt,
): void {
  const { graph, start, options, paramsOf } = at;
  const longer = new Map<PromptSite, number>();
  for (const [index, site] of sites.entries()) {
    const b = builderAt(graph, start, options);
    const change = method.build({
      ...toolsOf(b, options),
      site,
      index,
      params: paramsOf(site),
      query: () => {
        // What is built from the queries stands behind them, all else before the model, where its layers can read it.
        b.before = site.node;
        return inOrder(b, site.query);
      },
      project: (tokens) => projectHeads(b, site, tokens),
    });
    if (change.update !== undefined) addUpdate(graph, site, change.update, options);
    if (change.prefix === undefined) continue;
    const count = putBefore(graph, site, change.prefix, options);
    if (site.stream !== undefined) longer.set(site.stream, count);
  }
  for (const [stream, count] of longer) {
    lengthen(stream, count, at);
    dropVirtual(graph, stream, count, options);
  }
}

function lengthen(stream: PromptSite, count: number, { graph, streams, options }: StructureAt): void {
  const others = streams.filter(({ ids }) => ids !== stream.ids);
  lengthenStream(graph, stream, others, count, options.opset);
}

function builderAt(graph: Graph, before: Node | undefined, { opset }: AttachOptions): OpBuilder {
  const b = new OpBuilder({ graph, before }, opset);
  b.source = before;
  return b;
}

/** The node behind the one that makes a value. */
function firstReader(graph: Graph, value: Value): Node | undefined {
  return value.producer === undefined ? graph.first : value.producer.next;
}

function lengthOfTokens(tokens: Value): number {
  const count = dimOf(tokens, -2);
  if (typeof count !== "number") throw new InternalError("the number of virtual tokens is not known");
  return count;
}

/** Virtual tokens for every row of a batch, in the type of the real ones. */
function rows(b: OpBuilder, virtual: Value, { tokens }: PromptSite): Value {
  const typed = b.castLike(virtual, tokens);
  if (rankOf(typed) === 3) return typed;
  const shape = b.concat([b.unsqueeze(b.dim(tokens, 0), [0]), b.ints([1, 1])], 0);
  return b.expand(b.unsqueeze(typed, [0]), shape);
}

/** Lets the readers of a sequence, [batch, sequence, ...] unless another axis is given, read other elements in its first places. */
function replaceFront(
  b: OpBuilder,
  sequence: Value,
  readers: ReadonlySet<Use>,
  front: Value,
  count: number,
  axis = 1,
): void {
  const rest = b.slice(sequence, { starts: [count], ends: [Number.MAX_SAFE_INTEGER], axes: [axis] });
  const replaced = b.concat([front, rest], axis);
  sequence.replaceUses(replaced, (use) => !readers.has(use));
}

/** A tensor as [batch, heads, sequence, head_dim]. */
function inOrder(b: OpBuilder, { value, axes }: HeadTensor): Value {
  return b.transpose(
    value,
    canonicalAxes.map((axis) => axes.indexOf(axis)),
  );
}

/** [batch, heads, n, head_dim] in the layout of another tensor. */
function inLayoutOf(b: OpBuilder, value: Value, { axes }: HeadTensor): Value {
  return b.transpose(
    value,
    axes.map((axis) => canonicalAxes.indexOf(axis)),
  );
}

/** Replaces the first keys and values, which are those of virtual tokens. */
function putBefore(graph: Graph, site: AttentionSite, prefix: HeadPair, options: AttachOptions): number {
  const count = lengthOfTokens(prefix.key);
  for (const [part, front] of [
    [site.key, prefix.key],
    [site.value, prefix.value],
  ] as const) {
    const b = builderAt(graph, firstReader(graph, part.value), options);
    const readers = new Set(part.value.uses);
    const batch = part.axes.indexOf("batch");
    const typed = inLayoutOf(b, b.castLike(front, part.value), part);
    const shape = [0, 1, 2, 3].map((axis) =>
      axis === batch ? b.unsqueeze(b.dim(part.value, batch), [0]) : b.ints([1]),
    );
    const rows = b.expand(typed, b.concat(shape, 0));
    replaceFront(b, part.value, readers, rows, count, part.axes.indexOf("sequence"));
  }
  return count;
}

/** Adds a method's part to what the block mixes, or to what its output projection makes of it. */
function addUpdate(
  graph: Graph,
  site: AttentionSite,
  { value, behindProjection }: NonNullable<AttentionChange["update"]>,
  options: AttachOptions,
): void {
  const target = behindProjection ? projected(site).y : site.mixed;
  if (!behindProjection && rankOf(site.mixed) !== 4) {
    const found = "its result has batch and heads in one axis";
    throw adaptErrors.E_ATTENTION_REFUSED("the method", site.path, found);
  }
  const readers = new Set(target.uses);
  const b = builderAt(graph, firstReader(graph, target), options);
  const added = behindProjection ? b.reshape(b.transpose(value, [0, 2, 1, 3]), b.shape(target)) : value;
  const sum = b.add(target, added);
  target.replaceUses(sum, (use) => !readers.has(use));
}

function projected({ path, output }: AttentionSite): NonNullable<AttentionSite["output"]> {
  if (output === undefined)
    throw adaptErrors.E_ATTENTION_REFUSED("the method", path, "no linear module reads its result");
  return output;
}

/** Keys and values of other tokens [n, width], by the block's own modules. */
function projectHeads(b: OpBuilder, site: AttentionSite, tokens: Value): HeadPair {
  const { keyProjection, valueProjection, keyHeads, headDim, valueDim, path } = site;
  if (keyProjection === undefined || valueProjection === undefined)
    throw adaptErrors.E_ATTENTION_REFUSED("the method", path, "no linear module makes its keys and values");
  return {
    key: heads(keyProjection, keyHeads * headDim, headDim),
    value: heads(valueProjection, keyHeads * valueDim, valueDim),
  };

  function heads({ site: linear, start, size }: Projection, wanted: number, dim: number): Value {
    if (size !== wanted) {
      const found = `"${linear.path}" yields ${size} features for them, not ${wanted}`;
      throw adaptErrors.E_ATTENTION_REFUSED("the method", path, found);
    }
    const weight =
      linear.weight.storedAs === "torch" ? b.transpose(linear.weight.value, [1, 0]) : linear.weight.value;
    const product = b.matmul(b.castLike(tokens, weight), weight);
    const all = linear.bias === undefined ? product : b.add(product, linear.bias.value);
    const part =
      size === linear.outFeatures ? all : b.slice(all, { starts: [start], ends: [start + size], axes: [1] });
    return b.transpose(b.reshape(part, [1, -1, keyHeads, dim]), [0, 2, 1, 3]);
  }
}
