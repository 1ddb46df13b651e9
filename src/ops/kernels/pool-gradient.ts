/** The gradient of AveragePool: each mean's gradient, divided, spread over its window. */
import { inlineTensor } from "../../ir/constant.ts";
import type { Node } from "../../ir/node.ts";
import { countElements, staticShape } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { encodeElements } from "../elements.ts";
import { dtypeOf, shapeOf } from "../facts.ts";
import { convAxes, convInputGradient, orUndefined, windowAttributes } from "./conv-gradient.ts";
import { windowDivisors } from "./pool.ts";
import { countUp } from "./rearrange.ts";
import { explicitPadding, type Padded } from "./same-padding.ts";
import { productOf, reshapeLike, reshapeTo, shapeVector, sizesOf } from "./shape-vector.ts";
import { knownWindows, type WindowAttributes, type WindowAxis } from "./window.ts";

/** Attributes of AveragePool. */
export interface AverageAttributes extends WindowAttributes {
  readonly count_include_pad: number;
}

/** Every channel of every sample is an image of its own, so that one small kernel of ones does for all. */
export function averagePoolGradient(
  b: OpBuilder,
  node: Node,
  x: Value,
  g: Value,
  attrs: AverageAttributes,
  kernel: readonly number[],
): Value {
  const windows = explicitPadding(b, node, x, attrs, kernel);
  const divisor = divisorOf(b, x, g, attrs, kernel, windows.windows);
  if (typeof divisor === "number") return spreadOverWindows(b, x, g, windows, kernel, 1 / divisor);
  return spreadOverWindows(b, x, g, windows, kernel, 1, (planes) => b.div(planes, divisor));
}

/**
 * Adds each element of `g` times `weight` to all elements of its window in a tensor of the shape of `x`.
 *
 * @param change what becomes of `g` first, as images of one channel.
 */
export function spreadOverWindows(
  b: OpBuilder,
  x: Value,
  g: Value,
  { x: padded, windows, cutOff }: Padded,
  kernel: readonly number[],
  weight: number,
  change: (planes: Value) => Value = (planes) => planes,
): Value {
  const planes = productOf([...sizesOf(x, 0, 2)]);
  const shares = change(reshapeTo(b, g, [planes, 1, ...sizesOf(g, 2)]));
  const axes = convAxes(windows, shapeOf(padded).slice(2));
  const ones = filled(b, [1, 1, ...kernel], weight, x);
  const spread = convInputGradient(b, padded, ones, shares, { axes, groups: 1 });
  return reshapeLike(b, cutOff(spread), x);
}

/** Divisors of more elements of windows are counted at run time. */
const mostDivisors = 2 ** 20;

/** What each window divides by: one number, or a tensor that broadcasts over images. */
function divisorOf(
  b: OpBuilder,
  x: Value,
  g: Value,
  attrs: AverageAttributes,
  kernel: readonly number[],
  windows: readonly WindowAxis[],
): Value | number {
  const whole = countElements(kernel);
  const ceiled = attrs.ceil_mode === 1;
  const countPadding = attrs.count_include_pad !== 0;
  const isPadded =
    attrs.auto_pad.startsWith("SAME") || windows.some(({ before, after }) => before !== 0 || after !== 0);
  if (!ceiled && (countPadding || !isPadded)) return whole;
  const sizes = staticShape(shapeOf(x).slice(2));
  const known = sizes && knownWindows(attrs, kernel, sizes);
  if (
    sizes !== undefined &&
    known !== undefined &&
    countElements(known.map(({ output }) => output)) * whole < mostDivisors
  ) {
    const divisors = windowDivisors(sizes, known, countPadding);
    if (divisors.every((divisor) => divisor === divisors[0])) return divisors[0] ?? whole;
    const dims = [1, 1, ...known.map(({ output }) => output)];
    const dtype = dtypeOf(x);
    return b.constant(inlineTensor(dtype, dims, encodeElements(dtype, Float64Array.from(divisors))));
  }
  return countAtRunTime(b, x, g, attrs, kernel, windows);
}

/** Convolves ones with ones. */
function countAtRunTime(
  b: OpBuilder,
  x: Value,
  g: Value,
  attrs: AverageAttributes,
  kernel: readonly number[],
  windows: readonly WindowAxis[],
): Value {
  const ones = b.expand(filled(b, [], 1, x), shapeVector(b, [1, 1, ...sizesOf(x, 2)]));
  const weights = filled(b, [1, 1, ...kernel], 1, x);
  const attributes = windowAttributes(windows, 1);
  if (attrs.auto_pad.startsWith("SAME")) {
    return b.op("Conv", [ones, weights], { ...attributes, auto_pad: attrs.auto_pad });
  }
  const countPadding = attrs.count_include_pad !== 0;
  const pads = [...windows.map(({ before }) => Number(before)), ...windows.map(({ after }) => Number(after))];
  const axes = countUp(kernel.length).map((axis) => axis + 2);
  const operand = countPadding
    ? b.op("Pad", [ones, b.ints(pads), b.scalar(1, dtypeOf(x)), b.ints(axes)])
    : ones;
  // Rounding up lets the last window reach beyond the end.
  const beyond = windows.map(({ stride }) => (attrs.ceil_mode === 1 ? stride - 1 : 0));
  const around = countPadding
    ? [...axes.map(() => 0), ...beyond]
    : pads.map((pad, i) => pad + (beyond[i - axes.length] ?? 0));
  const counted = b.op("Conv", [operand, weights], { ...attributes, pads: orUndefined(around, 0) });
  if (attrs.ceil_mode !== 1) return counted;
  return b.op("Slice", [counted, b.ints(axes.map(() => 0)), shapeVector(b, sizesOf(g, 2)), b.ints(axes)]);
}

function filled(b: OpBuilder, dims: readonly number[], value: number, like: Value): Value {
  const dtype = dtypeOf(like);
  if (dims.length === 0) return b.scalar(value, dtype);
  return b.constant(
    inlineTensor(dtype, dims, encodeElements(dtype, new Float64Array(countElements(dims)).fill(value))),
  );
}
