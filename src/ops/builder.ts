/** Builds nodes with inferred types, one short method per operator that rules write often. */
import { InternalError } from "../diagnostics/define.ts";
import type { AttributeLike } from "../ir/attribute.ts";
import { inlineTensor, int64Tensor, smallIntegers } from "../ir/constant.ts";
import { type DType, dtypeCode } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import { Node } from "../ir/node.ts";
import { staticShape } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import { Value } from "../ir/value.ts";
import { encodeElements } from "./elements.ts";
import { dtypeOf, rankOf } from "./facts.ts";
import { inferNode } from "./infer.ts";

/** An operand: a value, or a number that becomes a scalar constant of the other operand's type. */
export type Operand = Value | number;

/** Where nodes go: before `before`, or at the end of `graph`. */
export interface InsertionPoint {
  readonly graph: Graph;
  readonly before?: Node | undefined;
}

/** What `op` may be told beyond operator, operands and attributes. */
export interface OpOptions {
  readonly domain?: string;
  readonly outputs?: number;
  /** Wish for the name of the first result. */
  readonly name?: string;
}

/**
 * Writes nodes at one place of a graph, inferring types as it goes. Nodes take over the metadata of `source` (such as
 * the module path), so that a backward node can be traced to its forward node.
 */
export class OpBuilder {
  readonly graph: Graph;
  readonly opset: number;
  before: Node | undefined;
  source: Node | undefined;
  readonly #constants = new Map<string, Value>();

  constructor(at: InsertionPoint, opset: number) {
    this.graph = at.graph;
    this.before = at.before;
    this.opset = opset;
  }

  /** A builder at another place that shares nothing but the opset. */
  at(point: InsertionPoint): OpBuilder {
    const other = new OpBuilder(point, this.opset);
    other.source = this.source;
    return other;
  }

  /** Adds a node and gives its first result. */
  op(
    type: string,
    inputs: readonly (Value | null)[],
    attributes: Readonly<Record<string, AttributeLike | undefined>> = {},
    options: OpOptions = {},
  ): Value {
    return this.node(type, inputs, attributes, options).output(0);
  }

  /** Adds a node and gives all its results. */
  ops(
    type: string,
    inputs: readonly (Value | null)[],
    attributes: Readonly<Record<string, AttributeLike | undefined>>,
    outputs: number,
    domain = "",
  ): Value[] {
    const node = this.node(type, inputs, attributes, { outputs, domain });
    return Array.from({ length: outputs }, (_, index) => node.output(index));
  }

  /** Adds a node. Trailing absent operands are dropped. */
  node(
    type: string,
    inputs: readonly (Value | null)[],
    attributes: Readonly<Record<string, AttributeLike | undefined>>,
    options: OpOptions,
  ): Node {
    const count = inputs.findLastIndex((input) => input !== null) + 1;
    const node = new Node({
      op: type,
      domain: options.domain ?? "",
      inputs: inputs.slice(0, count),
      attributes,
      outputs: options.outputs ?? 1,
    });
    if (options.name !== undefined) node.output(0).name = options.name;
    if (this.source !== undefined) {
      node.name = this.source.name;
      for (const [key, value] of this.source.metadata) node.metadata.set(key, value);
    }
    return this.insert(node);
  }

  /** Puts a node that was made elsewhere at this place, and infers its types. */
  insert(node: Node): Node {
    this.graph.insert(node, this.before);
    inferNode(node, this.opset);
    return node;
  }

  // Constants: initializers of the graph at hand, one per distinct content.

  constant(tensor: Tensor, name = "constant"): Value {
    const value = this.graph.addInitializer(tensor, name);
    // Sizes and axes are known at once, so that what is built from them keeps its symbolic shape.
    if (tensor.dims.length <= 1) value.content = smallIntegers(tensor);
    return value;
  }

  ints(values: readonly number[]): Value {
    return this.#shared(`ints:${values.join()}`, () => int64Tensor(values), "ints");
  }

