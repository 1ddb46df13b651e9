/** Gradients of convolutions by the convolutions that every provider has. */
import { InternalError } from "../../diagnostics/define.ts";
import { addDims, type Dim, mulDims, subDims, unknownDim } from "../../ir/dim.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { rankOf, shapeOf } from "../facts.ts";
import { countUp } from "./rearrange.ts";
import { axesExcept } from "./reduction-axes.ts";
import { productOf, reshapeTo, type Size, shapeVector, sizeAt, sizesOf, stateShape } from "./shape-vector.ts";
import type { WindowAxis } from "./window.ts";
import { inFloat32 } from "./zero-pad.ts";

/** A window along one axis, with padding that is a number. */
export interface ConvAxis {
  readonly kernel: Dim;
  readonly stride: number;
  readonly dilation: number;
  readonly span: Dim;
  readonly before: number;
  readonly after: number;
  /**
   * Elements at the end that no window reaches, negative where one reaches beyond it; undefined where sizes
   * known at run time decide.
   */
  readonly rest: number | undefined;
}

/** What a convolution is, apart from its operands. */
export interface ConvPlan {
  readonly axes: readonly ConvAxis[];
  readonly groups: number;
}

/**
 * The windows of a convolution of an operand of the given spatial sizes. @throws InternalError for padding
 * that is no number.
 */
export function convAxes(windows: readonly WindowAxis[], sizes: readonly Dim[]): ConvAxis[] {
  return windows.map(({ output, before, after, ...window }, axis) => {
    if (typeof before !== "number" || typeof after !== "number") {
      throw new InternalError("a convolution whose padding is known at run time only");
    }
    const covered = addDims(window.span, mulDims(subDims(output, 1), window.stride));
    const rest = subDims(addDims(sizes[axis] ?? unknownDim(), before + after), covered);
    const known = typeof rest === "number" ? rest : window.stride === 1 ? 0 : undefined;
    return { ...window, before, after, rest: known };
  });
}

/**
 * The gradient of the operand `x` of a convolution: ConvTranspose of that of the result. Padding that differs
 * between the ends, which cuDNN does not take, windows that reach beyond it, and a remainder that is known at
 * run time only are cut off by a Slice instead.
 */
export function convInputGradient(
  b: OpBuilder,
  x: Value,
  w: Value,
  g: Value,
  { axes, groups }: ConvPlan,
): Value {
  const loose = axes.map(({ before, after, rest }) => before !== after || rest === undefined || rest < 0);
  const pads = axes.map(({ before }, axis) => (loose[axis] ? 0 : before));
  const extra = axes.map(({ after, rest, stride }, axis) =>
    loose[axis] ? Math.max(0, (rest ?? stride - 1) - after) : (rest ?? 0),
  );
  const attributes = {
    ...windowAttributes(axes, groups),
    pads: orUndefined([...pads, ...pads], 0),
    output_padding: orUndefined(extra, 0),
  };
  const whole = inFloat32(b, [g, w], (operands) => b.op("ConvTranspose", operands, attributes));
  const cut = countUp(axes.length).filter((axis) => loose[axis]);
  if (cut.length === 0) return whole;
  const starts = cut.map((axis) => axes[axis]?.before ?? 0);
  const sizes = cut.map((axis) => sizeAt(x, axis + 2));
  return b.op("Slice", [
    whole,
    b.ints(starts),
    endsOf(b, starts, sizes),
    b.ints(cut.map((axis) => axis + 2)),
  ]);
}

/**
 * The gradient of the weights of a convolution from `big [N, C, ...]` to `small [N, M, ...]`, of shape
 * `[M, C/groups, ...]`: their correlation, with batches for channels, strides for dilations and the other way
 * round.
 */
