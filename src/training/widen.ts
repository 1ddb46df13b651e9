/** Lets a graph that computes in 16 bits compute in float32, from the 16-bit weights that its file holds. */
import { type DType, dtypeCode, dtypeFromCode, isLow } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { tensorType, type ValueType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { convertTensor } from "../ops/convert-tensor.ts";
import { inferNode, setConstantFacts } from "../ops/infer.ts";
import { opOf } from "../ops/registry.ts";
import { insertCast } from "./insert-cast.ts";

/**
 * Puts a Cast behind each 16-bit input and initializer, and infers all results anew; a Cast to 16 bits becomes one to float32, so
 * that what a half-converted model rounds in between is rounded no more. Inputs and weights keep their types, outputs do not.
 * Operators that we do not know read and give what they did.
 *
 * @returns the number of values that became float32.
 */
export function widenGraph(graph: Graph, opset: number): number {
  const original = new Map<Value, DType>();
  widen(graph, opset, original);
  return original.size;
}

function widen(graph: Graph, opset: number, original: Map<Value, DType>): void {
  for (const value of [...graph.inputs, ...graph.initializers]) {
    const dtype = lowType(value);
    const given = graph.owner !== undefined && value.initializer === undefined;
    if (given) value.type = widened(value.type);
    else if (dtype !== undefined) replace(graph, value, dtype, original);
    if (given && dtype !== undefined) original.set(value, dtype);
  }
  for (const node of graph.nodes()) {
    const known = opOf(node) !== undefined;
    if (known) readWide(node);
    else readAsBefore(graph, node, original);
    for (const body of node.subgraphs()) widen(body, opset, original);
    const before = node.outputs.map((output) => output && lowType(output));
    if (known) for (const output of node.outputs) if (output !== null) output.type = widened(output.type);
    inferNode(node, opset);
    node.outputs.forEach((output, index) => {
      if (output === null) return;
      const dtype = lowType(output);
      const old = before[index];
      // A type that the operator gets from neither operands nor a Cast, such as that of a quantised product's result.
      if (dtype !== undefined) replace(graph, output, dtype, original);
      else if (old != null) original.set(output, old);
    });
  }
}

/** Lets the readers of a value read it in float32; numbers of the graph's own arithmetic are converted at once. */
function replace(graph: Graph, value: Value, dtype: DType, original: Map<Value, DType>): void {
  const tensor = value.initializer;
  if (tensor?.size === 1 && graph.initializers.has(value)) {
    const wide = graph.addInitializer(convertTensor(tensor, "float32"), value.name);
    setConstantFacts(wide);
    original.set(wide, dtype);
    value.replaceUses(wide);
    return;
  }
  if (!value.isUsed) return;
  const cast = insertCast(graph, value, "float32");
  if (value.producer === undefined) cast.name = "";
  const wide = cast.output();
  original.set(wide, dtype);
  value.replaceUses(wide, (use) => use.kind === "operand" && use.node === cast);
  if ([...wide.uses].some((use) => use.kind === "output")) [wide.name, value.name] = [value.name, ""];
}

/** Casts to 16 bits go to float32. */
function readWide(node: Node): void {
  const to = node.op === "Cast" && node.domain === "" ? dtypeFromCode(node.int("to", 0)) : undefined;
  if (to !== undefined && isLow(to)) node.attributes.set("to", { kind: "int", value: dtypeCode("float32") });
}

function readAsBefore(graph: Graph, node: Node, original: ReadonlyMap<Value, DType>): void {
  node.inputs.forEach((input, index) => {
    const dtype = input === null ? undefined : original.get(input);
    if (input !== null && dtype !== undefined) node.setInput(index, insertCast(graph, input, dtype).output());
  });
}

function lowType({ tensorType: type }: Value): DType | undefined {
  return type !== undefined && isLow(type.dtype) ? type.dtype : undefined;
}

function widened(type: ValueType | undefined): ValueType | undefined {
  if (type?.kind === "tensor") return isLow(type.dtype) ? tensorType("float32", type.shape) : type;
  if (type?.kind !== "sequence" && type?.kind !== "optional") return type;
  return { ...type, element: widened(type.element) ?? type.element };
}
