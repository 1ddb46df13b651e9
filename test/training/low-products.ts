/** The audit of mixed precision: products with frozen weights, and those among them that read unrounded values. */
import { type DType, isFloat } from "../../src/ir/dtype.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Node } from "../../src/ir/node.ts";
import type { Value } from "../../src/ir/value.ts";

const products: ReadonlySet<string> = new Set(["MatMul", "Gemm", "Conv", "ConvTranspose"]);
const movements: ReadonlySet<string> = new Set([
  "Cast",
  "Transpose",
  "Reshape",
  "Identity",
  "Unsqueeze",
  "Squeeze",
]);

/** Nodes that multiply by a matrix or kernel of the model which is not trained. */
export function frozenProducts(graph: Graph): Node[] {
  return [...graph.allNodes()].filter(
    (node) => products.has(node.op) && node.inputs.some((input) => input !== null && isFrozenWeight(input)),
  );
}

/** Whether a value is a constant matrix or kernel, cast and moved at most. */
function isFrozenWeight(value: Value): boolean {
  let at: Value | undefined = value;
  while (at?.producer !== undefined && movements.has(at.producer.op)) at = at.producer.input(0);
  const tensor = at?.initializer;
  const isConstant = at?.graph?.initializers.has(at) === true;
  return isConstant && tensor !== undefined && tensor.dims.length >= 2 && isFloat(tensor.dtype);
}

/** How a graph holds 16-bit values: in their own type, or as float32 between Casts. */
export type LowForm = "native" | "emulated";

/**
 * Operands of frozen products that are not rounded to `low`, as text. Some products of a native graph compute in float32,
 * where no provider has a 16-bit kernel; what they read is rounded all the same.
 */
export function unroundedOperands(graph: Graph, low: DType, form: LowForm): string[] {
  const isRounded = (value: Value): boolean =>
    isRaised(value) || (form === "native" && value.tensorType?.dtype === low);
  return frozenProducts(graph).flatMap((node) =>
    node.inputs.flatMap((input, index) => {
      if (input === null || !isFloat(input.tensorType?.dtype ?? "float32") || isRounded(input)) return [];
      return [`${node.op} "${node.name}" operand ${index} ("${input.name}")`];
    }),
  );

  function isRaised(value: Value): boolean {
    const cast = value.producer;
    return (
      value.tensorType?.dtype === "float32" && cast?.op === "Cast" && cast.input(0)?.tensorType?.dtype === low
    );
  }
}
