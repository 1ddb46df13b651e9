/** Constant folding by the reference evaluator: which nodes may be computed ahead, and what takes their place. */
import { DiagnosticError, InternalError } from "../diagnostics/define.ts";
import { constantOf, smallIntegers } from "../ir/constant.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { replaceValue } from "../ir/replace.ts";
import { countElements, staticShape } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { isComputable } from "../ops/elements.ts";
import { evaluateNode } from "../ops/evaluate.ts";
import { fromTensor, type NDArray, toTensor } from "../ops/ndarray.ts";
import type { Op } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";
import { isDeterministic } from "../ops/traits.ts";
import { isCurrent } from "../ops/versions.ts";
import { removeDead } from "./dead.ts";
import { mayBeParameter } from "./parameters.ts";
import { contentTensor } from "./rules/content.ts";

export interface FoldOptions {
  /** Most elements of a result. */
  readonly limit: number;
  /** Most elements of an operand that must be read from a file or computed. */
  readonly read: number;
  /** Most element operations in all. */
  readonly work: number;
  /** Whether parameters are folded, too. */
  readonly parameters: boolean;
}

/** Whom the folder tells what it does. */
export interface FoldListener {
  readonly stat: (name: "folded" | "elements", amount?: number) => void;
  readonly remark: (message: string) => void;
}

/** Operators whose results have a size that depends on data, but never more elements than rank times operand. */
const shrinking: ReadonlySet<string> = new Set(["NonZero", "Compress", "Unique"]);

/** Folds graphs in one walk each: results become initializers, which later nodes then see as constants. */
export class Folder {
  changed = false;
  readonly #opset: number;
  readonly #options: FoldOptions;
  readonly #listener: FoldListener;
  readonly #made = new Set<Value>();
  #workLeft: number;

  constructor(opset: number, options: FoldOptions, listener: FoldListener) {
    this.#opset = opset;
    this.#options = options;
    this.#listener = listener;
    this.#workLeft = options.work;
  }

  /** Folds a graph and its bodies. */
  fold(graph: Graph): void {
    for (const node of graph.nodes()) {
      if (node.op === "Constant" || node.op === "Identity") continue;
      const tensors = this.#results(node);
      if (tensors !== undefined) this.#replace(graph, node, tensors);
      else for (const body of node.subgraphs()) this.fold(body);
    }
  }

  /** The results of a node as constants; undefined where it may not or cannot be computed. */
  #results(node: Node): readonly (Tensor | null)[] | undefined {
    if (!node.outputs.some((output) => output?.isUsed)) return undefined;
    const known = node.outputs.map((output) => (output === null ? undefined : contentTensor(output)));
    const only = known[0];
    if (known.length === 1 && only !== undefined) return [only];
    const op = opOf(node);
    if (op === undefined || !isCurrent(op, this.#opset) || !isDeterministic(node)) return undefined;
    if (node.subgraphs().length > 0) return undefined;
    const operands = this.#operands(node);
    if (operands === undefined || !this.#affords(node, op, operands)) return undefined;
    return this.#evaluate(node, operands);
  }

  #operands(node: Node): readonly (Tensor | undefined)[] | undefined {
    const tensors: (Tensor | undefined)[] = [];
    for (const operand of node.inputs) {
      if (operand === null) {
        tensors.push(undefined);
        continue;
      }
      const tensor = constantOf(operand);
      if (tensor === undefined || !isComputable(tensor.dtype) || this.#isKept(operand)) return undefined;
      const most = tensor.source.kind === "inline" ? this.#options.limit : this.#options.read;
      if (tensor.size > most) return undefined;
      tensors.push(tensor);
    }
    return tensors;
  }

  /** Parameters that the file holds stay as they are; what was computed here may be computed with. */
  #isKept(value: Value): boolean {
    return !this.#options.parameters && !this.#made.has(value) && mayBeParameter(value);
  }

  #affords(node: Node, op: Op, operands: readonly (Tensor | undefined)[]): boolean {
    const sizes = operands.map((tensor) => tensor?.size ?? 0);
    let made = 0;
    for (const output of node.outputs) {
      if (output === null) continue;
      const type = output.tensorType;
      if (type !== undefined && !isComputable(type.dtype)) return false;
      const shape = staticShape(type?.shape);
      const size = shape && countElements(shape);
      if (size === undefined && !shrinking.has(node.op)) return false;
      if (size !== undefined && size > this.#options.limit) return false;
      made += size ?? 0;
    }
    const read = sizes.reduce((sum, size) => sum + size, 0);
    // Products do up to one operation per result and element of the larger operand.
    const work = op.precision === "low" ? made * Math.max(1, ...sizes) : made + read;
    if (work > this.#workLeft) return false;
    this.#workLeft -= work;
    return true;
  }

  #evaluate(node: Node, operands: readonly (Tensor | undefined)[]): readonly (Tensor | null)[] | undefined {
    const arrays = operands.map((tensor) => (tensor === undefined ? undefined : fromTensor(tensor)));
    let results: readonly (NDArray | null)[] | undefined;
    try {
      results = evaluateNode(node, arrays, { opset: this.#opset });
    } catch (error) {
      // The operands do not fit each other: what the runtime says of the node is better than a crash here.
      if (error instanceof DiagnosticError || !(error instanceof Error)) throw error;
      this.#listener.remark(`${node.op} "${node.name}" is constant but was not computed: ${error.message}`);
      return undefined;
    }
    if (results?.some((array) => array !== null && array.size > this.#options.limit)) return undefined;
    return results?.map((array) => (array === null ? null : toTensor(array)));
  }

  #replace(graph: Graph, node: Node, tensors: readonly (Tensor | null)[]): void {
    node.outputs.forEach((output, index) => {
      const tensor = tensors[index];
      if (output === null || !output.isUsed) return;
      if (tensor == null)
        throw new InternalError(`${node.op} "${node.name}" did not compute output ${index}`);
      const constant = graph.addInitializer(tensor, output.name);
      constant.content = output.content ?? (tensor.dims.length <= 1 ? smallIntegers(tensor) : undefined);
      this.#made.add(constant);
      replaceValue(output, constant);
      this.#listener.stat("elements", tensor.size);
    });
    removeDead(node);
    this.#listener.stat("folded");
    this.changed = true;
  }
}
