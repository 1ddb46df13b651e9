/** Makes padding explicit where a convolution's own depends on sizes known at run time. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Node } from "../../ir/node.ts";
import type { Shape } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { shapeOf } from "../facts.ts";
import { once } from "./once.ts";
import { countUp } from "./rearrange.ts";
import { shapeVector, sizesOf } from "./shape-vector.ts";
import { planWindows, type WindowAttributes, type WindowAxis } from "./window.ts";
import { padZeros } from "./zero-pad.ts";

/** An operand on which windows have padding that is known. */
export interface Padded {
  readonly x: Value;
  readonly windows: readonly WindowAxis[];
  /** Takes the gradient of the padded operand to that of the operand itself. */
  readonly cutOff: (gradient: Value) => Value;
}

/**
 * The operand itself where its padding is known, else one with zeros around it, of auto_pad SAME_UPPER or
 * SAME_LOWER with strides on axes whose size is not known.
 */
export function explicitPadding(
  b: OpBuilder,
  node: Node,
  x: Value,
  attrs: WindowAttributes,
  kernel: Shape,
): Padded {
  const windows = planWindows(attrs, kernel, shapeOf(x).slice(2));
  if (windows.every(({ before, after }) => typeof before === "number" && typeof after === "number")) {
    return { x, windows, cutOff: (gradient) => gradient };
  }
  const axes = b.ints(countUp(kernel.length).map((axis) => axis + 2));
  const size = shapeVector(b, sizesOf(x, 2));
  const [before, after] = samePads(b, node, size, windows, attrs.auto_pad === "SAME_UPPER");
  const padded = padZeros(b, x, b.concat([before, after], 0), axes);
  const valid = { ...attrs, auto_pad: "VALID" };
  const ends = once(() => b.add(before, size));
  return {
    x: padded,
    windows: planWindows(valid, kernel, shapeOf(padded).slice(2)),
    cutOff: (gradient) => b.op("Slice", [gradient, before, ends(), axes]),
  };
}

/** Padding before and after, computed as ONNX says of auto_pad. */
function samePads(
  b: OpBuilder,
  node: Node,
  size: Value,
  windows: readonly WindowAxis[],
  upper: boolean,
): [Value, Value] {
  const strides = b.ints(windows.map(({ stride }) => stride));
  const spans = b.ints(
    windows.map(({ span, stride }) => {
      if (typeof span !== "number") throw operatorErrors.E_UNKNOWN_SIZE(node, "the size of its kernel");
      return span - stride;
    }),
  );
  // ceil(size / stride) * stride, all of whole numbers
  const covered = b.mul(b.div(b.add(size, b.sub(strides, 1)), strides), strides);
  const total = b.max(b.sub(b.add(covered, spans), size), 0);
  const half = b.div(total, 2);
  const rest = b.sub(total, half);
  return upper ? [half, rest] : [rest, half];
}
