/** Graphs of the IR: inputs, initializers, outputs and a linked list of nodes in execution order. */
import { InternalError } from "../diagnostics/define.ts";
import type { Node } from "./node.ts";
import type { Tensor } from "./tensor.ts";
import type { ValueType } from "./type.ts";
import { type Use, Value, type ValueOptions } from "./value.ts";

/**
 * A list of nodes between inputs and outputs, used for a model's main graph and for the bodies of If, Loop
 * and Scan. A body reads values of the graphs around it directly. Nodes stand in an order in which
 * every value is computed before it is read; `verify.ts` checks that.
 */
export class Graph {
  name: string;
  docString = "";
  readonly inputs: Value[] = [];
  /** Values with data and no producer, in file order; inputs with a default are not among them. */
  readonly initializers = new Set<Value>();
  readonly metadata = new Map<string, string>();
  /** Parts of the file that we carry without reading them, kept for writing; set by `onnx/read-graph.ts`. */
  carried: unknown;
  /** Node that holds this graph as an attribute; undefined for main graphs and function bodies. */
  owner: Node | undefined;

  readonly #outputs: Value[] = [];
  readonly #outputUses: Use[] = [];
  #first: Node | undefined;
  #last: Node | undefined;
  #size = 0;

  constructor(name = "") {
    this.name = name;
  }

  /** Values that the graph yields; the same value may stand twice. */
  get outputs(): readonly Value[] {
    return this.#outputs;
  }

  /** Number of nodes, those of subgraphs not counted. */
  get size(): number {
    return this.#size;
  }

  get first(): Node | undefined {
    return this.#first;
  }

  get last(): Node | undefined {
    return this.#last;
  }

  /** Nodes in order. Removing the node at hand, or inserting around it, while iterating is allowed. */
  *nodes(): Generator<Node, void, undefined> {
    for (let node = this.#first; node !== undefined; ) {
      const next: Node | undefined = node.next;
      yield node;
      node = node.graph === this ? node.next : next;
    }
  }

  /** Nodes from last to first, with the same freedom. */
  *reversed(): Generator<Node, void, undefined> {
    for (let node = this.#last; node !== undefined; ) {
      const previous: Node | undefined = node.previous;
      yield node;
      node = node.graph === this ? node.previous : previous;
    }
  }

  /** Every node of this graph and, after each, those of its subgraphs. */
  *allNodes(): Generator<Node, void, undefined> {
    for (const node of this.nodes()) {
      yield node;
      for (const body of node.subgraphs()) yield* body.allNodes();
    }
  }

  addInput(options: ValueOptions & { readonly initializer?: Tensor; readonly at?: number } = {}): Value {
    const value = new Value(options);
    value.graph = this;
    value.initializer = options.initializer;
    this.inputs.splice(options.at ?? this.inputs.length, 0, value);
    return value;
  }

  /** @throws InternalError when the input is still read. */
  removeInput(value: Value): void {
    const at = this.inputs.indexOf(value);
    if (at < 0 || value.isUsed) throw new InternalError(`input "${value.name}" is not there or still read`);
    this.inputs.splice(at, 1);
    value.graph = undefined;
  }

  addInitializer(tensor: Tensor, name = tensor.name): Value {
    const type: ValueType = { kind: "tensor", dtype: tensor.dtype, shape: tensor.dims };
    const value = new Value({ name, type });
    value.graph = this;
    value.initializer = tensor;
    this.initializers.add(value);
    return value;
  }

  /** @throws InternalError when the initializer is still read. */
  removeInitializer(value: Value): void {
    if (value.isUsed || !this.initializers.delete(value)) {
      throw new InternalError(`initializer "${value.name}" is not there or still read`);
    }
    value.graph = undefined;
  }

  addOutput(value: Value): void {
    this.setOutput(this.#outputs.length, value);
  }

  setOutput(index: number, value: Value): void {
    const old = this.#outputUses[index];
    if (old !== undefined) this.#outputs[index]?.removeUse(old);
    const use: Use = { kind: "output", graph: this, index };
    this.#outputs[index] = value;
    this.#outputUses[index] = use;
    value.addUse(use);
  }

  /** The use that output `index` has registered with its value; for the verifier. */
  useAt(index: number): Use | undefined {
    return this.#outputUses[index];
  }

  /** Replaces the whole list of outputs. */
  setOutputs(values: readonly Value[]): void {
    this.#outputs.forEach((value, index) => {
      const use = this.#outputUses[index];
      if (use !== undefined) value.removeUse(use);
    });
    this.#outputs.length = 0;
    this.#outputUses.length = 0;
    for (const value of values) this.addOutput(value);
  }

  /** Puts a node before `anchor`, or at the end. @throws InternalError when it stands in a graph already. */
  insert(node: Node, anchor?: Node): void {
    if (node.graph !== undefined) throw new InternalError(`node "${node.name}" stands in a graph already`);
    if (anchor !== undefined && anchor.graph !== this)
      throw new InternalError("the anchor is not in this graph");
    const previous = anchor === undefined ? this.#last : anchor.previous;
    node.graph = this;
    node.previous = previous;
    node.next = anchor;
    if (previous === undefined) this.#first = node;
    else previous.next = node;
    if (anchor === undefined) this.#last = node;
    else anchor.previous = node;
    this.#size += 1;
  }

  /** Takes a node out without touching its operands, to insert it elsewhere. */
  detach(node: Node): void {
    if (node.graph !== this) throw new InternalError(`node "${node.name}" is not in this graph`);
    if (node.previous === undefined) this.#first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#last = node.previous;
    else node.next.previous = node.previous;
    node.graph = undefined;
    node.previous = undefined;
    node.next = undefined;
    this.#size -= 1;
  }

  /** Deletes a node for good. @throws InternalError when one of its results is still read. */
  remove(node: Node): void {
    const read = node.outputs.find((output) => output?.isUsed);
    if (read != null) throw new InternalError(`node "${node.name}" is removed while "${read.name}" is read`);
    this.detach(node);
    node.dropInputs();
    for (const body of node.subgraphs()) body.clear();
  }

  /** Takes over everything that another graph holds, which is empty after; what this one held is gone. */
  replaceBy(other: Graph): void {
    this.clear();
    this.inputs.length = 0;
    this.initializers.clear();
    for (const input of other.inputs.splice(0)) {
      input.graph = this;
      this.inputs.push(input);
    }
    for (const initializer of other.initializers) {
      initializer.graph = this;
      this.initializers.add(initializer);
    }
    other.initializers.clear();
    const outputs = [...other.outputs];
    other.setOutputs([]);
    for (const node of other.nodes()) {
      other.detach(node);
      this.insert(node);
    }
    this.setOutputs(outputs);
  }

  /** Removes every node and output, so that captured values lose their uses. */
  clear(): void {
    this.setOutputs([]);
    for (const node of this.reversed()) this.remove(node);
  }
}
