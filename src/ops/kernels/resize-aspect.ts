/** Resizing by one factor for several axes, which the runtime takes from sizes that are known when the model runs. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { countUp } from "./rearrange.ts";
import { interpolation, type ResizeAttributes } from "./resize.ts";
import { shapeVector, sizeAt } from "./shape-vector.ts";

/** Axes beside batch and channel that the runtime resizes at once. */
const mostAxes = 3;

/** A Resize with keep_aspect_ratio_policy, as far as its matrices depend on it. */
export interface AspectResizing {
  readonly x: Value;
  readonly sizes: Value;
  /** Axes that the sizes are of, in their order. */
  readonly axes: readonly number[];
  readonly attrs: ResizeAttributes;
}

/** Whether {@link aspectTranspose} says it: the runtime resizes so many axes, and no place is filled with a constant. */
export function saysAspect({ axes, attrs }: Pick<AspectResizing, "axes" | "attrs">): boolean {
  return axes.length <= mostAxes && attrs.coordinate_transformation_mode !== "tf_crop_and_resize";
}

/**
 * The matrix `[size, output]` by which the result depends on axis `axes[index]`: what becomes of the rows of the identity
 * when each is resized as the operand is. Along the other axes they do not change, but the factor is that of all.
 */
export function aspectTranspose(
  b: OpBuilder,
  { x, sizes, axes, attrs }: AspectResizing,
  index: number,
): Value {
  const axis = axes[index] ?? 0;
  const size = sizeAt(x, axis);
  const range = b.op("Range", [b.int(0), b.dim(x, axis), b.int(1)]);
  const identity = b.cast(b.equal(b.unsqueeze(range, [1]), range), "float32");
  const places = countUp(axes.length).map((at) => at + 2);
  const others = places.filter((_, at) => at !== index);
  const rows = b.unsqueeze(identity, [1, ...others]);
  const lines = b.expand(rows, shapeVector(b, [size, 1, ...axes.map((each) => sizeAt(x, each))]));
  const resized = b.op("Resize", [lines, null, null, sizes], {
    axes: places,
    keep_aspect_ratio_policy: attrs.keep_aspect_ratio_policy,
    ...interpolation(attrs),
  });
  const first = b.slice(resized, { starts: others.map(() => 0), ends: others.map(() => 1), axes: others });
  return b.squeeze(first, [1, ...others]);
}
