/** Names of values as a graph sees them: its own, and those of the graphs around it. */
import { onnxErrors } from "../diagnostics/onnx.ts";
import type { Value } from "../ir/value.ts";

/** One level of names. A graph may reuse a name of a graph around it, which it then hides. */
export class Scope {
  /** Name of the graph, for messages. */
  readonly graph: string;
  readonly #outer: Scope | undefined;
  readonly #values = new Map<string, Value>();

  constructor(graph: string, outer: Scope | undefined) {
    this.graph = graph;
    this.#outer = outer;
  }

  /** @throws DiagnosticError `E_ONNX_DUPLICATE`. */
  define(name: string, value: Value): void {
    if (this.#values.has(name)) throw onnxErrors.E_ONNX_DUPLICATE(`graph "${this.graph}"`, "value", name);
    this.#values.set(name, value);
  }

  /** The value that a name stands for, looked up from the inside out. */
  find(name: string): Value | undefined {
    return this.#values.get(name) ?? this.#outer?.find(name);
  }

  /** @throws DiagnosticError `E_ONNX_UNDEFINED` naming the reader. */
  require(name: string, reader: string): Value {
    const value = this.find(name);
    if (value === undefined) throw onnxErrors.E_ONNX_UNDEFINED(this.graph, reader, name);
    return value;
  }
}