export function convWeightGradient(
  b: OpBuilder,
  { big, small, w }: { readonly big: Value; readonly small: Value; readonly w: Value },
  { axes, groups }: ConvPlan,
): Value {
  if (groups === 1 && axes.every(isPointwise)) return pointwiseGradient(b, big, small);
  const spatial = countUp(axes.length).map((axis) => axis + 2);
  const swap = [1, 0, ...spatial];
  const correlated = b.op(
    "Conv",
    [groups === 1 ? b.transpose(big, swap) : splitGroups(b, big, groups), b.transpose(small, swap)],
    {
      group: groups === 1 ? undefined : groups,
      strides: orUndefined(
        axes.map(({ dilation }) => dilation),
        1,
      ),
      dilations: orUndefined(
        axes.map(({ stride }) => stride),
        1,
      ),
      pads: orUndefined([...axes.map(({ before }) => before), ...axes.map(({ after }) => after)], 0),
    },
  );
  const whole = b.transpose(correlated, swap);
  // Elements that no window reached would be weights beyond the last.
  const cut = countUp(axes.length).filter((axis) => {
    const { rest, stride = 1, dilation = 1 } = axes[axis] ?? {};
    return (rest ?? stride - 1) >= dilation;
  });
  if (cut.length === 0) return stateShape(whole, w);
  const ends = shapeVector(
    b,
    cut.map((axis) => sizeAt(w, axis + 2)),
  );
  const starts = b.ints(cut.map(() => 0));
  return stateShape(b.op("Slice", [whole, starts, ends, b.ints(cut.map((axis) => axis + 2))]), w);
}

/** The gradient of a bias: one sum per channel. */
export function convBiasGradient(b: OpBuilder, g: Value): Value {
  return b.reduceSum(g, axesExcept([1], rankOf(g)), false);
}

/** Strides, dilations and groups as attributes; those that say nothing are left out. */
export function windowAttributes(
  axes: readonly Pick<ConvAxis, "stride" | "dilation">[],
  groups: number,
): {
  group: number | undefined;
  strides: readonly number[] | undefined;
  dilations: readonly number[] | undefined;
} {
  return {
    group: groups === 1 ? undefined : groups,
    strides: orUndefined(
      axes.map(({ stride }) => stride),
      1,
    ),
    dilations: orUndefined(
      axes.map(({ dilation }) => dilation),
      1,
    ),
  };
}

/** A list, or undefined where all of it is the default. */
export function orUndefined(list: readonly number[], fallback: number): readonly number[] | undefined {
  return list.every((item) => item === fallback) ? undefined : list;
}

function isPointwise({ kernel, stride, before, after, rest }: ConvAxis): boolean {
  return kernel === 1 && stride === 1 && before === 0 && after === 0 && rest === 0;
}

/** Windows of one element: a product of matrices over all places. */
function pointwiseGradient(b: OpBuilder, big: Value, small: Value): Value {
  const [depth, outputs] = [shapeOf(big)[1], shapeOf(small)[1]];
  const swap = [1, 0, ...countUp(rankOf(big) - 2).map((axis) => axis + 2)];
  const rows = (value: Value): Value =>
    reshapeTo(b, b.transpose(value, swap), [
      sizeAt(value, 1),
      productOf([sizeAt(value, 0), ...sizesOf(value, 2)]),
    ]);
  const product = b.op("Gemm", [rows(small), rows(big)], { transB: 1 });
  if (typeof depth !== "number" || typeof outputs !== "number") {
    return reshapeTo(b, product, [sizeAt(small, 1), sizeAt(big, 1), ...swap.slice(2).map(() => 1)]);
  }
  return b.reshape(product, [outputs, depth, ...swap.slice(2).map(() => 1)]);
}

/** `[N, C, ...]` as `[C/groups, groups*N, ...]`, so that each group sees its own channels. */
function splitGroups(b: OpBuilder, value: Value, groups: number): Value {
  const channels = shapeOf(value)[1];
  const each = typeof channels === "number" ? channels / groups : -1;
  const [batch, spatial] = [sizeAt(value, 0), sizesOf(value, 2)];
  const split = reshapeTo(b, value, [batch, groups, each, ...spatial]);
  const moved = b.transpose(split, [2, 1, 0, ...spatial.map((_, axis) => axis + 3)]);
  return reshapeTo(b, moved, [sizeAt(moved, 0), productOf([groups, batch]), ...spatial]);
}

function endsOf(b: OpBuilder, starts: readonly number[], sizes: readonly Size[]): Value {
  const numbers = sizes.filter((size) => typeof size === "number");
  if (numbers.length === sizes.length) return b.ints(starts.map((start, i) => start + (numbers[i] ?? 0)));
  const ends = shapeVector(b, sizes);
  return starts.every((start) => start === 0) ? ends : b.add(ends, b.ints(starts));
}
