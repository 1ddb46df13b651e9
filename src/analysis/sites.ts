/** Finds the modules of a model that adapters attach to: linear layers, convolutions, embeddings and norms. */
import { constantOf } from "../ir/constant.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { roleOf } from "../ir/role.ts";
import type { Value } from "../ir/value.ts";
import { opOf } from "../ops/registry.ts";
import type { AttentionSite } from "./attention-sites.ts";
import type { BlockSite } from "./decoder-blocks.ts";
import { ModuleTree, parseParameterName } from "./module-path.ts";
import { normSite } from "./norm-site.ts";
import { type InitializerPart, splitPart, unpackSite } from "./packed-sites.ts";
import { quantizedSite } from "./quantized-site.ts";
import { dequantizedByNode, type QuantizedWeight } from "./quantized-weight.ts";
import { tellApart } from "./tell-apart.ts";
import type { PromptSite } from "./token-streams.ts";

/** How the file stores a weight relative to PyTorch's layout of the same module. */
export type StoredAs = "torch" | "transposed";

/** A weight or bias of a site: the initializer, and the operand through which the site reads it. */
export interface SiteParameter {
  readonly value: Value;
  readonly storedAs: StoredAs;
  /** Node and operand position that read the parameter, after the Transposes in between. */
  readonly reader: Node;
  readonly operand: number;
  /** Rows, in PyTorch's layout, where the initializer holds several modules; left out where it is this module's alone. */
  readonly rows?: { readonly start: number; readonly size: number };
  /** What the initializer's numbers mean; left out where they are the weight themselves. */
  readonly quantized?: QuantizedWeight | undefined;
}

interface SiteBase {
  /** PyTorch module path, such as `model.layers.0.self_attn.q_proj`; unique among sites of one model. */
  readonly path: string;
  /** Path of the embedding whose table is this site's weight, where a method adapts both with the same tensors. */
  readonly tiedTo?: string;
  /** Node that multiplies, convolves, gathers or normalizes. */
  readonly node: Node;
  /** What the module reads. */
  readonly x: Value;
  /** What the module yields, bias added. */
  readonly y: Value;
  readonly weight: SiteParameter;
  readonly bias: SiteParameter | undefined;
}

/** `y[..., out] = x[..., in] W + b`. */
export interface LinearSite extends SiteBase {
  readonly kind: "linear";
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** The module's own parameter is (in, out), as in transformers' Conv1D. */
  readonly conv1d: boolean;
}

/** Convolution over 1 to 3 spatial axes; the weight is (out, in / groups, kernel...). */
export interface ConvSite extends SiteBase {
  readonly kind: "conv";
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernel: readonly number[];
  readonly groups: number;
}

/** `y = table[x]`; the weight is (rows, width). */
export interface EmbeddingSite extends SiteBase {
  readonly kind: "embedding";
  readonly rows: number;
  readonly width: number;
}

/** `y = normalized(x) * weight + bias` over the last axis. */
export interface NormSite extends SiteBase {
  readonly kind: "norm";
  readonly features: number;
}

/** A module with a weight of at least two axes. */
export type LayerSite = LinearSite | ConvSite | EmbeddingSite;

/** A module of the source model that adapters can attach to. */
export type Site = LayerSite | NormSite;

export type SiteKind = Site["kind"];

/** A module, or a place that is none: where token embeddings enter, an attention block, a block of a decoder. */
export type AnySite = Site | PromptSite | AttentionSite | BlockSite;

export type AnySiteKind = AnySite["kind"];

/** Every site of a graph, in execution order. Sites whose path cannot be recovered are named after their weight or node. */
export function findSites(graph: Graph): Site[] {
  const tree = new ModuleTree(graph);
  const sites: Site[] = [];
  for (const node of graph.nodes()) {
    const site =
      packedSite(node, tree) ??
      linearSite(node, tree) ??
      convSite(node, tree) ??
      embeddingSite(node, tree) ??
      normSite(node, tree);
    // What an adapter brought along is no module of the model.
    if (site === undefined || roleOf(site.weight.value) === "frozen") continue;
    sites.push(...(site.kind === "linear" ? unpackSite(site) : [site]));
  }
  return tellApart(sites);
}

/** Site that makes an output: the last product before it, with nothing but biases, casts and movement in between. */
export function findHead(allSites: readonly Site[], output: Value): Site | undefined {
  const sites = allSites.filter(({ kind }) => kind !== "norm");
  const byResult = new Map(sites.map((site) => [site.y, site]));
  const byNode = new Map(sites.map((site) => [site.node.output(), site]));
  for (let value: Value | undefined = output; value !== undefined; value = passedThrough(value)) {
    const site = byResult.get(value) ?? byNode.get(value);
    if (site !== undefined) return site;
  }
  return undefined;
}

