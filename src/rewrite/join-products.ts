/** Joins thin products of one value with several matrices, such as the A's of LoRA on queries, keys and values, into one. */
import type { Graph } from "../ir/graph.ts";
import { commonModule, markModule, moduleMark } from "../ir/module-mark.ts";
import type { Node } from "../ir/node.ts";
import { replaceValue } from "../ir/replace.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { removeDead } from "./dead.ts";

/** Columns of all matrices together, at most: more are no bottleneck of memory. */
const widest = 256;

/**
 * The value is read once in the place of once for each matrix, and so is its gradient. Constants are left alone: joined
 * ones would be copies.
 *
 * @returns how many products were joined with others.
 */
export function joinProducts(graph: Graph, opset: number): number {
  const byOperand = new Map<Value, Node[]>();
  for (const node of graph.nodes()) {
    const x = node.input(0);
    if (x !== undefined && columnsOf(node) !== undefined)
      byOperand.set(x, [...(byOperand.get(x) ?? []), node]);
  }
  let joined = 0;
  for (const [x, products] of byOperand) {
    const group = thinnest(products);
    if (group.length < 2) continue;
    joinGroup(graph, opset, x, group);
    joined += group.length;
  }
  return joined;
}

/** Columns of a matrix that is fed, maybe transposed, and that the last axis of a value is multiplied with. */
function columnsOf(node: Node): number | undefined {
  const [x, matrix] = [node.input(0), node.input(1)];
  const shape = matrix?.tensorType?.shape;
  if (node.op !== "MatMul" || node.domain !== "" || matrix === undefined || shape?.length !== 2)
    return undefined;
  if (!isFed(matrix) || (x?.tensorType?.shape?.length ?? 0) < 2) return undefined;
  return typeof shape[1] === "number" && typeof shape[0] === "number" && shape[1] < shape[0]
    ? shape[1]
    : undefined;
}

function thinnest(products: readonly Node[]): Node[] {
  const sorted = products.toSorted((left, right) => (columnsOf(left) ?? 0) - (columnsOf(right) ?? 0));
  let columns = 0;
  const kept = new Set(
    sorted.filter((product) => {
      columns += columnsOf(product) ?? widest;
      return columns <= widest;
    }),
  );
  return products.filter((product) => kept.has(product));
}

function joinGroup(graph: Graph, opset: number, x: Value, group: readonly Node[]): void {
  const [first] = group;
  const matrices = group.map((product) => product.input(1)).filter((matrix) => matrix !== undefined);
  if (first === undefined) return;
  const b = new OpBuilder({ graph, before: first }, opset);
  b.source = first;
  const before = first.previous;
  const product = b.matmul(
    x,
    b.concat(
      matrices.map((matrix) => availableAt(b, matrix)),
      1,
    ),
  );
  const module = commonModule(group.flatMap((member) => moduleMark(member) ?? []));
  const sizes = group.map((member) => columnsOf(member) ?? 0);
  const parts = b.ops("Split", [product, b.ints(sizes)], { axis: -1 }, group.length);
  for (let node = first.previous; node !== undefined && node !== before; node = node.previous)
    if (module !== undefined) markModule(node, module);
  group.forEach((member, index) => {
    const part = parts[index];
    if (part === undefined) return;
    replaceValue(member.output(0), part);
    removeDead(member);
  });
}

/** Whether a value is an input of its graph, or the transpose of one, and so could stand anywhere. */
function isFed(matrix: Value): boolean {
  const { producer, graph } = matrix;
  if (producer === undefined) return graph?.inputs.includes(matrix) === true;
  const source = producer.input(0);
  return producer.op === "Transpose" && producer.domain === "" && source?.producer === undefined;
}

/** The matrix where the builder stands; its Transpose may come later in the graph. */
function availableAt(b: OpBuilder, matrix: Value): Value {
  const { producer } = matrix;
  const source = producer?.input(0);
  return source === undefined ? matrix : b.transpose(source, producer?.ints("perm", [1, 0]) ?? [1, 0]);
}
