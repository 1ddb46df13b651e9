/** What is computed from a weight once, however many graphs of one model ask for it. */
import type { Site } from "../../../src/analysis/sites.ts";
import { InternalError } from "../../../src/diagnostics/define.ts";
import type { Tensor } from "../../../src/ir/tensor.ts";

/**
 * Results by weight and by what they are. Graphs of one model share the tensors of their weights, which results are kept for as
 * long as these are in use.
 */
export class KeptByWeight<T> {
  readonly #known = new WeakMap<Tensor, Map<string, T>>();

  /** Gives what `compute` gave, or will give once it is asked for. */
  for(site: Site, what: string, compute: () => T): () => T {
    return () => {
      const { value, rows } = site.weight;
      const tensor = value.initializer;
      if (tensor === undefined) throw new InternalError(`the weight of "${site.path}" has no data`);
      const results = this.#known.get(tensor) ?? new Map<string, T>();
      this.#known.set(tensor, results);
      const key = `${what} ${rows?.start ?? 0}`;
      const result = results.get(key) ?? compute();
      results.set(key, result);
      return result;
    };
  }
}