/** The operand that a node hands on, where it adds no more than constants, and moves or casts elements. */
function passedThrough(value: Value): Value | undefined {
  const node = value.producer;
  if (node === undefined) return undefined;
  const data = node.inputs.filter((input) => input !== null && constantOf(input) === undefined);
  const op = opOf(node);
  if (op === undefined) return undefined;
  const { reads = [], makes = [] } = op.quantized;
  const requantizes = op.precision === "full" && reads.length + makes.length > 0;
  if (op.precision === "exact" || requantizes) return node.input(0);
  const combines = op.precision === "follow" && data.length === 1;
  return combines ? (data[0] ?? undefined) : undefined;
}

function linearSite(node: Node, tree: ModuleTree): LinearSite | undefined {
  if (node.domain !== "" || (node.op !== "MatMul" && node.op !== "Gemm")) return undefined;
  if (node.op === "Gemm" && (node.int("transA", 0) !== 0 || node.float("alpha", 1) !== 1)) return undefined;
  const x = node.input(0);
  const found = traceWeight(node, 1);
  if (x === undefined || found === undefined || constantOf(x) !== undefined) return undefined;
  const dims = found.dims;
  if (dims.length !== 2) return undefined;
  const flipped = found.flipped !== (node.op === "Gemm" && node.int("transB", 0) !== 0);
  const { part } = found;
  if (part !== undefined && part.axis !== (flipped ? 0 : 1)) return undefined;
  const [rows = 0, columns = 0] = dims;
  const [inFeatures, outFeatures] = flipped ? [columns, rows] : [rows, columns];
  const added = node.op === "Gemm" ? gemmBias(node) : addedBias(node, outFeatures);
  const path = sitePath(tree, node, found.value, added?.bias.value);
  // A weight that keeps its own name but not PyTorch's (out, in) order belongs to a Conv1D.
  const conv1d = !flipped && parseParameterName(found.value.name)?.module === path;
  return {
    kind: "linear",
    path,
    node,
    x,
    y: added?.y ?? node.output(),
    weight: {
      value: found.value,
      storedAs: flipped ? "torch" : "transposed",
      reader: part?.reader ?? node,
      operand: part === undefined ? 1 : 0,
      quantized: found.quantized,
      ...(part === undefined ? {} : { rows: part.rows }),
    },
    bias: added?.bias,
    inFeatures,
    outFeatures,
    conv1d,
  };
}

function convSite(node: Node, tree: ModuleTree): ConvSite | undefined {
  if (node.domain !== "" || node.op !== "Conv") return undefined;
  const x = node.input(0);
  const found = traceWeight(node, 1);
  const dims = found?.dims ?? [];
  if (x === undefined || found === undefined || found.flipped || dims.length < 3) return undefined;
  if (found.part !== undefined) return undefined;
  const groups = node.int("group", 1);
  const [outChannels = 0, perGroup = 0, ...kernel] = dims;
  const bias = parameterAt(node, 2);
  return {
    kind: "conv",
    path: sitePath(tree, node, found.value, bias?.value),
    node,
    x,
    y: node.output(),
    weight: { value: found.value, storedAs: "torch", reader: node, operand: 1, quantized: found.quantized },
    bias,
    inChannels: perGroup * groups,
    outChannels,
    kernel,
    groups,
  };
}

function embeddingSite(node: Node, tree: ModuleTree): EmbeddingSite | undefined {
  if (node.domain !== "" || node.op !== "Gather" || node.int("axis", 0) !== 0) return undefined;
  const found = traceWeight(node, 0);
  const ids = node.input(1);
  const dims = found?.dims ?? [];
  if (found === undefined || ids === undefined || dims.length !== 2 || constantOf(ids) !== undefined)
    return undefined;
  if (found.part !== undefined) return undefined;
  const [rows = 0, width = 0] = found.flipped ? [dims[1], dims[0]] : dims;
  return {
    kind: "embedding",
    path: tree.pathOfWeight(found.value, node, true) ?? (found.value.name || node.name),
    node,
    x: ids,
    y: node.output(),
    weight: {
      value: found.value,
      storedAs: found.flipped ? "transposed" : "torch",
      reader: node,
      operand: 0,
      quantized: found.quantized,
    },
    bias: undefined,
    rows,
    width,
  };
}

