/** GridSample: images read at places that a tensor names. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { gridSample, gridSampleGradient } from "../kernels/grid-sample.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import type { Sampling } from "../kernels/sample-points.ts";
import { int, text } from "../params.ts";

const orders = ["linear", "nearest", "cubic"] as const;
const paddings = ["zeros", "border", "reflection"] as const;

/**
 * Samples `x [N, C, ...]` at the places of `grid [N, ..., r]`, coordinates from -1 to 1 with that of the last
 * axis first (ONNX GridSample 22). The nearest element does not depend on the place, so its gradient is zero.
 */
export const GridSample = defineOp({
  type: "GridSample",
  versions: [16, 20, 22],
  inputs: ["x", "grid"],
  ranks: { x: [3], grid: [3] },
  outputs: ["y"],
  attributes: { align_corners: int(0), mode: text("linear"), padding_mode: text("zeros") },
  infer: ({ node, in: { x, grid }, attrs }) => {
    samplingOf(node, attrs);
    const type = x.tensorType;
    const [from, places] = [type?.shape, grid.tensorType?.shape];
    if (type === undefined || from === undefined || places === undefined)
      return [type && tensorType(type.dtype)];
    if (places.length !== from.length) {
      throw operatorErrors.E_BAD_OPERAND(node, "grid", `${from.length} axes, as x has`, `${places.length}`);
    }
    const width = places.at(-1);
    if (typeof width === "number" && width !== from.length - 2) {
      throw operatorErrors.E_BAD_OPERAND(node, "grid", `${from.length - 2} coordinates a place`, `${width}`);
    }
    return [tensorType(type.dtype, [...from.slice(0, 2), ...places.slice(1, -1)])];
  },
  evaluate: ({ node, in: { x, grid }, attrs, exact }) => [
    gridSample(x, grid, samplingOf(node, attrs), exact),
  ],
  precision: "full",
  gradient: ({ node, in: { x, grid }, grad, attrs, b }) =>
    gridSampleGradient(b, { x, grid, g: grad.y, sampling: samplingOf(node, attrs) }),
  upgrades: { 20: renameModes },
});

/** Version 16 of GridSample in com.microsoft. */
export const RuntimeGridSample = defineOp({
  type: "GridSample",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["x", "grid"],
  outputs: ["y"],
  attributes: { align_corners: int(0), mode: text("bilinear"), padding_mode: text("zeros") },
  infer: ({ node, in: { x, grid }, attrs }) => {
    const type = x.tensorType;
    samplingOf(node, { ...attrs, mode: plainMode(attrs.mode) });
    const [from, places] = [type?.shape, grid.tensorType?.shape];
    const known = from !== undefined && places !== undefined;
    return [
      type && tensorType(type.dtype, known ? [...from.slice(0, 2), ...places.slice(1, -1)] : undefined),
    ];
  },
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, grid }, attrs, b }) => [
      b.op("GridSample", [x, grid], { ...attrs, mode: plainMode(attrs.mode) }),
    ],
  },
});

/** Version 20 left the "bi" of bilinear and bicubic away. */
function plainMode(mode: string): string {
  return mode.replace(/^bi/, "");
}

function samplingOf(
  node: Node,
  attrs: { readonly align_corners: number; readonly mode: string; readonly padding_mode: string },
): Sampling {
  requireOneOf(node, "mode", attrs.mode, orders);
  requireOneOf(node, "padding_mode", attrs.padding_mode, paddings);
  return {
    order: orders.find((order) => order === attrs.mode) ?? "linear",
    padding: paddings.find((padding) => padding === attrs.padding_mode) ?? "zeros",
    alignCorners: attrs.align_corners !== 0,
  };
}

function renameModes(node: Node): void {
  const mode = plainMode(node.string("mode", "bilinear"));
  node.attributes.set("mode", { kind: "string", value: mode });
}
