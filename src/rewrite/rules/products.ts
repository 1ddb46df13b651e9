/** Rules that let products of matrices do the scaling and adding around them, which saves passes over their results. */
import { constantOf } from "../../ir/constant.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../../ops/builder.ts";
import { reshapeLike } from "../../ops/kernels/shape-vector.ts";
import { fromTensor } from "../../ops/ndarray.ts";
import { nodeRule, type Rule } from "../rule.ts";
import { haveSameShape } from "./proofs.ts";

/** A product with a matrix on the right and nothing added. */
interface Product {
  readonly node: Node;
  readonly left: Value;
  readonly right: Value;
  /** Length of the axis that is summed over. */
  readonly inner: number;
  readonly columns: number;
}

/** Adds to a product by its own third operand: `Gemm(a, b) + c = Gemm(a, b, c)`. */
const accumulate = nodeRule("add-by-product", {
  roots: ["Add"],
  when: (node) => chooseProduct(node) !== undefined,
  build: (node, b) => {
    const chosen = chooseProduct(node);
    if (chosen === undefined) return node.output(0);
    const { product, other } = chosen;
    const { columns } = product;
    // That of a Gemm is a matrix, maybe transposed, already.
    const left = asMatrix(b, product.left, product.inner);
    const attributes = Object.fromEntries(product.node.attributes);
    const sum = b.op("Gemm", [left, product.right, asMatrix(b, other, columns)], attributes);
    return reshapeLike(b, sum, other);
  },
});

/** Scales by the factor that Gemm has. */
const scale = nodeRule("scale-by-product", {
  roots: ["Mul"],
  when: (node) => scaledProduct(node) !== undefined,
  build: (node, b) => {
    const found = scaledProduct(node);
    if (found === undefined) return node.output(0);
    const { gemm, view, factor } = found;
    const alpha = { kind: "float" as const, value: gemm.float("alpha", 1) * factor };
    const product = b.op("Gemm", [...gemm.inputs], { ...Object.fromEntries(gemm.attributes), alpha });
    return view === undefined
      ? product
      : b.op(view.op, [product, view.input(1) ?? null], Object.fromEntries(view.attributes));
  },
});

export const productRules: readonly Rule[] = [accumulate, scale];

/** The operand of a sum that is a product, the thinner one of two, which costs least to write once more. */
function chooseProduct(node: Node): { readonly product: Product; readonly other: Value } | undefined {
  const [left, right] = [node.input(0), node.input(1)];
  if (left === undefined || right === undefined || left === right || !haveSameShape(left, right))
    return undefined;
  const [first, second] = [productOf(left), productOf(right)];
  if (first !== undefined && (second === undefined || first.inner <= second.inner))
    return { product: first, other: right };
  return second === undefined ? undefined : { product: second, other: left };
}

/** A product that nothing else reads, straight or behind a Reshape. */
function productOf(value: Value): Product | undefined {
  const node = value.producer;
  if (node === undefined || value.uses.size !== 1 || value.graph !== undefined || node.domain !== "")
    return undefined;
  if (node.op === "Reshape") {
    const source = node.input(0);
    const inside = source?.producer?.op === "Gemm" ? productOf(source) : undefined;
    // The rows must still be rows.
    return inside !== undefined && value.tensorType?.shape?.at(-1) === inside.columns ? inside : undefined;
  }
  if (node.op === "Gemm") return node.input(2) === undefined ? sized(node, node.int("transB", 0)) : undefined;
  return node.op === "MatMul" ? sized(node, 0) : undefined;
}

function sized(node: Node, transB: number): Product | undefined {
  const [left, right] = [node.input(0), node.input(1)];
  const [rank, shape] = [left?.tensorType?.shape?.length, right?.tensorType?.shape];
  if (left === undefined || right === undefined || rank === undefined || rank < 2 || shape?.length !== 2)
    return undefined;
  const [inner, columns] = transB === 0 ? shape : [shape[1], shape[0]];
  // 16-bit sums would be rounded at other places than those of the operators before.
  if (left.tensorType?.dtype !== "float32" && left.tensorType?.dtype !== "float64") return undefined;
  if (typeof inner !== "number" || typeof columns !== "number" || inner === 0 || columns === 0)
    return undefined;
  return { node, left, right, inner, columns };
}

function asMatrix(b: OpBuilder, value: Value, columns: number): Value {
  return value.tensorType?.shape?.length === 2 ? value : b.reshape(value, [-1, columns]);
}

interface ScaledProduct {
  readonly gemm: Node;
  readonly view: Node | undefined;
  readonly factor: number;
}

function scaledProduct(node: Node): ScaledProduct | undefined {
  for (const [value, scalar] of [node.inputs, [...node.inputs].reverse()]) {
    const tensor = constantOf(scalar);
    if (value == null || tensor?.dims.length !== 0 || tensor.dtype !== "float32" || value.uses.size !== 1)
      continue;
    const producer = value.producer;
    const view = producer?.op === "Reshape" && producer.domain === "" ? producer : undefined;
    const inner = view === undefined ? value : view.input(0);
    const gemm = inner?.producer;
    if (gemm?.op !== "Gemm" || gemm.domain !== "" || inner?.uses.size !== 1 || gemm.input(2) !== undefined)
      continue;
    return { gemm, view, factor: fromTensor(tensor).toNumbers()[0] ?? 1 };
  }
  return undefined;
}
