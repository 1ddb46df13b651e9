/** Gives the named axes of a graph sizes, so that every shape that follows from them is known. */
import { constantOf } from "../ir/constant.ts";
import { type Dim, substituteDim, symbolsOf } from "../ir/dim.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model } from "../ir/model.ts";
import type { Node } from "../ir/node.ts";
import { roleOf } from "../ir/role.ts";
import { staticShape } from "../ir/shape.ts";
import { tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { evaluateNode } from "../ops/evaluate.ts";
import { inferNode } from "../ops/infer.ts";
import { fromNumbers, fromTensor, type NDArray } from "../ops/ndarray.ts";
import { opOf } from "../ops/registry.ts";
import { bytesOf } from "./memory.ts";

export interface AxisSizes {
  /** Size of the first axis of what a batch is fed to. */
  readonly batch: number;
  /** Size of every other named axis. */
  readonly seq: number;
}

/** Sets the axes in place and infers all types anew. Gives the sizes by name. */
export function bindAxes(model: Model, sizes: AxisSizes): Map<string, number> {
  const names = axisNames(model.graph, sizes);
  for (const input of model.graph.inputs) {
    const type = input.tensorType;
    if (type?.shape === undefined) continue;
    const shape = type.shape.map((dim) => substituteDim(dim, (name) => names.get(name)));
    input.type = tensorType(type.dtype, shape);
    input.content = undefined;
  }
  forget(model.graph);
  new SmallIntegers(model.opset).infer(model.graph);
  return names;
}

function axisNames(graph: Graph, { batch, seq }: AxisSizes): Map<string, number> {
  const names = new Map<string, number>();
  const learn = (dim: Dim, size: number): void => {
    for (const name of symbolsOf(dim)) if (!names.has(name)) names.set(name, size);
  };
  const fed = graph.inputs.filter((input) => ["batch", "label", undefined].includes(roleOf(input)));
  for (const input of fed) input.tensorType?.shape?.slice(0, 1).forEach((dim) => learn(dim, batch));
  for (const input of graph.inputs) input.tensorType?.shape?.forEach((dim) => learn(dim, seq));
  return names;
}

/** Forgets types that were inferred for symbolic axes, in bodies too. */
function forget(graph: Graph): void {
  for (const node of graph.allNodes()) {
    for (const output of node.outputs) {
      if (output === null) continue;
      output.type = undefined;
      output.content = undefined;
    }
    for (const body of node.subgraphs()) {
      for (const input of body.inputs) {
        input.type = undefined;
        input.content = undefined;
      }
    }
  }
}

/** Elements that sizes and places consist of; longer vectors are data. */
const few = 64;

/**
 * Infers types, and computes what shape rules keep no track of but sizes may follow from: whole numbers and truth values that
 * are known once the axes are, such as the axes over which a gradient was broadcast.
 */
class SmallIntegers {
  readonly #opset: number;
  readonly #known = new Map<Value, NDArray>();

  constructor(opset: number) {
    this.#opset = opset;
  }

  infer(graph: Graph): void {
    for (const node of graph.nodes()) {
      inferNode(node, this.#opset);
      if (node.subgraphs().length === 0) this.#compute(node);
      for (const body of node.subgraphs()) this.#inferBody(node, body);
      takeLargerBranch(node);
    }
  }

  /** Sizes in a body that repeats are those of its first iteration. */
  #inferBody(node: Node, body: Graph): void {
    const [iteration] = body.inputs;
    if (node.op === "Loop" && iteration !== undefined)
      this.#known.set(iteration, fromNumbers("int64", [], [0]));
    this.infer(body);
  }

  #compute(node: Node): void {
    if (node.outputs.some((output) => output === null || isFloat(output.tensorType?.dtype ?? "float32")))
      return;
    if (node.inputs.length === 0 || opOf(node)?.evaluationRefusal !== undefined) return;
    const operands: (NDArray | undefined)[] = [];
    for (const input of node.inputs) {
      const array = input === null ? undefined : this.#arrayOf(input);
      if (input !== null && array === undefined) return;
      operands.push(array);
    }
    evaluateNode(node, operands, { opset: this.#opset })?.forEach((array, index) => {
      const output = node.outputs[index];
      if (array === null || output == null || array.size > few) return;
      this.#known.set(output, array);
      output.type = tensorType(array.dtype, array.shape);
      if (array.rank <= 1) output.content = array.toNumbers();
    });
  }

  #arrayOf(value: Value): NDArray | undefined {
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const tensor = constantOf(value);
    if (tensor !== undefined) {
      return tensor.size <= few && tensor.source.kind === "inline" ? fromTensor(tensor) : undefined;
    }
    const content = value.content?.filter((dim) => typeof dim === "number");
    const [dtype, shape] = [value.tensorType?.dtype, staticShape(value.tensorType?.shape)];
    if (content === undefined || content.length !== value.content?.length) return undefined;
    return dtype === undefined || shape === undefined ? undefined : fromNumbers(dtype, shape, content);
  }
}

/** Where branches give results of different sizes, and which of them runs is not known, the larger one counts. */
function takeLargerBranch(node: Node): void {
  for (const { body, leaves } of opOf(node)?.regions(node) ?? []) {
    if (body.inputs.length > 0) continue;
    body.outputs.forEach((output, index) => {
      const result = node.outputs[leaves[index] ?? -1];
      const [bytes, before] = [bytesOf(output), result == null ? 0 : bytesOf(result)];
      if (result != null && bytes !== undefined && bytes > (before ?? 0)) result.type = output.type;
    });
  }
}
