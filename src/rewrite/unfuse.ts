/**
 * Takes apart the nodes in which the runtime's optimizer hid modules: weights behind a fused product, biases behind a norm or
 * an activation, three projections in one matrix. What is left fused holds no module.
 */
import { constantOf } from "../ir/constant.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { expandNode } from "../ops/expand-node.ts";
import { opOf } from "../ops/registry.ts";
import { rootKey } from "./rule.ts";
import { splitPackedQuery } from "./split-packed-query.ts";
import { splitAttention } from "./unpack-attention.ts";

type Unfuse = (node: Node, graph: Graph, opset: number) => boolean;

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

/** Biases of three projections in one vector, which stays as it is: each takes its part. */
const headBiases: Unfuse = (node, graph, opset) => {
  const biases = node.input(3);
  const products = [0, 1, 2].flatMap((index) => node.input(index) ?? []);
  const widths = products.map((x) => (isProjection(x) ? x.tensorType?.shape?.at(-1) : undefined));
  const sizes = widths.filter((width) => typeof width === "number");
  if (!isVector(biases) || sizes.length !== 3) return false;
  const b = new OpBuilder({ graph, before: node }, opset);
  b.source = node;
  const split = b.node("Split", [biases, b.ints(sizes)], { axis: 0 }, { outputs: 3 });
  split.outputs.forEach((part, index) => {
    if (part !== null) addBefore(node, index, part, graph, opset);
  });
  leaveOut(node, 3);
  return true;
};

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

/** Takes apart what hides modules in a graph, whose types must have been inferred, and counts it. Bodies hold no modules. */
export function unfuseGraph(graph: Graph, opset: number): number {
  const nodes = [...graph.nodes()];
  return nodes.filter((node) => fused[rootKey(node.domain, node.op)]?.(node, graph, opset) === true).length;
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