  int(value: number): Value {
    return this.#shared(`int:${value}`, () => int64Tensor([value], []), "int");
  }

  /** A scalar of the given type. */
  scalar(value: number, dtype: DType): Value {
    return this.#shared(
      `${dtype}:${Object.is(value, -0) ? "-0" : value}`,
      () =>
        dtype === "int64" || dtype === "uint64"
          ? inlineTensor(dtype, [], new Uint8Array(BigInt64Array.of(BigInt(value)).buffer))
          : inlineTensor(dtype, [], encodeElements(dtype, Float64Array.of(value))),
      "scalar",
    );
  }

  #shared(key: string, make: () => Tensor, name: string): Value {
    const known = this.#constants.get(key);
    if (known !== undefined && this.graph.initializers.has(known)) return known;
    const value = this.constant(make(), name);
    this.#constants.set(key, value);
    return value;
  }

  // Element-wise.

  add(left: Operand, right: Operand): Value {
    return this.#binary("Add", left, right);
  }
  sub(left: Operand, right: Operand): Value {
    return this.#binary("Sub", left, right);
  }
  mul(left: Operand, right: Operand): Value {
    return this.#binary("Mul", left, right);
  }
  div(left: Operand, right: Operand): Value {
    return this.#binary("Div", left, right);
  }
  pow(base: Operand, exponent: Operand): Value {
    return this.#binary("Pow", base, exponent);
  }
  max(left: Operand, right: Operand): Value {
    return this.#binary("Max", left, right);
  }
  min(left: Operand, right: Operand): Value {
    return this.#binary("Min", left, right);
  }
  mod(left: Operand, right: Operand): Value {
    return this.#binary("Mod", left, right);
  }
  equal(left: Operand, right: Operand): Value {
    return this.#binary("Equal", left, right);
  }
  greater(left: Operand, right: Operand): Value {
    return this.#binary("Greater", left, right);
  }
  less(left: Operand, right: Operand): Value {
    return this.#binary("Less", left, right);
  }
  greaterOrEqual(left: Operand, right: Operand): Value {
    return this.#binary("GreaterOrEqual", left, right);
  }
  lessOrEqual(left: Operand, right: Operand): Value {
    return this.#binary("LessOrEqual", left, right);
  }
  and(left: Value, right: Value): Value {
    return this.op("And", [left, right]);
  }
  or(left: Value, right: Value): Value {
    return this.op("Or", [left, right]);
  }
  not(x: Value): Value {
    return this.op("Not", [x]);
  }
  neg(x: Value): Value {
    return this.op("Neg", [x]);
  }
  abs(x: Value): Value {
    return this.op("Abs", [x]);
  }
  sign(x: Value): Value {
    return this.op("Sign", [x]);
  }
  exp(x: Value): Value {
    return this.op("Exp", [x]);
  }
  log(x: Value): Value {
    return this.op("Log", [x]);
  }
  sqrt(x: Value): Value {
    return this.op("Sqrt", [x]);
  }
  reciprocal(x: Value): Value {
    return this.op("Reciprocal", [x]);
  }
  /** Chooses element-wise; a number takes the type of the other branch. */
  where(condition: Value, whenTrue: Operand, whenFalse: Operand): Value {
    const [left, right] = this.#pair(whenTrue, whenFalse);
    return this.op("Where", [condition, left, right]);
  }
  cast(x: Value, to: DType): Value {
    return x.tensorType?.dtype === to ? x : this.op("Cast", [x], { to: dtypeCode(to) });
  }
  /** Casts `x` to the type of `like`. */
  castLike(x: Value, like: Value): Value {
    return this.cast(x, dtypeOf(like));
  }

  // Products.

  matmul(left: Value, right: Value): Value {
    return this.op("MatMul", [left, right]);
  }

  // Movement.

  transpose(x: Value, perm: readonly number[]): Value {
    return perm.every((axis, i) => axis === i) ? x : this.op("Transpose", [x], { perm });
  }
  /** Swaps the last two axes. */
  transposeLast(x: Value): Value {
    const rank = rankOf(x);
    const perm = Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));
    return this.transpose(x, perm);
  }
  reshape(x: Value, shape: readonly number[] | Value): Value {
    return this.op("Reshape", [x, shape instanceof Value ? shape : this.ints(shape)]);
  }
  expand(x: Value, shape: Value): Value {
    return this.op("Expand", [x, shape]);
  }
  unsqueeze(x: Value, axes: readonly number[]): Value {
    return axes.length === 0 ? x : this.op("Unsqueeze", [x, this.ints(axes)]);
  }
  squeeze(x: Value, axes: readonly number[]): Value {
    return axes.length === 0 ? x : this.op("Squeeze", [x, this.ints(axes)]);
  }
  concat(parts: readonly Value[], axis: number): Value {
    return parts[0] !== undefined && parts.length === 1 ? parts[0] : this.op("Concat", parts, { axis });
  }
  gather(data: Value, indices: Value, axis = 0): Value {
    return this.op("Gather", [data, indices], { axis });
  }
  /** `x[starts:ends]` on the given axes. */
  slice(
    x: Value,
    bounds: { starts: readonly number[]; ends: readonly number[]; axes: readonly number[] },
  ): Value {
    return this.op("Slice", [x, this.ints(bounds.starts), this.ints(bounds.ends), this.ints(bounds.axes)]);
  }
  shape(x: Value): Value {
    const dims = staticShape(x.tensorType?.shape);
    return dims === undefined ? this.op("Shape", [x]) : this.ints(dims);
  }
  /** One dimension as an int64 scalar. */
  dim(x: Value, axis: number): Value {
    const rank = rankOf(x);
    const position = axis < 0 ? axis + rank : axis;
    const known = x.tensorType?.shape?.[position];
    if (typeof known === "number") return this.int(known);
    return this.squeeze(this.op("Shape", [x], { start: position, end: position + 1 }), [0]);
  }

  // Reductions; no axes means all of them.

  reduceSum(x: Value, axes: readonly number[] | undefined, keepdims = true): Value {
    return this.#reduce("ReduceSum", x, axes, keepdims);
  }
  reduceMean(x: Value, axes: readonly number[] | undefined, keepdims = true): Value {
    return this.#reduce("ReduceMean", x, axes, keepdims);
  }
  reduceMax(x: Value, axes: readonly number[] | undefined, keepdims = true): Value {
    return this.#reduce("ReduceMax", x, axes, keepdims);
  }
  reduceSumSquare(x: Value, axes: readonly number[] | undefined, keepdims = true): Value {
    return this.#reduce("ReduceSumSquare", x, axes, keepdims);
  }

  /** A tensor of one repeated value with the shape of `x`, and its type unless another is given. */
  fillLike(x: Value, value: number, dtype: DType = dtypeOf(x)): Value {
    const filler = this.scalar(value, dtype);
    return this.expand(filler, this.shape(x));
  }
  zerosLike(x: Value): Value {
    return this.fillLike(x, 0);
  }

  #reduce(type: string, x: Value, axes: readonly number[] | undefined, keepdims: boolean): Value {
    if (axes?.length === 0) return x;
    return this.op(type, [x, axes === undefined ? null : this.ints(axes)], { keepdims: keepdims ? 1 : 0 });
  }

  #binary(type: string, left: Operand, right: Operand): Value {
    return this.op(type, this.#pair(left, right));
  }

  #pair(left: Operand, right: Operand): [Value, Value] {
    if (typeof left !== "number") {
      return [left, typeof right === "number" ? this.scalar(right, dtypeOf(left)) : right];
    }
    if (typeof right === "number")
      throw new InternalError("both operands are numbers: compute them in TypeScript");
    return [this.scalar(left, dtypeOf(right)), right];
  }
}
