/** Convolution whose windows read at places of their own: DeformConv as standard operators. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Node } from "../../ir/node.ts";
import { countElements, staticShape } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dimOf, shapeOf } from "../facts.ts";
import { countUp } from "./rearrange.ts";
import { axisTaps, pointTaps } from "./sample-points.ts";
import { productOf, reshapeTo, type Size, sizeAt, sizesOf } from "./shape-vector.ts";
import type { WindowAttributes } from "./window.ts";

/** Operands of DeformConv. */
export interface Deformed {
  readonly x: Value;
  readonly w: Value;
  readonly offset: Value;
  readonly bias: Value | undefined;
  readonly mask: Value | undefined;
}

export interface DeformAttributes extends Omit<WindowAttributes, "auto_pad"> {
  readonly group: number;
  readonly offset_group: number;
}

/**
 * Columns of samples, one for each element of each window, times the weights. Offsets name the first spatial axis
 * first, and elements beyond the image are zeros.
 *
 * @throws DiagnosticError E_UNKNOWN_SIZE where sizes of the weights are not known.
 */
export function deformConv(
  b: OpBuilder,
  node: Node,
  { x, w, offset, bias, mask }: Deformed,
  attrs: DeformAttributes,
): Value {
  const kernel = staticShape(shapeOf(w).slice(2));
  const [outputs, inputs] = [dimOf(w, 0), dimOf(w, 1)];
  if (kernel === undefined || typeof inputs !== "number" || typeof outputs !== "number")
    throw operatorErrors.E_UNKNOWN_SIZE(node, "the sizes of its weights");
  const { group, offset_group: parts } = attrs;
  const channels = inputs * group;
  const rank = kernel.length;
  const taps = countElements(kernel);
  const spatial = sizesOf(offset, 2);
  const points = productOf(spatial);
  const batch = sizeAt(x, 0);
  // [N, parts, taps, rank, ...]
  const moved = reshapeTo(b, offset, [batch, parts, taps, rank, ...spatial]);
  const sizes = countUp(rank).map((axis) => b.dim(x, axis + 2));
  const axes = countUp(rank).map((axis) => {
    const own = b.squeeze(b.slice(moved, { starts: [axis], ends: [axis + 1], axes: [3] }), [3]);
    const places = b.add(own, b.castLike(windowPlaces(b, offset, kernel, axis, attrs), offset));
    const flat = reshapeTo(b, places, [batch, parts, taps, points]);
    return axisTaps(b, flat, sizes[axis] ?? b.int(1), {
      order: "linear",
      padding: "zeros",
      alignCorners: false,
    });
  });
  const { at, weight } = pointTaps(b, axes, sizes);
  // Rows of the channels that share their offsets, one for each element of the images.
  const depth = channels / parts;
  const area = productOf(sizesOf(x, 2));
  const images = reshapeTo(b, x, [batch, parts, depth, area]);
  const rows = b.reshape(b.transpose(images, [0, 1, 3, 2]), [-1, depth]);
  const count = sizes.reduce((left, right) => b.mul(left, right));
  const range = b.op("Range", [b.int(0), b.mul(b.dim(x, 0), parts), b.int(1)]);
  const first = reshapeTo(b, b.mul(range, count), [batch, parts, 1, 1, 1]);
  const picked = b.gather(rows, b.add(at, first));
  // [N, parts, taps, P, depth]
  const sampled = b.reduceSum(b.mul(picked, b.unsqueeze(weight, [5])), [4], false);
  const factor = mask && b.unsqueeze(reshapeTo(b, mask, [batch, parts, taps, points]), [4]);
  const scaled = factor === undefined ? sampled : b.mul(sampled, factor);
  const columns = reshapeTo(b, b.transpose(scaled, [0, 1, 4, 2, 3]), [batch, group, inputs * taps, points]);
  const weights = b.reshape(w, [group, outputs / group, inputs * taps]);
  const product = reshapeTo(b, b.matmul(weights, columns), [batch, outputs, ...spatial]);
  return bias === undefined
    ? product
    : b.add(
        product,
        b.unsqueeze(
          bias,
          countUp(rank).map((axis) => axis + 1),
        ),
      );
}

/** Where each element of each window lies along one axis without offsets: `[taps, 1..., windows, ...1]`. */
function windowPlaces(
  b: OpBuilder,
  offset: Value,
  kernel: readonly number[],
  axis: number,
  attrs: DeformAttributes,
): Value {
  const [stride, dilation] = [attrs.strides?.[axis] ?? 1, attrs.dilations?.[axis] ?? 1];
  const inner = countElements(kernel.slice(axis + 1));
  const steps = countUp(countElements(kernel)).map(
    (tap) => (Math.floor(tap / inner) % (kernel[axis] ?? 1)) * dilation - (attrs.pads?.[axis] ?? 0),
  );
  const windows = b.op("Range", [b.int(0), b.dim(offset, axis + 2), b.int(1)]);
  const rank = kernel.length;
  const along = countUp(rank).filter((other) => other !== axis);
  const starts = b.unsqueeze(b.mul(windows, stride), along);
  const ends: Size[] = [steps.length, ...countUp(rank).map(() => 1)];
  return b.add(reshapeTo(b, b.ints(steps), ends), starts);
}
