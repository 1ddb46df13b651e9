/** The two files that ONNX Runtime runs an adapter from: a model that takes it as inputs, and the `.onnx_adapter`. */

import { takeJudged, takePenalties } from "../adapt/penalty.ts";
import { InternalError } from "../diagnostics/define.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { encodeOnnxAdapter } from "../formats/onnx-adapter.ts";
import { dtypeCode } from "../ir/dtype.ts";
import type { Model } from "../ir/model.ts";
import { assignNames } from "../ir/names.ts";
import { roleFact, withRole } from "../ir/role.ts";
import { verifyModel } from "../ir/verify.ts";
import { saveModel } from "./model-file.ts";
import { runPasses } from "./passes.ts";
import { preparePipeline } from "./prepare.ts";
import { loadStartingValues } from "./state.ts";
import { structureHash } from "./structure.ts";
import { openSource, type Trained } from "./trained.ts";
import { withUnitScaling } from "./unit-scaling.ts";

/**
 * Writes the source model with the adapter's tensors as inputs to `output`, and the trained tensors beside it under the
 * same name with the ending `.onnx_adapter`. The inputs have the method's starting values as defaults, with which most
 * methods leave the model as it was: a run without an active adapter answers as the base model. Where the method can, its scaling
 * stands in the file and not in the model. What is left of its options there is in the version that both files carry.
 *
 * @returns path of the adapter file.
 */
export async function writeOnnxAdapter(source: Trained, output: string): Promise<string> {
  const trained = withUnitScaling(source);
  const model = adaptedModel(trained);
  const version = versionOf(model);
  model.metadata.set(versionFact, String(version));
  const parameters = withRole(model.graph.inputs, "param").map((input) => {
    const tensor = trained.tensors.get(roleFact(input, "key") ?? input.name);
    if (tensor === undefined) throw new InternalError(`"${input.name}" has no value`);
    return {
      name: input.name,
      elementType: dtypeCode(tensor.dtype),
      dims: tensor.dims,
      bytes: tensor.bytes(),
    };
  });
  const file = `${output.replace(/\.[^.]*$/, "")}.onnx_adapter`;
  await saveModel(model, output);
  await writeFileAtomic(file, encodeOnnxAdapter(parameters, version));
  return file;
}

/** Metadata of the model: the version of models that the adapter files say they are for. */
const versionFact = "peft-compile.model_version";

/** A positive number of 31 bits that models have in common in which the same tensors compute the same. */
function versionOf(model: Model): number {
  return Number.parseInt(structureHash(model).slice(0, 8), 16) >>> 1 || 1;
}

/**
 * The source model with the adapter attached as for inference; what it keeps as it is comes from the trained state.
 *
 * @param edit changes the graph before it is cleaned up.
 */
export function adaptedModel(trained: Trained, edit: (model: Model) => void = () => {}): Model {
  const { manifest, tensors } = trained;
  const model = openSource(trained);
  runPasses(model, preparePipeline);
  const { name, options } = manifest.method;
  runPasses(model, [
    { pass: "adapt", options: { method: name, options: JSON.stringify(options), training: false } },
  ]);
  const trainedKeys = new Set(withRole(model.graph.inputs, "param").map((input) => roleFact(input, "key")));
  loadStartingValues(model.graph, new Map([...tensors].filter(([key]) => !trainedKeys.has(key))));
  takePenalties(model.graph);
  takeJudged(model.graph);
  edit(model);
  runPasses(model, "canonicalize,fold,cse,dce");
  assignNames(model, { nodes: true });
  verifyModel(model);
  return model;
}
