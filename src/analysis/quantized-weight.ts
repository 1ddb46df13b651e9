/** Weights that a file holds as quantised numbers: how they become floats, in the graph and at once. */
import { constantOf } from "../ir/constant.ts";
import { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { evaluateGraph } from "../ops/evaluate.ts";
import type { NDArray } from "../ops/ndarray.ts";
import { type NumberLayout, plainLayout } from "./number-layout.ts";

/** What stands between the numbers of a file and the weight that they mean. */
export interface QuantizedWeight {
  /** Such as `int8` or `4 bits in blocks of 32`. */
  readonly description: string;
  /** Shape of the weight as floats, laid out as the file lays out its numbers. */
  readonly shape: readonly number[];
  /** Whether the module's own operator reads the numbers; else a DequantizeLinear stands before it. */
  readonly readByOperator: boolean;
  /** Builds the weight as floats from the constants given in the place of the file's. */
  readonly build: (b: OpBuilder, constants: readonly (Value | undefined)[]) => Value;
  /** How other numbers are written in their place; undefined where there is no way. */
  readonly layout: NumberLayout | undefined;
  /** Numbers, scales and zero points, as the file holds them; numbers come first. */
  readonly constants: readonly (Value | undefined)[];
}

/** The weight as a value of the graph, which each run computes anew. */
export function dequantizedIn(b: OpBuilder, { build, constants }: QuantizedWeight): Value {
  return build(b, constants);
}

/** The weight's elements, computed here; from other numbers than the file's where some are given. */
export function dequantizedNow({ build, constants }: QuantizedWeight, numbers?: Tensor): NDArray | undefined {
  const graph = new Graph();
  const opset = 21;
  const copies = constants.map((value, index) => {
    const tensor = (index === 0 ? numbers : undefined) ?? constantOf(value);
    return tensor && graph.addInitializer(tensor, value?.name ?? "");
  });
  graph.addOutput(build(new OpBuilder({ graph }, opset), copies));
  return evaluateGraph(graph, new Map(), { opset })[0];
}

/** What a DequantizeLinear of constants, from either domain, makes a weight of. */
export function dequantizedByNode(node: Node): (QuantizedWeight & { readonly value: Value }) | undefined {
  if (node.op !== "DequantizeLinear" || (node.domain !== "" && node.domain !== "com.microsoft"))
    return undefined;
  const constants = node.inputs.map((input) => input ?? undefined);
  const [value] = constants;
  const tensor = constantOf(value);
  if (value === undefined || tensor === undefined) return undefined;
  if (constants.some((operand) => operand !== undefined && constantOf(operand) === undefined))
    return undefined;
  const block = node.int("block_size", 0);
  const attributes = Object.fromEntries(node.attributes);
  return {
    value,
    description: block > 0 ? `${tensor.dtype} in blocks of ${block}` : tensor.dtype,
    shape: tensor.dims,
    readByOperator: false,
    layout: plainLayout(tensor),
    constants,
    build: (b, [x, ...rest]) =>
      b.op("DequantizeLinear", [x ?? null, ...rest.map((operand) => operand ?? null)], attributes, {
        domain: node.domain,
      }),
  };
}