/** A module whose operator reads quantised numbers by itself. */
function packedSite(node: Node, tree: ModuleTree): LayerSite | undefined {
  const found = quantizedSite(node);
  if (found === undefined) return undefined;
  const { kind, x, y, packed: value, operand, storedAs, quantized } = found;
  const weight: SiteParameter = { value, storedAs, reader: node, operand, quantized };
  const [first = 0, second = 0, ...kernel] = quantized.shape;
  const base = { node, x, weight };
  if (kind === "embedding") {
    const path = tree.pathOfWeight(value, node, true) ?? (value.name || node.name);
    return { ...base, kind, path, y, bias: undefined, rows: first, width: second };
  }
  if (kind === "conv") {
    const groups = node.int("group", 1);
    const path = sitePath(tree, node, value, undefined);
    return {
      ...base,
      kind,
      path,
      y,
      bias: undefined,
      inChannels: second * groups,
      outChannels: first,
      kernel,
      groups,
    };
  }
  const [inFeatures, outFeatures] = storedAs === "torch" ? [second, first] : [first, second];
  const own = found.bias === undefined ? undefined : parameterAt(node, found.bias);
  const added = own === undefined ? addedBias(y.producer ?? node, outFeatures) : { y, bias: own };
  const path = sitePath(tree, node, value, added?.bias.value);
  return { ...base, kind, path, y: added?.y ?? y, bias: added?.bias, inFeatures, outFeatures, conv1d: false };
}

interface FoundWeight {
  readonly value: Value;
  readonly flipped: boolean;
  /** Shape of the weight as the file lays it out; of its part, where it is one. */
  readonly dims: readonly number[];
  readonly quantized?: QuantizedWeight;
  /** Where the weight is a part of an initializer. */
  readonly part?: InitializerPart;
}

/** The float initializer behind an operand, or the numbers that are dequantised to it, through Transposes and Identities. */
function traceWeight(node: Node, operand: number): FoundWeight | undefined {
  let value = node.input(operand);
  let flipped = false;
  for (let producer = value?.producer; producer !== undefined; producer = value?.producer) {
    const quantized = dequantizedByNode(producer);
    if (quantized !== undefined) return { value: quantized.value, flipped, dims: quantized.shape, quantized };
    const part = splitPart(value);
    if (part !== undefined) return { value: part.value, flipped, dims: part.dims, part };
    if (producer.op === "Transpose" && producer.ints("perm", [1, 0]).join() === "1,0") flipped = !flipped;
    else if (producer.op !== "Identity") break;
    value = producer.input(0);
  }
  const tensor = constantOf(value);
  return value === undefined || tensor === undefined || !isFloat(tensor.dtype)
    ? undefined
    : { value, flipped, dims: value.initializer?.dims ?? [] };
}

/** The parameters that a site reads, by their names in its module. */
export function parametersOf({ weight, bias }: Site): (readonly ["weight" | "bias", SiteParameter])[] {
  return bias === undefined
    ? [["weight", weight]]
    : [
        ["weight", weight],
        ["bias", bias],
      ];
}

function gemmBias(node: Node): { y: Value; bias: SiteParameter } | undefined {
  const bias = node.float("beta", 1) === 1 ? parameterAt(node, 2) : undefined;
  return bias === undefined ? undefined : { y: node.output(), bias };
}

/** An Add of a constant vector that is the only reader of a product. */
function addedBias(node: Node, features: number): { y: Value; bias: SiteParameter } | undefined {
  const [use, another] = node.output().uses;
  if (use?.kind !== "operand" || another !== undefined || use.node.op !== "Add" || use.node.domain !== "")
    return undefined;
  const bias = parameterAt(use.node, 1 - use.index);
  const dims = bias?.value.initializer?.dims ?? [];
  if (bias === undefined || dims.length !== 1 || (bias.rows?.size ?? dims[0]) !== features) return undefined;
  return { y: use.node.output(), bias };
}

function parameterAt(reader: Node, operand: number): SiteParameter | undefined {
  const value = reader.input(operand);
  const tensor = constantOf(value);
  const quantized = value?.producer && dequantizedByNode(value.producer);
  if (quantized) return { value: quantized.value, storedAs: "torch", reader, operand, quantized };
  const part = splitPart(value);
  if (part !== undefined && part.axis === 0 && part.dims.length === 1)
    return { value: part.value, storedAs: "torch", reader: part.reader, operand: 0, rows: part.rows };
  if (value === undefined || tensor === undefined || !isFloat(tensor.dtype)) return undefined;
  return { value, storedAs: "torch", reader, operand };
}

function sitePath(tree: ModuleTree, node: Node, weight: Value, bias: Value | undefined): string {
  // Exporters store equal biases once, under the name of one of their modules.
  const fromBias = bias?.uses.size === 1 ? parseParameterName(bias.name)?.module : undefined;
  const fromWeight = parseParameterName(weight.name)?.module;
  if (fromWeight === undefined && fromBias !== undefined) return fromBias;
  return tree.pathOfWeight(weight, node) ?? (weight.name || node.name);
}
