/** MaxUnpool: puts the maxima of a MaxPool back where they were. */

import { InternalError } from "../../diagnostics/define.ts";
import { addDims, type Dim, mulDims, subDims } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { countElements, type Shape, staticShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { dimsIn } from "../kernels/content.ts";
import { requireAttribute } from "../kernels/require-attribute.ts";
import { requireShape } from "../kernels/require-shape.ts";
import { requireWindowAxes } from "../kernels/require-window.ts";
import { reshapeLike } from "../kernels/shape-vector.ts";
import { fromNumbers } from "../ndarray.ts";
import { amounts, counts, ints } from "../params.ts";

/**
 * A tensor of zeros but for the elements of `x`, at `indices` into the whole of it (ONNX MaxUnpool 22, as the runtime
 * has it: also where `shape` asks for more than the windows cover). An index that stands there twice gets its last
 * element; the gradient goes to all of them, as PyTorch has it.
 */
export const MaxUnpool = defineOp({
  type: "MaxUnpool",
  versions: [9, 11, 22],
  inputs: ["x", "indices", "shape?"],
  ranks: { x: [3], indices: [3], shape: 1 },
  outputs: ["y"],
  attributes: { kernel_shape: ints(counts), pads: ints(amounts), strides: ints(counts) },
  infer: ({ node, in: { x, indices, shape }, attrs }) => {
    const type = x.tensorType;
    if (type?.shape === undefined) return [type];
    requireShape(node, "indices", indices, type.shape);
    requireWindowAxes(node, attrs, type.shape.length - 2);
    const asked = shape === undefined ? undefined : dimsIn(shape);
    if (shape !== undefined) return [tensorType(type.dtype, asked)];
    return [tensorType(type.dtype, unpooledShape(node, type.shape, attrs))];
  },
  evaluate: ({ node, in: { x, indices, shape }, attrs, exact }) => {
    const sizes = shape?.toNumbers() ?? staticShape(unpooledShape(node, x.shape, attrs));
    if (sizes === undefined) throw new InternalError("a window of sizes that are not known");
    const values = new Float64Array(countElements(sizes));
    indices.toNumbers().forEach((index, i) => {
      values[index] = x.numbers[i] ?? 0;
    });
    return [fromNumbers(x.dtype, sizes, values, exact)];
  },
  precision: "follow",
  gradient: ({ in: { x, indices }, grad, b }) => ({
    x: () => {
      const picked = b.gather(b.reshape(grad.y, [-1]), b.reshape(indices, [-1]));
      return reshapeLike(b, picked, x);
    },
  }),
  hostInputs: ["shape"],
});

/** The smallest operand of a MaxPool that gives windows so many. */
function unpooledShape(
  node: Node,
  shape: Shape,
  attrs: {
    readonly kernel_shape: readonly number[] | undefined;
    readonly pads: readonly number[] | undefined;
    readonly strides: readonly number[] | undefined;
  },
): Dim[] {
  const kernel = requireAttribute(node, "kernel_shape", attrs.kernel_shape);
  const spatial = shape.slice(2).map((size, axis): Dim => {
    const padding = (attrs.pads?.[axis] ?? 0) + (attrs.pads?.[axis + kernel.length] ?? 0);
    const covered = mulDims(subDims(size, 1), attrs.strides?.[axis] ?? 1);
    return addDims(covered, (kernel[axis] ?? 1) - padding);
  });
  return [...shape.slice(0, 2), ...spatial];
}
