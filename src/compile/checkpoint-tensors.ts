/** What a PEFT checkpoint holds of a trained adapter: its saved tensors, and what is made of those that are not saved. */
import type { BoundAdapter } from "../adapt/define.ts";
import { isSavedKey, keyOf } from "../adapt/parameters.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { Graph } from "../ir/graph.ts";
import { Model } from "../ir/model.ts";
import type { Tensor } from "../ir/tensor.ts";
import { OpBuilder } from "../ops/builder.ts";
import type { RunConstantGraph } from "./merge-model.ts";

const opset = 20;

/**
 * Tensors by key, as PEFT's `save_pretrained` chooses them; where the method adapts modules, all, for it to choose from.
 *
 * @param tensors trained and frozen tensors by our keys.
 * @throws DiagnosticError `E_CHECKPOINT_KEY_MISSING` where a shared tensor of the method is not among them.
 */
export async function checkpointTensors(
  adapter: BoundAdapter,
  tensors: ReadonlyMap<string, Tensor>,
  run: RunConstantGraph,
): Promise<Map<string, Tensor>> {
  if (adapter.structure === undefined) return new Map(tensors);
  const saved = new Map([...tensors].filter(([key]) => isSavedKey(key)));
  const model = new Model({ opsets: [["", opset]], graph: new Graph("checkpoint") });
  const b = new OpBuilder({ graph: model.graph }, opset);
  const params = Object.fromEntries(
    Object.entries(adapter.shared([])).map(([name, spec]) => {
      const key = keyOf(spec, undefined);
      const tensor = tensors.get(key);
      if (tensor === undefined) throw adaptErrors.E_CHECKPOINT_KEY_MISSING("the trained state", key, []);
      return [name, b.constant(tensor, key)];
    }),
  );
  const made = Object.entries(adapter.checkpoint(params, b)).filter(([key]) => !saved.has(key));
  for (const [key, value] of made) {
    const output = b.op("Identity", [value]);
    output.name = key;
    model.graph.addOutput(output);
  }
  return made.length === 0 ? saved : new Map([...saved, ...(await run(model))]);
}
