/** Resize, and Upsample, which it replaced. */
import { InternalError } from "../../diagnostics/define.ts";
import { constantOf, float32Tensor } from "../../ir/constant.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { replaceNode } from "../kernels/replace-node.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import {
  knownResize,
  knownTarget,
  planResize,
  presentOperand,
  type ResizeAttributes,
  resizeArray,
  resizedAxes,
} from "../kernels/resize.ts";
import { resizeGradient } from "../kernels/resize-gradient.ts";
import { fromTensor, type NDArray } from "../ndarray.ts";
import { float, int, ints, text } from "../params.ts";

/**
 * Nearest, linear or cubic interpolation along each axis (ONNX Resize 19), as the runtime computes it where the
 * two differ: an axis of scale 1 is copied whatever roi says, and so is an operand that keeps all its sizes.
 * roi, scales and sizes say where to look; gradients stop there.
 */
export const Resize = defineOp({
  type: "Resize",
  versions: [10, 11, 13, 18, 19],
  inputs: ["x", "roi?", "scales?", "sizes?"],
  ranks: { x: [1], roi: 1, scales: 1, sizes: 1 },
  outputs: ["y"],
  attributes: {
    antialias: int(0),
    axes: ints(),
    coordinate_transformation_mode: text("half_pixel"),
    cubic_coeff_a: float(-0.75),
    exclude_outside: int(0),
    extrapolation_value: float(0),
    keep_aspect_ratio_policy: text("stretch"),
    mode: text("nearest"),
    nearest_mode: text("round_prefer_floor"),
  },
  infer: ({ node, in: { x, scales, sizes }, attrs }) => {
    checkAttributes(node, attrs);
    const type = x.tensorType;
    if (type?.shape === undefined) return [type];
    const changes = planResize(node, type.shape, attrs, knownTarget(scales, sizes));
    return [
      tensorType(
        type.dtype,
        changes.map(({ output }) => output),
      ),
    ];
  },
  evaluate: ({ node, in: { x, roi, scales, sizes }, attrs, exact }) => {
    const target = { scales: elementsOf(scales), sizes: elementsOf(sizes) };
    const changes = planResize(node, x.shape, attrs, target);
    const axes = knownResize(x.shape, changes, resizedAxes(node, attrs.axes, x.rank), elementsOf(roi));
    if (axes === undefined) throw new InternalError("Resize has neither scales nor sizes");
    return [resizeArray(x, axes, attrs, exact)];
  },
  precision: "follow",
  gradient: ({ node, in: { x, roi, scales, sizes }, out: { y }, grad, attrs, b }) => ({
    x: () => {
      const region = presentOperand(roi);
      const tensor = constantOf(region);
      return resizeGradient(b, grad.y, {
        node,
        x,
        y,
        roi: region,
        scales: presentOperand(scales),
        sizes: presentOperand(sizes),
        attrs,
        target: knownTarget(scales, sizes),
        region: tensor === undefined ? undefined : fromTensor(tensor).toNumbers(),
      });
    },
  }),
  upgrades: { 11: nameCoordinates },
  hostInputs: ["roi", "scales", "sizes"],
});

