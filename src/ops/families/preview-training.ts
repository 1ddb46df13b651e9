/** Optimizers and gradients of ai.onnx.preview.training, read and written as they are: the stock runtime has no kernel for any of them. */
import { defineOp, none, refuse } from "../define.ts";
import type { AttributeTable } from "../params.ts";
import { float, maybeFloat, text, texts } from "../params.ts";
import type { Op } from "../record.ts";

const domain = "ai.onnx.preview.training";
const evaluate = refuse("the runtime has no kernel to agree with");

/** A step of training: rate, count of updates, then all tensors, all gradients and all states; new tensors and states. */
function defineStep(type: string, attributes: AttributeTable): Op {
  return defineOp({
    type,
    domain,
    versions: [1],
    inputs: ["rate", "count", "inputs..."],
    outputs: ["outputs..."],
    attributes,
    infer: ({ node, in: { inputs } }) => {
      // Operands are the tensors, their gradients and each state; results the tensors and each state.
      const tensors = inputs.length - node.outputs.length;
      return node.outputs.map((_, index) => inputs[index < tensors ? index : index + tensors]?.type);
    },
    evaluate,
    precision: "full",
    gradient: none(
      "it is a step of training, not part of a model: attach a loss and let compile add the optimizer",
    ),
  });
}

export const Adagrad = defineStep("Adagrad", {
  decay_factor: float(0),
  epsilon: float(1e-6),
  norm_coefficient: float(0),
});

export const Adam = defineStep("Adam", {
  alpha: float(0.9),
  beta: float(0.999),
  epsilon: float(1e-6),
  norm_coefficient: float(0),
  norm_coefficient_post: float(0),
});

export const Momentum = defineStep("Momentum", {
  alpha: maybeFloat(),
  beta: maybeFloat(),
  mode: text(""),
  norm_coefficient: maybeFloat(),
});

/** Derivatives of a value that the attributes name, which no rule of one node can look into. */
export const Gradient = defineOp({
  type: "Gradient",
  domain,
  versions: [1],
  inputs: ["inputs..."],
  outputs: ["outputs..."],
  attributes: { xs: texts(), y: text(""), zs: texts() },
  infer: ({ in: { inputs }, node }) => node.outputs.map((_, index) => inputs[index]?.type),
  evaluate,
  precision: "full",
  gradient: none(
    "it stands for the gradient of nodes elsewhere in the graph: differentiate the model without it, as `gradient` does",
  ),
});
