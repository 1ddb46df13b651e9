/**
 * Takes apart the nodes in which the runtime's optimizer hid modules: weights behind a fused product, biases behind a norm or
 * an activation, three projections in one matrix. What is left fused holds no module.
 */
import { parseParameterName } from "../analysis/module-path.ts";
import { constantOf } from "../ir/constant.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { rowsOf } from "../ir/rows.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { expandNode } from "../ops/expand-node.ts";
import { opOf } from "../ops/registry.ts";
import { rootKey } from "./rule.ts";
import { splitPackedQuery } from "./split-packed-query.ts";
import { type PackedPart, plainName, splitAttention } from "./unpack-attention.ts";

/** What was taken apart. */
export interface Unfused {
  readonly count: number;
  /** Initializers that are parts of packed ones. */
  readonly parts: readonly PackedPart[];
}

type Unfuse = (node: Node, graph: Graph, opset: number) => boolean | readonly PackedPart[];

/** A product whose second operand is a weight. */
const product: Unfuse = (node, graph, opset) => isMatrix(node.input(1)) && expand(node, graph, opset);

/** An activation or sum of `x + bias`, where `x` is a product with a weight that nobody else reads. */
const biased: Unfuse = (node, graph, opset) =>
  isVector(node.input(1)) && isProjection(node.input(0)) && expand(node, graph, opset);

const table: Unfuse = (node, graph, opset) => isMatrix(node.input(2)) && expand(node, graph, opset);

/** A bias behind a residual: it belongs to the product on either side. */
const skipBias =
  (position: number): Unfuse =>
  (node, graph, opset) => {
    const bias = node.input(position);
    const side = [0, 1].find((index) => isProjection(node.input(index)));
    if (side === undefined || !isVector(bias)) return false;
    addBefore(node, side, bias, graph, opset);
    leaveOut(node, position);
    return true;
  };

/** Biases of three projections in one vector. */
const headBiases: Unfuse = (node, graph, opset) => {
  const biases = constantOf(node.input(3));
  const products = [0, 1, 2].map((index) => node.input(index));
  const known = products.every((x) => isProjection(x) && typeof x?.tensorType?.shape?.at(-1) === "number");
  if (biases === undefined || !isVector(node.input(3)) || !known) return false;
  const b = new OpBuilder({ graph, before: node }, opset);
  let start = 0;
  const parts = products.flatMap((product, index): PackedPart[] => {
    const weight = weightOf(product?.producer?.input(1));
    const columns = product?.tensorType?.shape?.at(-1);
    if (product === undefined || typeof columns !== "number") return [];
    const from = start;
    start += columns;
    const value = b.constant(rowsOf(biases, { start: from, size: columns }), biasName(weight, node, index));
    b.source = product.producer;
    node.setInput(index, b.add(product, value));
    return [{ value, whole: biases, start: from }];
  });
  leaveOut(node, 3);
  return parts;
};

/** A name in the weight's module, or one that speaks of no module where the weight's does not. */
function biasName(weight: Value | undefined, node: Node, index: number): string {
  const module = parseParameterName(weight?.name ?? "")?.module;
  return module === undefined ? `${plainName(node.name)}_bias_${index}` : `${module}.bias`;
}

const fused: Readonly<Record<string, Unfuse>> = {
  "com.microsoft.FusedMatMul": product,
  "com.microsoft.TransposeMatMul": product,
  "com.microsoft.FusedMatMulActivation": product,
  "com.microsoft.FusedGemm": product,
  "com.microsoft.GemmFastGelu": product,
  "com.microsoft.BiasGelu": biased,
  "com.microsoft.FastGelu": biased,
  "com.microsoft.BiasSplitGelu": biased,
  "com.microsoft.BiasAdd": biased,
  "com.microsoft.BiasDropout": biased,
  "com.microsoft.SkipLayerNormalization": skipBias(4),
  "com.microsoft.SkipSimplifiedLayerNormalization": skipBias(3),
  "com.microsoft.EmbedLayerNormalization": table,
  "com.microsoft.Attention": splitAttention,
  "com.microsoft.MultiHeadAttention": headBiases,
  "com.microsoft.GroupQueryAttention": splitPackedQuery,
};

/** Whether a graph holds nodes that may hide modules; then its modules are those of its unfused form. */
export function mayHideModules(graph: Graph): boolean {
  return [...graph.nodes()].some((node) => rootKey(node.domain, node.op) in fused);
}

/** Takes apart what hides modules in a graph, whose types must have been inferred. Bodies hold no modules. */
export function unfuseGraph(graph: Graph, opset: number): Unfused {
  const parts: PackedPart[] = [];
  let count = 0;
  for (const node of [...graph.nodes()]) {
    const done = fused[rootKey(node.domain, node.op)]?.(node, graph, opset) ?? false;
    if (done === false) continue;
    count += 1;
    if (done !== true) parts.push(...done);
  }
  return { count, parts };
}

function expand(node: Node, graph: Graph, opset: number): boolean {
  const op = opOf(node);
  const ranked = node.inputs.every((input) => input === null || input.tensorType?.shape !== undefined);
  if (op === undefined || !ranked) return false;
  node.name = nameBefore(node.name);
  expandNode(graph, node, op, opset);
  return true;
}

/** The name of the product before the runtime's optimizer made one of its own from it. */
function nameBefore(name: string): string {
  return name.replace(/^fused /, "").replace(/\/(MatMulScaleFusion|MatmulTransposeFusion)\/.*$/, "");
}

/** Adds a bias to operand `index` of a node before the node reads it. */
function addBefore(node: Node, index: number, bias: Value, graph: Graph, opset: number): void {
  const x = node.input(index);
  if (x === undefined) return;
  const b = new OpBuilder({ graph, before: node }, opset);
  b.source = x.producer;
  node.setInput(index, b.add(x, bias));
}

function leaveOut(node: Node, index: number): void {
  node.setInput(index, null);
  node.truncateInputs(node.inputs.findLastIndex((input) => input !== null) + 1);
}

/** Whether a value is `x W` of a constant `W`, for one reader alone. */
function isProjection(value: Value | undefined): boolean {
  const node = value?.producer;
  return node?.op === "MatMul" && value?.uses.size === 1 && isMatrix(weightOf(node.input(1)));
}

/** The constant behind Transposes. */
function weightOf(value: Value | undefined): Value | undefined {
  return value?.producer?.op === "Transpose" ? weightOf(value.producer.input(0)) : value;
}

function isMatrix(value: Value | undefined): value is Value {
  return isFloats(constantOf(weightOf(value)), 2);
}

function isVector(value: Value | undefined): value is Value {
  return isFloats(constantOf(value), 1);
}

function isFloats(tensor: Tensor | undefined, rank: number): boolean {
  return tensor !== undefined && isFloat(tensor.dtype) && tensor.dims.length === rank;
}
