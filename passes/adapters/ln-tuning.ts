/** LN tuning: weights and biases of chosen layers, usually the norms, trained as they are. */
import { z } from "zod";
import { baseBias, baseWeight, weightShape } from "../../src/adapt/base-weight.ts";
import { defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { targetOptions } from "../../src/adapt/targets.ts";

const { target_modules, exclude_modules, modules_to_save } = targetOptions;

const options = z.strictObject({ target_modules, exclude_modules, modules_to_save });

export default defineAdapter({
  name: "ln-tuning",
  peftType: "LN_TUNING",
  summary: "Trains weights and biases of the targeted layers, usually the norms, and nothing else",
  formula: "y = norm(x) * w + b, with w and b trained",
  paper:
    "Zhao et al. 2023, Tuning LayerNorm in Attention: Towards Efficient Multi-Modal LLM Finetuning, https://arxiv.org/abs/2312.11420",
  options,
  peftConfig: {},
  sites: ["norm", "linear", "conv", "embedding"],
  accepts: (site) =>
    site.kind === "linear" && site.conv1d ? "its weight is stored the other way round (Conv1D)" : true,
  identityAtStart: () => true,
  parameters: (site): Record<string, ParameterSpec> => ({
    weight: { key: "ln_tuning_layers.weight", shape: weightShape(site), init: baseWeight(site) },
    ...(site.bias === undefined
      ? {}
      : {
          bias: {
            key: "ln_tuning_layers.bias",
            shape: site.bias.value.initializer?.dims ?? [],
            init: baseBias(site),
          },
        }),
  }),
  build: ({ x, params, base }) => base(x, params),
  merge: ({ params }) => params,
  unmerge: "merging puts other values in the place of those of the base model, which are not kept",
});
