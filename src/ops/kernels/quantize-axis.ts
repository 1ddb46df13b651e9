/** How scales and zero points lie along a tensor: one for all, one for each place of an axis, or one for each block. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { ceilDivDims } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { countElements } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { rankOf, shapeOf } from "../facts.ts";
import { stridesOf } from "../ndarray.ts";
import { countUp } from "./rearrange.ts";
import { axesExcept, axisOf } from "./reduction-axes.ts";
import { requireShape } from "./require-shape.ts";
import { reshapeTo, shapeVector, sizeAt, sizesOf } from "./shape-vector.ts";

/** Attributes that say which axis has scales of its own. */
export interface ScaleAxis {
  readonly axis: number;
  /** Elements of that axis that share a scale; 0 where each place has its own. */
  readonly block_size: number;
}

/**
 * For each element of a tensor the flat position of its scale.
 *
 * @param scale shape of the scales: no axes or one element, one axis, or that of the tensor with blocks for an axis.
 */
export function scaleOffsets(
  shape: readonly number[],
  scale: readonly number[],
  { axis, block_size: block }: ScaleAxis,
): Int32Array {
  const offsets = new Int32Array(countElements(shape));
  if (countElements(scale) === 1) return offsets;
  const at = axis < 0 ? axis + shape.length : axis;
  const strides = stridesOf(shape);
  const own = block > 0 ? stridesOf(scale) : shape.map((_, i) => (i === at ? 1 : 0));
  for (let i = 0; i < offsets.length; i++) {
    let offset = 0;
    for (let axisAt = 0; axisAt < shape.length; axisAt++) {
      const place = Math.floor(i / (strides[axisAt] ?? 1)) % (shape[axisAt] ?? 1);
      offset += (own[axisAt] ?? 0) * (axisAt === at && block > 0 ? Math.floor(place / block) : place);
    }
    offsets[i] = offset;
  }
  return offsets;
}

/** @throws DiagnosticError E_BAD_AXIS, E_BAD_ATTRIBUTE, E_BAD_OPERAND where scales and tensor do not fit each other. */
export function checkScales(
  node: Node,
  x: Value,
  scale: Value,
  zero: Value | undefined,
  attrs: ScaleAxis,
): void {
  const [whole, own] = [x.tensorType?.shape, scale.tensorType?.shape];
  if (whole === undefined || own === undefined) return;
  if (own.length === 0 || (own.length === 1 && own[0] === 1)) return;
  const at = axisOf(node, attrs.axis, whole.length);
  if (attrs.block_size > 0 ? own.length === whole.length : own.length === 1) {
    const blocks = attrs.block_size > 0 ? ceilDivDims(whole[at] ?? 1, attrs.block_size) : whole[at];
    const wanted = attrs.block_size > 0 ? whole.with(at, blocks ?? 1) : [blocks];
    requireShape(node, "scale", scale, wanted);
    requireShape(node, "zero", zero, wanted);
    return;
  }
  const wanted = attrs.block_size > 0 ? `scales of rank ${whole.length} for blocks` : "scales of rank 0 or 1";
  throw operatorErrors.E_BAD_ATTRIBUTE(node, "block_size", wanted, `scales of rank ${own.length}`);
}

/** Scales (or zero points as floats) in a shape that broadcasts with the tensor. */
export function alignScales(b: OpBuilder, scale: Value, x: Value, attrs: ScaleAxis): Value {
  const [own, rank] = [shapeOf(scale), rankOf(x)];
  if (own.length === 0) return scale;
  if (own.length === 1 && own[0] === 1) return b.reshape(scale, []);
  const at = attrs.axis < 0 ? attrs.axis + rank : attrs.axis;
  if (attrs.block_size === 0) {
    return b.unsqueeze(
      scale,
      countUp(rank).filter((axis) => axis !== at),
    );
  }
  const count = shapeVector(b, [sizeAt(x, at)]);
  const places = b.op("Range", [b.int(0), b.squeeze(count, [0]), b.int(1)]);
  return b.gather(scale, b.div(places, attrs.block_size), at);
}

/** Sums what belongs to one scale: the gradient of scales from that of aligned ones. */
export function sumByScale(b: OpBuilder, node: Node, g: Value, scale: Value, attrs: ScaleAxis): Value {
  const [own, whole] = [shapeOf(scale), shapeOf(g)];
  if (own.length === 0) return b.reduceSum(g, undefined, false);
  if (own.length === 1 && own[0] === 1) return b.reshape(b.reduceSum(g, undefined, false), [1]);
  const at = attrs.axis < 0 ? attrs.axis + whole.length : attrs.axis;
  if (attrs.block_size === 0) return b.reduceSum(g, axesExcept([at], whole.length), false);
  const size = whole[at];
  if (typeof size !== "number")
    throw operatorErrors.E_UNKNOWN_SIZE(node, "the size of the axis that is cut into blocks");
  const blocks = Math.ceil(size / attrs.block_size);
  const rest = blocks * attrs.block_size - size;
  const padded = rest === 0 ? g : b.op("Pad", [g, b.ints([0, rest]), null, b.ints([at])]);
  const split = [...sizesOf(g, 0, at), blocks, attrs.block_size, ...sizesOf(g, at + 1)];
  return b.reduceSum(reshapeTo(b, padded, split), [at + 1], false);
}
