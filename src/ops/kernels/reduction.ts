/** `defineReduction`: the short form of `defineOp` for operators that reduce an operand over axes. */
import type { Dim } from "../../ir/dim.ts";
import { unknownDim } from "../../ir/dim.ts";
import type { DType } from "../../ir/dtype.ts";
import type { Node } from "../../ir/node.ts";
import { unknownShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf, rankOf } from "../facts.ts";
import type { NDArray } from "../ndarray.ts";
import { int } from "../params.ts";
import type { Inferred, Op, PartsContext, PrecisionClass, SelectContext } from "../record.ts";
import { attributeToInput } from "./attribute-to-input.ts";
import { onlyFirst } from "./parts.ts";
import { type Fold, reduceArray } from "./reduce.ts";
import { axisOf, knownIntegers, reciprocalCount, resolveAxes } from "./reduction-axes.ts";
import { rebuild } from "./select-along.ts";

/** What the derivative of a reduction is written from. */
export interface ReductionGradientContext {
  readonly x: Value;
  /** The result with reduced axes of size 1, so that it broadcasts against `x`. */
  readonly y: () => Value;
  /** Gradient of the result, in the same form. */
  readonly g: () => Value;
  /** Reduces another array of the shape of `x` over the same axes, keeping them with size 1. */
  readonly reduce: (type: string, value: Value) => Value;
  /** `1/n` for the n elements that each element of the result comes from. */
  readonly share: () => Value | number;
  readonly b: OpBuilder;
}

/** What the author of a reduction writes. */
export interface ReductionSpec {
  readonly type: string;
  readonly versions: readonly number[];
  /** Version that turned the attribute `axes` into an operand. */
  readonly axesInputSince: number;
  readonly precision: PrecisionClass;
  /** How it is computed on doubles, and on 64-bit integers where it takes them. */
  readonly fold: (dtype: DType) => { readonly numbers: Fold<number>; readonly bigints?: Fold<bigint> };
  /** In the place of `fold` where one pass does not do. */
  readonly evaluate?: (x: NDArray, options: ReduceOptions) => NDArray;
  /** Whether the reduction of a whole is the sum of the reductions of its parts. */
  readonly additive?: boolean;
  /** The reduction of two symbolic elements. */
  readonly content?: (left: Dim, right: Dim) => Dim;
  readonly gradient: (context: ReductionGradientContext) => Value;
}

/** Axes as positions, whether they stay with size 1, and whether float results stay unrounded. */
export interface ReduceOptions {
  readonly axes: readonly number[];
  readonly keepdims: boolean;
  readonly exact: boolean;
}

interface Attributes {
  readonly keepdims: number;
  readonly noop_with_empty_axes: number;
}

/** Declares a reduction with operands `x` and `axes`: absent or empty they mean all, or none by noop_with_empty_axes. */
export function defineReduction(spec: ReductionSpec): Op {
  return defineOp({
    type: spec.type,
    versions: spec.versions,
    inputs: ["x", "axes?"],
    outputs: ["y"],
    attributes: { keepdims: int(1), noop_with_empty_axes: int(0) },
    infer: ({ node, in: { x, axes }, attrs }) => [inferReduction(node, x, axes, attrs, spec.content)],
    evaluate: ({ node, in: { x, axes }, attrs, exact }) => {
      const positions = resolveAxes(node, axes?.toNumbers(), x.rank, attrs.noop_with_empty_axes !== 0);
      const options = { axes: positions, keepdims: attrs.keepdims !== 0, exact };
      if (spec.evaluate !== undefined) return [spec.evaluate(x, options)];
      const { numbers, bigints } = spec.fold(x.dtype);
      return [reduceArray(x, options, numbers, bigints)];
    },
    precision: spec.precision,
    select: selectKept,
    parts: (context) => partsOfReduction(context, spec.additive ?? false),
    gradient: ({ node, in: { x, axes }, out: { y }, grad, attrs, b }) => ({
      x: () => {
        const positions = knownAxes(node, x, axes, attrs);
        const spread = (value: Value): Value =>
          attrs.keepdims !== 0 ? value : spreadOver(b, value, x, axes, positions);
        const noop = attrs.noop_with_empty_axes;
        return spec.gradient({
          x,
          y: () => spread(y),
          g: () => spread(grad.y),
          reduce: (type, value) =>
            b.op(type, [value, axes ?? null], { keepdims: 1, noop_with_empty_axes: noop }),
          share: () => (positions === undefined ? shareAtRunTime(b, x, y) : reciprocalCount(b, x, positions)),
          b,
        });
      },
    }),
    upgrades: { [spec.axesInputSince]: (node, b) => attributeToInput(node, b, "axes", 1) },
    hostInputs: ["axes"],
    rankFree: true,
  });
}

