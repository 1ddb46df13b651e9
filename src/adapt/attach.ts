/** Rewrites sites into adapter-augmented subgraphs: the part of `adapt` that is the same for every method. */

import { dequantizedIn } from "../analysis/quantized-weight.ts";
import { type AnySite, findSites, type Site, type SiteParameter } from "../analysis/sites.ts";
import { findStreams } from "../analysis/token-streams.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { autodiffErrors } from "../diagnostics/autodiff.ts";
import { InternalError } from "../diagnostics/define.ts";
import { cloneNode } from "../ir/clone.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { inferNode } from "../ops/infer.ts";
import { attachToBlocks } from "./attach-blocks.ts";
import { attachPrompts, attachToAttention } from "./attach-structure.ts";
import { type AttachOptions, toolsOf } from "./attach-tools.ts";
import type { BoundAdapter, BuildContext, Merged } from "./define.ts";
import { addParameters } from "./parameters.ts";
import { markPenalty } from "./penalty.ts";
import type { Places } from "./places.ts";
import { basePath, ownerPath } from "./select.ts";

/** Attaches a method to the places that were chosen for it. */
export function attachTo(graph: Graph, adapter: BoundAdapter, places: Places, options: AttachOptions): void {
  if (places.kind === "modules") {
    attachAdapter(graph, adapter, places.sites, options);
    for (const { adapter: companion, sites } of places.companions)
      attachAdapter(graph, companion, sites, options);
    return;
  }
  const { method, sites, streams } = places;
  const shared = addParameters(
    graph,
    adapter.shared(sites),
    { method: adapter.name, path: undefined },
    options.seed,
  );
  const start = graph.first;
  const common = {
    ...shared,
    ...method.derive(shared, toolsOf(new OpBuilder({ graph, before: start }, options.opset), options)),
  };
  const paramsOf = (site: AnySite): Record<string, Value> => ({
    ...common,
    ...addParameters(
      graph,
      adapter.parameters(site, sites),
      { method: adapter.name, path: basePath(site) },
      options.seed,
    ),
  });
  const at = { graph, start, streams, paramsOf, options };
  if (places.kind === "prompt") attachPrompts(places.method, places.sites, at);
  else if (places.kind === "block") attachToBlocks(places.method, places.sites, at);
  else attachToAttention(places.method, places.sites, at);
}

/** Adapts every site in place. Several calls of one module share its parameters. */
export function attachAdapter(
  graph: Graph,
  adapter: BoundAdapter,
  sites: readonly Site[],
  options: AttachOptions,
): void {
  const byKey = new Map<string, Value>();
  const common = addParameters(
    graph,
    adapter.shared(sites),
    { method: adapter.name, path: undefined },
    options.seed,
    byKey,
  );
  const known = new Map<string, Record<string, Value>>();
  // A site right behind another one reads what that one yields adapted.
  const adapted = new Map<Value, Value>();
  const terms: Value[] = [];
  const shared = {
    addToLoss: (term: Value): void => void terms.push(term),
    modules: new Set(sites.map(ownerPath)).size,
    tokens: tokensOf(graph, adapter),
  };
  for (const found of sites) {
    const site = { ...found, x: adapted.get(found.x) ?? found.x };
    const path = ownerPath(site);
    const params =
      known.get(path) ??
      addParameters(
        graph,
        adapter.parameters(site, sites),
        { method: adapter.name, path },
        options.seed,
        byKey,
      );
    known.set(path, params);
    adapted.set(
      site.y,
      attachToSite(graph, adapter, site, { ...common, ...params }, { ...options, ...shared }),
    );
  }
  const b = new OpBuilder({ graph }, options.opset);
  const penalty = adapter.penalty([...known.values()], b);
  const [first, ...rest] = penalty === undefined ? terms : [...terms, penalty];
  if (first === undefined) return;
  const total = rest.reduce((sum, term) => b.add(sum, term), first);
  total.name = "penalty";
  markPenalty(total);
  graph.addOutput(total);
}

type Shared = Pick<BuildContext<unknown, string>, "addToLoss" | "modules" | "tokens">;

/** Gives the ids of the stream that makes the output, looked for when they are first asked for. */
function tokensOf(graph: Graph, { name }: BoundAdapter): () => Value {
  let ids: Value | undefined;
  return () => {
    if (ids !== undefined) return ids;
    const sites = findSites(graph);
    ids = findStreams(graph, sites).at(-1)?.ids;
    if (ids !== undefined) return ids;
    const tables = sites.filter(({ kind }) => kind === "embedding").map(({ path }) => path);
    throw adaptErrors.E_TOKENS_MISSING(name, tables);
  };
}