/** Resize of version 10. Models of opset 10 and later may not have it; older ones are upgraded. */
export const Upsample = defineOp({
  type: "Upsample",
  versions: [1, 7, 9, 10],
  inputs: ["x", "scales"],
  ranks: { x: [1], scales: 1 },
  outputs: ["y"],
  attributes: { mode: text("nearest") },
  infer: ({ node, in: { x, scales }, attrs }) => {
    const type = x.tensorType;
    if (type?.shape === undefined) return [type];
    const changes = planResize(node, type.shape, asymmetric(attrs.mode), knownTarget(scales, undefined));
    return [
      tensorType(
        type.dtype,
        changes.map(({ output }) => output),
      ),
    ];
  },
  evaluate: ({ node, in: { x, scales }, attrs, exact }) => {
    const how = asymmetric(attrs.mode);
    const changes = planResize(node, x.shape, how, { scales: scales.toNumbers() });
    const axes = knownResize(x.shape, changes, resizedAxes(node, undefined, x.rank), undefined);
    if (axes === undefined) throw new InternalError("Upsample has no scales");
    return [resizeArray(x, axes, how, exact)];
  },
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, scales }, attrs, b }) => [
      b.op("Resize", [x, null, scales], {
        mode: attrs.mode,
        coordinate_transformation_mode: "asymmetric",
        nearest_mode: "floor",
      }),
    ],
  },
  upgrades: {
    9: (node, b) => {
      const attribute = node.attributes.get("scales");
      if (attribute?.kind !== "floats") throw new InternalError("it has no scales");
      node.attributes.delete("scales");
      node.setInput(1, b.constant(float32Tensor(attribute.value), "scales"));
    },
    10: (node, b) => {
      const [x, scales] = [node.input(0), node.input(1)];
      if (x === undefined || scales === undefined) throw new InternalError("it lacks an operand");
      replaceNode(node, [b.op("Resize", [x, scales], { mode: node.string("mode", "nearest") })]);
    },
  },
  hostInputs: ["scales"],
});

function checkAttributes(node: Node, attrs: ResizeAttributes): void {
  requireOneOf(node, "mode", attrs.mode, ["nearest", "linear", "cubic"]);
  requireOneOf(node, "nearest_mode", attrs.nearest_mode, [
    "round_prefer_floor",
    "round_prefer_ceil",
    "floor",
    "ceil",
  ]);
  requireOneOf(node, "coordinate_transformation_mode", attrs.coordinate_transformation_mode, [
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
  ]);
  requireOneOf(node, "keep_aspect_ratio_policy", attrs.keep_aspect_ratio_policy, [
    "stretch",
    "not_larger",
    "not_smaller",
  ]);
}

/** Elements of an operand, undefined where it is left out or empty. */
function elementsOf(operand: NDArray | undefined): readonly number[] | undefined {
  return operand === undefined || operand.size === 0 ? undefined : operand.toNumbers();
}

function asymmetric(mode: string): ResizeAttributes {
  return {
    antialias: 0,
    axes: undefined,
    coordinate_transformation_mode: "asymmetric",
    cubic_coeff_a: -0.75,
    exclude_outside: 0,
    extrapolation_value: 0,
    keep_aspect_ratio_policy: "stretch",
    mode,
    nearest_mode: "floor",
  };
}

/**
 * Version 11 names the way from places to elements. Version 10 left it open; the runtime takes `place / scale`,
 * and the element before it, or the one after it on axes that shrink. An operand that shrinks on one axis and
 * grows on another is resized twice.
 */
function nameCoordinates(node: Node, b: OpBuilder): void {
  const [x, scales] = [node.input(0), node.input(1)];
  if (x === undefined || scales === undefined) throw new InternalError("it lacks an operand");
  const mode = node.string("mode", "nearest");
  const roi = b.opset < 13 ? b.constant(float32Tensor([]), "roi") : null;
  const resize = (from: Value, factors: Value, nearest: string): Value =>
    b.op("Resize", [from, roi, factors], {
      mode,
      coordinate_transformation_mode: "asymmetric",
      nearest_mode: mode === "nearest" ? nearest : undefined,
    });
  const tensor = constantOf(scales);
  const known = tensor && fromTensor(tensor).toNumbers();
  const [shrinks, grows] = [
    known?.some((scale) => scale < 1) ?? true,
    known?.some((scale) => scale > 1) ?? true,
  ];
  if (mode !== "nearest" || !shrinks) replaceNode(node, [resize(x, scales, "floor")]);
  else if (!grows) replaceNode(node, [resize(x, scales, "ceil")]);
  else replaceNode(node, [resize(resize(x, b.max(scales, 1), "floor"), b.min(scales, 1), "ceil")]);
}