/** Positions of the reduced axes; undefined where they are computed at run time. */
function knownAxes(
  node: Node,
  x: Value,
  axes: Value | undefined,
  attrs: Attributes,
): readonly number[] | undefined {
  const isEmpty = axes === undefined || axes.tensorType?.shape?.[0] === 0;
  const list = isEmpty ? [] : knownIntegers(axes);
  const rank = x.tensorType?.shape?.length;
  if (list === undefined || rank === undefined) return undefined;
  return resolveAxes(node, list, rank, attrs.noop_with_empty_axes !== 0);
}

function inferReduction(
  node: Node,
  x: Value,
  axes: Value | undefined,
  attrs: Attributes,
  onContent: ((left: Dim, right: Dim) => Dim) | undefined,
): Inferred {
  const type = x.tensorType;
  if (type?.shape === undefined) return type === undefined ? undefined : tensorType(type.dtype);
  const rank = type.shape.length;
  const positions = knownAxes(node, x, axes, attrs);
  if (positions === undefined) {
    const dropped = attrs.keepdims !== 0 ? 0 : axes?.tensorType?.shape?.[0];
    return tensorType(
      type.dtype,
      typeof dropped === "number" ? unknownShape(Math.max(0, rank - dropped)) : undefined,
    );
  }
  const shape = type.shape.flatMap((dim, axis): Dim[] => {
    if (!positions.includes(axis)) return [dim];
    return attrs.keepdims !== 0 ? [1] : [];
  });
  const reduced = tensorType(type.dtype, shape);
  if (x.content === undefined || onContent === undefined) return reduced;
  if (positions.length === 0) return { type: reduced, content: x.content };
  const [first, ...rest] = x.content;
  return { type: reduced, content: [first === undefined ? unknownDim() : rest.reduce(onContent, first)] };
}

/** Gives a result without its reduced axes those axes back, with size 1. */
function spreadOver(
  b: OpBuilder,
  value: Value,
  x: Value,
  axes: Value | undefined,
  positions: readonly number[] | undefined,
): Value {
  // All axes, or none of them where noop_with_empty_axes says so.
  if (axes === undefined) return value;
  if (positions === undefined) return b.op("Unsqueeze", [value, axes]);
  // A scalar broadcasts as it is.
  return positions.length === rankOf(x) ? value : b.unsqueeze(value, positions);
}

function shareAtRunTime(b: OpBuilder, x: Value, y: Value): Value {
  const count = b.div(b.op("Size", [x]), b.max(b.op("Size", [y]), 1));
  return b.cast(b.reciprocal(b.cast(count, "float64")), dtypeOf(x));
}

/** Axes that are not reduced, where the others stay with size 1. */
function selectKept(context: SelectContext): Value | undefined {
  const { node, axis } = context;
  const [x, axes] = [node.input(0), node.input(1)];
  const list = axes === undefined ? undefined : knownIntegers(axes);
  if (x === undefined || list === undefined || list.length === 0 || node.int("keepdims", 1) === 0)
    return undefined;
  const reduced = list.map((position) => axisOf(node, position, rankOf(x)));
  return reduced.includes(axis) ? undefined : rebuild(context, (_, at) => (at === 0 ? axis : undefined));
}

function partsOfReduction(context: PartsContext, additive: boolean): number | "sum" | undefined {
  const { node } = context;
  const x = node.input(0);
  if (x === undefined) return undefined;
  const attributes = {
    keepdims: node.int("keepdims", 1),
    noop_with_empty_axes: node.int("noop_with_empty_axes", 0),
  };
  const positions = knownAxes(node, x, node.input(1), attributes);
  const axis = onlyFirst(context);
  if (axis === undefined || positions === undefined) return undefined;
  if (positions.includes(axis)) return additive ? "sum" : undefined;
  return attributes.keepdims !== 0 ? axis : axis - positions.filter((at) => at < axis).length;
}
