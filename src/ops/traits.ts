/** Facts about operators that rewriting asks for whether they have a record or not. */
import type { Node } from "../ir/node.ts";
import { opOf } from "./registry.ts";

const commutative = new Set([
  ...["Add", "Mul", "Max", "Min", "Sum", "Mean", "And", "Or", "Xor", "Equal"],
  ...["BitwiseAnd", "BitwiseOr", "BitwiseXor"],
]);

const random = new Set([
  ...[
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
    "Dropout",
  ],
  ...["BiasDropout", "BitmaskDropout", "BitmaskBiasDropout", "Sampling"],
]);

const shapeReaders = new Set(["Shape", "Size", "EyeLike", "RandomNormalLike", "RandomUniformLike"]);

const knownDomains = new Set(["", "ai.onnx", "ai.onnx.ml", "com.microsoft"]);

/** Whether two operands may change places without changing the result, by the operator's definition. */
export function isCommutative(node: Node): boolean {
  return commutative.has(node.op) && isStandard(node.domain);
}

/** Whether the node reads the shape of its operand and nothing of its elements. */
export function readsShapeOnly(node: Node): boolean {
  return shapeReaders.has(node.op) && isStandard(node.domain);
}

/** Whether the domain is ai.onnx under either of its names. */
export function isStandard(domain: string): boolean {
  return domain === "" || domain === "ai.onnx";
}

/**
 * Whether the node gives the same results whenever it gets the same operands: not random, its bodies
 * neither, and of a domain whose operators we know. Only such nodes may be merged or computed ahead.
 */
export function isDeterministic(node: Node): boolean {
  if (random.has(node.op) || (opOf(node) === undefined && !knownDomains.has(node.domain))) return false;
  return node.subgraphs().every((body) => [...body.nodes()].every(isDeterministic));
}
