/** Values of the IR: graph inputs, initializers and node results, each knowing who reads it. */
import type { Dim } from "./dim.ts";
import type { Graph } from "./graph.ts";
import type { Node } from "./node.ts";
import type { Tensor } from "./tensor.ts";
import type { TensorType, ValueType } from "./type.ts";

/** One place where a value is read: an operand of a node, or an output of a graph. */
export type Use =
  | { readonly kind: "operand"; readonly node: Node; readonly index: number }
  | { readonly kind: "output"; readonly graph: Graph; readonly index: number };

/** What a new value may start with. */
export interface ValueOptions {
  readonly name?: string;
  readonly type?: ValueType | undefined;
  readonly content?: readonly Dim[] | undefined;
}

/**
 * A value in static single assignment form. Its name is a wish until printing or writing: `names.ts` alone
 * makes names unique. Identity, not the name, says which value is meant.
 */
export class Value {
  name: string;
  type: ValueType | undefined;
  /**
   * Elements of a small integer tensor of rank 0 or 1 as symbolic dimensions, where shape inference knows
   * them: what lets `Shape -> Gather -> Concat -> Reshape` chains keep the names of axes.
   */
  content: readonly Dim[] | undefined;
  /** Data of an initializer, or the default of a graph input that has one. */
  initializer: Tensor | undefined;
  /** ONNX `metadata_props` of the value's type information. */
  readonly metadata = new Map<string, string>();
  docString = "";

  /** Graph whose input or initializer this is; undefined for node results. */
  graph: Graph | undefined;
  /** Node that computes it; undefined for inputs and initializers. */
  producer: Node | undefined;
  /** Position among the producer's outputs. */
  outputIndex = 0;

  readonly #uses = new Set<Use>();

  constructor(options: ValueOptions = {}) {
    this.name = options.name ?? "";
    this.type = options.type;
    this.content = options.content;
  }

  /** Readers in no particular order; subgraph nodes that capture the value included. */
  get uses(): ReadonlySet<Use> {
    return this.#uses;
  }

  /** Whether anything reads the value. */
  get isUsed(): boolean {
    return this.#uses.size > 0;
  }

  /** The type, where it is a tensor's. */
  get tensorType(): TensorType | undefined {
    return this.type?.kind === "tensor" ? this.type : undefined;
  }

  /** For `Node` and `Graph` only, which keep uses and operands in step. */
  addUse(use: Use): void {
    this.#uses.add(use);
  }

  /** For `Node` and `Graph` only. */
  removeUse(use: Use): void {
    this.#uses.delete(use);
  }

  /** Lets every reader of this value read `replacement`, except those that `keep` holds. */
  replaceUses(replacement: Value, keep: (use: Use) => boolean = () => false): void {
    if (replacement === this) return;
    for (const use of [...this.#uses]) {
      if (keep(use)) continue;
      if (use.kind === "operand") use.node.setInput(use.index, replacement);
      else use.graph.setOutput(use.index, replacement);
    }
  }
}
