/** Rules that turn integers known at compile time into constants. */
import { constantOf, inlineTensor, int64Tensor } from "../../ir/constant.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { Value } from "../../ir/value.ts";
import { encodeElements } from "../../ops/elements.ts";
import { nodeRule, type Rule } from "../rule.ts";

/** The tensor that a value with fully numeric content holds; undefined where an element is symbolic or inexact. */
export function contentTensor(value: Value): Tensor | undefined {
  const { content, tensorType } = value;
  if (content === undefined || tensorType?.shape === undefined || tensorType.shape.length > 1)
    return undefined;
  const numbers = content.filter((dim): dim is number => Number.isSafeInteger(dim));
  if (numbers.length !== content.length) return undefined;
  const dims = tensorType.shape.length === 0 ? [] : [numbers.length];
  if (dims.length === 0 && numbers.length !== 1) return undefined;
  if (tensorType.dtype === "int64") return int64Tensor(numbers, dims);
  if (tensorType.dtype !== "int32" && tensorType.dtype !== "bool") return undefined;
  return inlineTensor(tensorType.dtype, dims, encodeElements(tensorType.dtype, Float64Array.from(numbers)));
}

/** Shape of a known shape and the arithmetic after it. */
const knownContent = nodeRule("known-content", {
  roots: "any",
  when: (node) => {
    if (node.outputs[0] == null || constantOf(node.output(0)) !== undefined) return false;
    // What passes a constant on to a graph output must stay.
    if (node.op === "Identity" && constantOf(node.input(0)) !== undefined) return false;
    return contentTensor(node.output(0)) !== undefined;
  },
  build: (node, b) => {
    const value = node.output(0);
    const tensor = contentTensor(value);
    const constant = tensor === undefined ? value : b.constant(tensor, value.name || "constant");
    constant.content = value.content;
    return constant;
  },
});

export const contentRules: readonly Rule[] = [knownContent];
