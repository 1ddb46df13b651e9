/** Operator test cases as data, and the one-node models that they stand for. */

import { Random } from "../../src/data/random.ts";
import type { AttributeLike } from "../../src/ir/attribute.ts";
import type { Dim } from "../../src/ir/dim.ts";
import { symbol } from "../../src/ir/dim.ts";
import { type DType, isFloat } from "../../src/ir/dtype.ts";
import { Model } from "../../src/ir/model.ts";
import { Node } from "../../src/ir/node.ts";
import { tensorType } from "../../src/ir/type.ts";
import type { Value } from "../../src/ir/value.ts";
import { type Environment, evaluateGraph } from "../../src/ops/evaluate.ts";
import { inferGraph } from "../../src/ops/infer.ts";
import { fromNumbers, type NDArray, toTensor } from "../../src/ops/ndarray.ts";

/** One operand: drawn from a seeded generator unless its elements are given. */
export interface OperandSpec {
  readonly shape: readonly number[];
  /** float32 where it is left out. */
  readonly dtype?: DType;
  readonly values?: readonly number[];
  /** Bounds of random elements, [-2, 2] where they are left out; whole numbers for integer types. */
  readonly range?: readonly [number, number];
  /** Points that random elements keep a distance of 0.05 from. */
  readonly kinks?: readonly number[];
  /** Stored as an initializer instead of an input: axes, constant exponents. */
  readonly constant?: boolean;
  /** An input of sizes or places: its own sizes are numbers in every naming, and nothing is differentiated by it. */
  readonly host?: boolean;
}

/** One operator applied to some operands. */
export interface OpCase {
  readonly op: string;
  readonly domain?: string;
  /** Version of `domain` where that is not ai.onnx; 1 where it is left out. */
  readonly domainVersion?: number;
  /** 20 where it is left out. */
  readonly opset?: number;
  /** null where an optional operand is left out. */
  readonly inputs: readonly (OperandSpec | null)[];
  readonly attributes?: Readonly<Record<string, AttributeLike>>;
  /** Number of results, 1 where it is left out. */
  readonly outputs?: number;
  /** Positions of the results that anybody reads; all where it is left out. */
  readonly reads?: readonly number[];
}

/** How dimensions of the operands are known: as numbers, by names that equal sizes share, or by names of their own. */
export type Naming = "static" | "shared" | "separate";

/** A model of one node with arrays for its operands. */
export interface BuiltCase {
  readonly model: Model;
  readonly opset: number;
  readonly feeds: Environment;
  /** Float operands that are inputs, to differentiate by. */
  readonly variables: readonly Value[];
  readonly outputs: readonly Value[];
  /** Sizes of the named dimensions. */
  readonly sizes: ReadonlyMap<string, number>;
}

/** Builds the model of a case with arrays drawn from `seed`. */
export function buildCase(spec: OpCase, naming: Naming, seed = 1): BuiltCase {
  const opset = spec.opset ?? 20;
  const model = new Model({ irVersion: opset > 22 ? 11 : 10, opsets: [["", opset]] });
  if (spec.domain !== undefined) model.opsets.set(spec.domain, spec.domainVersion ?? 1);
  const { graph } = model;
  const random = new Random(seed);
  const feeds: Environment = new Map();
  const sizes = new Map<string, number>();
  const variables: Value[] = [];
  const operands = spec.inputs.map((operand, index) => {
    if (operand === null) return null;
    const array = drawOperand(operand, random);
    if (operand.constant === true) return graph.addInitializer(toTensor(array), `x${index}`);
    const ownNaming = operand.host === true ? "static" : naming;
    const shape = operand.shape.map((size, axis) => nameDim(size, `${index}_${axis}`, ownNaming, sizes));
    const value = graph.addInput({ name: `x${index}`, type: tensorType(array.dtype, shape) });
    feeds.set(value, array);
    if (operand.host !== true && isFloat(array.dtype)) variables.push(value);
    return value;
  });
  const node = new Node({
    op: spec.op,
    domain: spec.domain ?? "",
    inputs: operands,
    attributes: spec.attributes ?? {},
    outputs: spec.outputs ?? 1,
  });
  graph.insert(node);
  const outputs = node.outputs
    .filter((_, index) => spec.reads?.includes(index) ?? true)
    .filter((y) => y !== null);
  outputs.forEach((output, index) => {
    output.name = `y${index}`;
    graph.addOutput(output);
  });
  inferGraph(graph, opset);
  return { model, opset, feeds, variables, outputs, sizes };
}

/** The graph's outputs as their types say, floats rounded. */
export function evaluateCase({ model, feeds, opset }: BuiltCase): NDArray[] {
  return evaluateGraph(model.graph, feeds, { opset });
}

function nameDim(size: number, place: string, naming: Naming, sizes: Map<string, number>): Dim {
  // A size of 1 broadcasts and a size of 0 is no axis length that shape rules may assume.
  if (naming === "static" || size <= 1) return size;
  const name = naming === "shared" ? `n${size}` : `n${place}`;
  sizes.set(name, size);
  return symbol(name);
}

function drawOperand(operand: OperandSpec, random: Random): NDArray {
  const { shape, dtype = "float32", values, range: [low, high] = [-2, 2], kinks = [] } = operand;
  const size = shape.reduce((product, dim) => product * dim, 1);
  const draw = (): number => {
    if (!isFloat(dtype)) return low + random.below(high - low + 1);
    const element = low + (high - low) * random.uniform();
    const kink = kinks.find((at) => Math.abs(at - element) < 0.05);
    return kink === undefined ? element : element + (element < kink ? -0.05 : 0.05);
  };
  return fromNumbers(dtype, shape, values ?? Array.from({ length: size }, draw));
}
