/** Mixed precision: rewrites a float32 graph so that products run in 16 bits, by each operator's precision class. */
import { constantOf } from "../ir/constant.ts";
import { type DType, dtypeCode } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import { Node } from "../ir/node.ts";
import { roleOf } from "../ir/role.ts";
import { tensorType } from "../ir/type.ts";
import { Value } from "../ir/value.ts";
import { inferNode } from "../ops/infer.ts";
import { type PrecisionClass, paramAt } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";

/** The two types that can be asked for. */
export type LowDType = "float16" | "bfloat16";

/**
 * Inserts casts in node order, in the manner of torch.autocast: operators of class `low` get 16-bit operands, of class
 * `full` float32 ones, of class `follow` 16 bits only where no float32 operand but scalar constants meets them.
 * Parameters, labels, loss and all outputs stay float32. Gives the number of operators that now run in 16 bits.
 */
export function autocastGraph(graph: Graph, dtype: LowDType, opset: number): number {
  const casts = new CastCache(graph, dtype);
  let lowered = 0;
  for (const node of graph.nodes()) {
    const target = targetType(node, dtype);
    if (target === undefined) continue;
    if (target === dtype) lowered += 1;
    castOperands(node, target, casts);
    for (const output of node.outputs)
      if (output !== null && isFloatPair(output, dtype)) output.type = undefined;
    inferNode(node, opset);
  }
  graph.outputs.forEach((output, index) => {
    if (output.tensorType?.dtype !== dtype) return;
    const restored = casts.get(output, "float32");
    const name = output.name;
    restored.name = name;
    output.name = "";
    for (const [key, value] of output.metadata) restored.metadata.set(key, value);
    graph.setOutput(index, restored);
  });
  return lowered;
}

/** The float type that a node is to compute in; undefined where it keeps what it has. */
function targetType(node: Node, low: LowDType): LowDType | "float32" | undefined {
  const op = opOf(node);
  const floats = floatOperands(node);
  if (floats.length === 0) return undefined;
  // Bodies are compiled for float32 operands.
  if (op === undefined || node.subgraphs().length > 0) return "float32";
  const precision: PrecisionClass = op.precision;
  if (precision === "low") return low;
  if (precision === "full") return "float32";
  if (precision === "exact") return undefined;
  const deciding = floats
    .map((index) => node.input(index))
    .filter((value) => value !== undefined && !isScalar(value));
  const allLow = deciding.length > 0 && deciding.every((value) => value?.tensorType?.dtype === low);
  return allLow ? low : "float32";
}

function floatOperands(node: Node): number[] {
  const op = opOf(node);
  return node.inputs.flatMap((input, index) => {
    const dtype = input?.tensorType?.dtype;
    if (dtype !== "float32" && dtype !== "float16" && dtype !== "bfloat16") return [];
    const name = op === undefined ? undefined : paramAt(op.inputs, index)?.name;
    return name !== undefined && op?.hostInputs.has(name) ? [] : [index];
  });
}

function castOperands(node: Node, target: DType, casts: CastCache): void {
  for (const index of floatOperands(node)) {
    const value = node.input(index);
    if (value !== undefined && value.tensorType?.dtype !== target)
      node.setInput(index, casts.get(value, target, node));
  }
}

function isScalar(value: Value): boolean {
  const tensor = constantOf(value);
  return tensor !== undefined && tensor.size === 1;
}

function isFloatPair(value: Value, low: LowDType): boolean {
  const dtype = value.tensorType?.dtype;
  return dtype === "float32" || dtype === low;
}

/** One cast per value and type, placed right after the value is there. */
class CastCache {
  readonly #graph: Graph;
  readonly #low: LowDType;
  readonly #known = new Map<Value, Map<DType, Value>>();

  constructor(graph: Graph, low: LowDType) {
    this.#graph = graph;
    this.#low = low;
  }

  get(value: Value, to: DType, reader?: Node): Value {
    const byType = this.#known.get(value) ?? new Map<DType, Value>();
    this.#known.set(value, byType);
    const known = byType.get(to);
    if (known !== undefined) return known;
    const cast = this.#make(value, to, reader);
    byType.set(to, cast);
    return cast;
  }

  #make(value: Value, to: DType, reader?: Node): Value {
    const output = new Value({ type: tensorType(to, value.tensorType?.shape) });
    const node = new Node({
      op: "Cast",
      inputs: [value],
      attributes: { to: dtypeCode(to) },
      outputs: [output],
    });
    node.name = value.producer?.name ?? reader?.name ?? "";
    for (const [key, text] of value.producer?.metadata ?? []) node.metadata.set(key, text);
    node.metadata.set("peft.cast", roleOf(value) === "param" ? "param" : this.#low);
    this.#graph.insert(node, value.producer === undefined ? this.#graph.first : value.producer.next);
    return output;
  }
}
