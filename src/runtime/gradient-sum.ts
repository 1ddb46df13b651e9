/** The mean of the gradients of several batches: of equal weight, or weighted by their labelled positions. */
import type { GraphManifest, Manifest } from "../artifact/manifest.ts";
import type { Field } from "../data/batch.ts";
import { InternalError } from "../diagnostics/define.ts";
import { outputNamed, scalarOf } from "./graph-ports.ts";

export class GradientSum {
  readonly #by: Manifest["optimizer"]["accumulateBy"];
  #sum: Float64Array | undefined;
  #weight = 0;
  #loss = 0;

  constructor(by: Manifest["optimizer"]["accumulateBy"]) {
    this.#by = by;
  }

  /** Adds what the gradient graph gave for one batch. */
  add(graph: GraphManifest, outputs: Readonly<Record<string, Field>>): void {
    const share = this.#by === "tokens" ? scalarOf(outputs, outputNamed(graph, "metric", "tokens")) : 1;
    const data = outputs[outputNamed(graph, "grad")]?.data;
    if (!(data instanceof Float32Array)) throw new InternalError("the gradient is not float32");
    this.#sum ??= new Float64Array(data.length);
    const sum = this.#sum;
    for (let i = 0; i < data.length; i++) sum[i] = (sum[i] ?? 0) + share * (data[i] ?? 0);
    this.#weight += share;
    this.#loss += share * scalarOf(outputs, outputNamed(graph, "loss"));
  }

  /** Mean loss. */
  get loss(): number {
    return this.#loss / this.#divisor;
  }

  /** Mean gradient, of shape [N]. */
  mean(): Field {
    if (this.#sum === undefined) throw new InternalError("no gradient was added");
    const divisor = this.#divisor;
    const data = Float32Array.from(this.#sum, (value) => value / divisor);
    return { dtype: "float32", shape: [data.length], data };
  }

  /** Batches without any labelled position have loss and gradient 0; their mean is 0, too. */
  get #divisor(): number {
    return this.#weight === 0 ? 1 : this.#weight;
  }
}
