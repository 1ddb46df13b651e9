/** Nodes of the IR: one operator call with its operands, results and attributes. */
import { InternalError } from "../diagnostics/define.ts";
import { type Attribute, type AttributeInt, type AttributeLike, graphsOf } from "./attribute.ts";
import { Graph } from "./graph.ts";
import { Tensor } from "./tensor.ts";
import { type Use, Value, type ValueOptions } from "./value.ts";

/** What a new node is made from. Operands that are null stand for absent optional inputs. */
export interface NodeOptions {
  readonly op: string;
  /** "" for ai.onnx. */
  readonly domain?: string;
  readonly overload?: string;
  readonly inputs: readonly (Value | null)[];
  readonly attributes?: Readonly<Record<string, AttributeLike | undefined>>;
  /** Results: how many, or the values themselves where they exist already; null for results left out. */
  readonly outputs?: number | readonly (Value | null)[];
  readonly name?: string;
}

/** An operator call. Lives in at most one graph; operands change only through {@link Node.setInput}. */
export class Node {
  readonly op: string;
  readonly domain: string;
  readonly overload: string;
  name: string;
  docString = "";
  readonly attributes = new Map<string, Attribute>();
  /** ONNX `metadata_props`, such as the module path that an exporter wrote. */
  readonly metadata = new Map<string, string>();
  /** Parts of the file that we carry without reading them, kept for writing; set by `onnx/read-graph.ts`. */
  carried: unknown;

  /** Graph that holds the node, and its neighbours there; kept by `Graph`. */
  graph: Graph | undefined;
  previous: Node | undefined;
  next: Node | undefined;

  readonly #outputs: (Value | null)[] = [];
  readonly #inputs: (Value | null)[] = [];
  readonly #uses: (Use | undefined)[] = [];

  constructor(options: NodeOptions) {
    this.op = options.op;
    this.domain = options.domain ?? "";
    this.overload = options.overload ?? "";
    this.name = options.name ?? "";
    const outputs = options.outputs ?? 1;
    const results =
      typeof outputs === "number" ? Array.from({ length: outputs }, () => new Value()) : outputs;
    results.forEach((output, index) => {
      this.#own(output, index);
    });
    for (const [name, value] of Object.entries(options.attributes ?? {})) {
      if (value !== undefined) this.attributes.set(name, toAttribute(value));
    }
    for (const graph of this.subgraphs()) graph.owner = this;
    options.inputs.forEach((input, index) => this.setInput(index, input));
  }

  /** Results in order; null for those that are left out. */
  get outputs(): readonly (Value | null)[] {
    return this.#outputs;
  }

  /** Operands in order; null where an optional input is left out. */
  get inputs(): readonly (Value | null)[] {
    return this.#inputs;
  }

  /** Operand `index`, undefined where it is absent or left out. */
  input(index: number): Value | undefined {
    return this.#inputs[index] ?? undefined;
  }

  /** Result `index`, which must be there. @throws InternalError otherwise. */
  output(index = 0): Value {
    const output = this.outputs[index];
    if (output == null) throw new InternalError(`${this.op} "${this.name}" has no output ${index}`);
    return output;
  }

  /** Adds a result at a position, those from there on move up by one; at the end unless a position is given. */
  addOutput(options: ValueOptions = {}, at = this.#outputs.length): Value {
    const value = new Value(options);
    const moved = this.#outputs.splice(at);
    this.#own(value, at);
    for (const output of moved) {
      this.#outputs.push(output);
      if (output !== null) output.outputIndex = this.#outputs.length - 1;
    }
    return value;
  }

  /** The result at a position, which is added where it was left out. */
  requireOutput(index: number, options: ValueOptions = {}): Value {
    const known = this.#outputs[index];
    if (known != null) return known;
    const value = new Value(options);
    while (this.#outputs.length < index) this.#outputs.push(null);
    this.#own(value, index);
    return value;
  }

  #own(output: Value | null, index: number): void {
    if (output !== null) {
      if (output.producer !== undefined || output.graph !== undefined) {
        throw new InternalError(`value "${output.name}" would be assigned twice`);
      }
      output.producer = this;
      output.outputIndex = index;
    }
    this.#outputs[index] = output;
  }

  /** Sets an operand; positions between the old end and `index` become absent. */
  setInput(index: number, value: Value | null): void {
    while (this.#inputs.length <= index) this.#inputs.push(null);
    const oldUse = this.#uses[index];
    if (oldUse !== undefined) this.#inputs[index]?.removeUse(oldUse);
    this.#inputs[index] = value;
    const use: Use | undefined = value === null ? undefined : { kind: "operand", node: this, index };
    this.#uses[index] = use;
    if (use !== undefined) value?.addUse(use);
  }

  /** The use that operand `index` has registered with its value; for the verifier. */
  useAt(index: number): Use | undefined {
    return this.#uses[index];
  }

  /** Cuts the list of operands to `count`. */
  truncateInputs(count: number): void {
    for (let index = count; index < this.#inputs.length; index++) this.setInput(index, null);
    this.#inputs.length = Math.min(count, this.#inputs.length);
    this.#uses.length = this.#inputs.length;
  }

  /** Stops reading all operands, so that their producers may go; the node must not be used after. */
  dropInputs(): void {
    this.truncateInputs(0);
  }

  /** Subgraphs of all attributes, in attribute order. */
  subgraphs(): Graph[] {
    return [...this.attributes.values()].flatMap((attribute) => [...graphsOf(attribute)]);
  }

  /** Whole number attribute as a double (values beyond 2^53 saturate), or `fallback` where it is absent. */
  int<T extends number | undefined>(name: string, fallback: T): number | T {
    const attribute = this.attributes.get(name);
    return attribute?.kind === "int" ? toNumber(attribute.value) : fallback;
  }

  ints<T extends readonly number[] | undefined>(name: string, fallback: T): readonly number[] | T {
    const attribute = this.attributes.get(name);
    return attribute?.kind === "ints" ? attribute.value.map(toNumber) : fallback;
  }

  float<T extends number | undefined>(name: string, fallback: T): number | T {
    const attribute = this.attributes.get(name);
    return attribute?.kind === "float" ? attribute.value : fallback;
  }

  string<T extends string | undefined>(name: string, fallback: T): string | T {
    const attribute = this.attributes.get(name);
    return attribute?.kind === "string" && typeof attribute.value === "string" ? attribute.value : fallback;
  }
}

/** The attribute that a plain value stands for. */
function toAttribute(value: AttributeLike): Attribute {
  if (typeof value === "number" || typeof value === "bigint") return { kind: "int", value };
  if (typeof value === "string") return { kind: "string", value };
  if (value instanceof Tensor) return { kind: "tensor", value };
  if (value instanceof Graph) return { kind: "graph", value };
  return "kind" in value ? value : { kind: "ints", value };
}

function toNumber(value: AttributeInt): number {
  if (typeof value === "number") return value;
  return value > 0n ? Number.MAX_SAFE_INTEGER : Number.MIN_SAFE_INTEGER;
}
