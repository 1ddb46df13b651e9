/** The inference model of a trained adapter: its weights merged, or the changed structure with the trained tensors inside. */
import { InternalError } from "../diagnostics/define.ts";
import type { Model } from "../ir/model.ts";
import { roleFact, withRole } from "../ir/role.ts";
import { adaptedModel } from "./export-onnx-adapter.ts";
import { mergeTrained, type Trained } from "./trained.ts";

/**
 * A model that needs no adapter. Merged ones keep the source's graph and opset; those of methods that change the structure are the
 * prepared graph.
 *
 * @throws DiagnosticError `E_MERGE_REFUSED` where the method changes weights and these cannot be merged.
 */
export async function inferenceModel(
  trained: Trained,
  onProgress?: (done: number, total: number) => void,
): Promise<Model> {
  if (trained.adapter.structure === undefined) return mergeTrained(trained, onProgress);
  return adaptedModel(trained, ({ graph }) => {
    for (const input of withRole(graph.inputs, "param")) {
      const tensor = trained.tensors.get(roleFact(input, "key") ?? input.name);
      if (tensor === undefined) throw new InternalError(`"${input.name}" has no value`);
      input.replaceUses(graph.addInitializer(tensor, input.name));
      graph.removeInput(input);
    }
  });
}