/** Gives the adapted output. */
function attachToSite(
  graph: Graph,
  adapter: BoundAdapter,
  site: Site,
  params: Record<string, Value>,
  options: AttachOptions & Shared,
): Value {
  const last = site.y.producer;
  if (last === undefined) throw new InternalError(`site "${site.path}" yields no result of a node`);
  const b = new OpBuilder({ graph, before: last.next }, options.opset);
  b.source = site.node;
  // Readers before the rewrite: what the adapter itself builds must go on reading the base output.
  const readers = new Set(site.y.uses);
  const { addToLoss, modules, tokens } = options;
  const adapted = adapter.build({
    ...toolsOf(b, options),
    addToLoss,
    modules,
    tokens,
    site,
    x: site.x,
    y: site.y,
    params: inTypeOf(b, site.y, params),
    weight: () => torchWeight(b, site),
    base: (x, weights = {}) => applyBase(b, site, x, weights),
  });
  const name = site.y.name;
  site.y.replaceUses(adapted, (use) => !readers.has(use));
  if ([...adapted.uses].some((use) => use.kind === "output")) {
    site.y.name = "";
    adapted.name = name;
  }
  return adapted;
}

/** Trained tensors, which are float32, in the type that the site computes in. @throws DiagnosticError `E_UNKNOWN_TYPE`. */
function inTypeOf(b: OpBuilder, y: Value, params: Record<string, Value>): Record<string, Value> {
  if (y.tensorType === undefined) {
    const { op = "", name = "" } = y.producer ?? {};
    throw autodiffErrors.E_UNKNOWN_TYPE({ op, name }, y.name);
  }
  const isTrained = (value: Value): boolean => value.tensorType?.dtype === "float32";
  const typed = (value: Value): Value => (isTrained(value) ? b.castLike(value, y) : value);
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, typed(value)]));
}

/** The weight as PyTorch lays it out, through a Transpose where the file stores it the other way. */
function torchWeight(b: OpBuilder, { weight }: Site): Value {
  const stored = weight.quantized === undefined ? weight.value : dequantizedIn(b, weight.quantized);
  const whole = weight.storedAs === "torch" ? stored : b.transpose(stored, [1, 0]);
  return rowsOf(b, whole, weight.rows);
}

function rowsOf(b: OpBuilder, whole: Value, rows: SiteParameter["rows"]): Value {
  if (rows === undefined) return whole;
  return b.slice(whole, { starts: [rows.start], ends: [rows.start + rows.size], axes: [0] });
}

/** A second copy of the site's nodes, from its input to its biased output, on another input or with other weights. */
function applyBase(b: OpBuilder, site: Site, x: Value, weights: Merged): Value {
  const { quantized, rows } = site.weight;
  if (weights.weight !== undefined && (quantized?.readByOperator === true || rows !== undefined))
    return applyFloat(b, site, x, { ...weights, weight: weights.weight });
  if (weights.bias !== undefined && (rows ?? site.bias?.rows) !== undefined)
    return applyFloat(b, site, x, { ...weights, weight: torchWeight(b, site) });
  const map = new Map<Value, Value>([[site.x, x]]);
  for (const node of nodesOf(site)) {
    const copy = cloneNode(node, map);
    for (const output of copy.outputs) if (output !== null) output.name = "";
    replaceParameters(b, site, node, copy, weights);
    b.graph.insert(copy, b.before);
    inferNode(copy, b.opset);
  }
  const result = map.get(site.y);
  if (result === undefined) throw new InternalError(`the copy of site "${site.path}" has no result`);
  return result;
}

/** The nodes from what a site reads to what it yields, in order. */
function nodesOf({ node, x, y, weight }: Site): Node[] {
  if (weight.quantized?.readByOperator !== true && weight.rows === undefined)
    return y.producer === undefined || y.producer === node ? [node] : [node, y.producer];
  const nodes: Node[] = [];
  const visit = (value: Value | null): boolean => {
    if (value === x) return true;
    const producer = value?.producer;
    if (producer === undefined) return false;
    if (nodes.includes(producer)) return true;
    // Every operand is visited, so that all of them stand before their reader.
    const reached = producer.inputs.map(visit).includes(true);
    if (reached) nodes.push(producer);
    return reached;
  };
  visit(y);
  return nodes;
}

/** The site with weights of its own, where its operator reads quantised ones, or those of several modules. */
function applyFloat(
  b: OpBuilder,
  site: Site,
  x: Value,
  { weight, bias }: Merged & { readonly weight: Value },
): Value {
  const own = site.bias?.reader.input(site.bias.operand);
  const added = bias ?? (own === undefined ? undefined : rowsOf(b, own, site.bias?.rows));
  const { node } = site;
  switch (site.kind) {
    case "linear": {
      const product = b.matmul(x, b.transpose(weight, [1, 0]));
      return added === undefined ? product : b.add(product, added);
    }
    case "conv":
      return b.op("Conv", [x, weight, added ?? null], Object.fromEntries(node.attributes));
    case "embedding":
      return b.gather(weight, x);
    case "norm":
      throw new InternalError(`norm "${site.path}" has quantised weights`);
  }
}

function replaceParameters(b: OpBuilder, site: Site, from: Node, copy: Node, { weight, bias }: Merged): void {
  if (weight !== undefined && site.weight.reader === from) {
    const flips = site.kind === "linear" && !(from.op === "Gemm" && from.int("transB", 0) !== 0);
    copy.setInput(site.weight.operand, flips ? b.transpose(weight, [1, 0]) : weight);
  }
  if (bias !== undefined && site.bias?.reader === from) copy.setInput(site.bias.operand, bias);
}
