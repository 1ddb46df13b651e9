/** P-tuning: virtual tokens made by a small network, which is trained with them. */
import { z } from "zod";
import type { ParameterSpec } from "../../src/adapt/define.ts";
import { definePromptMethod } from "../../src/adapt/define-structure.ts";
import { normal } from "../../src/adapt/initializers.ts";
import { promptMisfit, promptOptions } from "./parts/prompt-config.ts";
import { linear, linearSpecs, lstm, lstmSpecs, need } from "./parts/torch-layers.ts";

const options = z.strictObject({
  ...promptOptions,
  encoder_reparameterization_type: z
    .enum(["MLP", "LSTM"])
    .default("MLP")
    .describe("network that makes the tokens: three linear layers, or a bidirectional LSTM and two"),
  encoder_hidden_size: z
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe("width inside the network, that of a token where there is none"),
  encoder_num_layers: z.int().min(1).default(2).describe("layers of the LSTM"),
  encoder_dropout: z.number().min(0).lt(1).default(0).describe("dropout between layers of the LSTM"),
});

const table = "prompt_encoder.embedding.weight";
const head = "prompt_encoder.mlp_head";
const recurrent = "prompt_encoder.lstm_head";

export default definePromptMethod({
  name: "p-tuning",
  peftType: "P_TUNING",
  summary: "Puts virtual tokens before the real ones that a small network makes of trained vectors",
  formula: "embeddings = [f(P); E[ids]], with f an MLP or a bidirectional LSTM",
  paper: "Liu et al. 2021, GPT Understands, Too, https://arxiv.org/abs/2103.10385",
  options,
  peftConfig: {},
  bare: true,
  identityAtStart: () => false,
  virtualTokens: (o) => o.num_virtual_tokens,
  choose: (sites, o) => promptMisfit(sites, o) ?? sites.slice(0, 1),
  shared: ([site], o): Record<string, ParameterSpec> => {
    const width = site?.width ?? 1;
    const hidden = o.encoder_hidden_size ?? width;
    const rows = o.num_virtual_tokens * (site?.count ?? 1);
    return {
      [table]: { key: table, shape: [rows, width], init: normal(1), saved: false },
      ...(o.encoder_reparameterization_type === "LSTM"
        ? {
            ...lstmSpecs(recurrent, { inputs: width, hidden, layers: o.encoder_num_layers }),
            ...linearSpecs(`${head}.0`, 2 * hidden, 2 * hidden),
            ...linearSpecs(`${head}.2`, 2 * hidden, width),
          }
        : {
            ...linearSpecs(`${head}.0`, width, hidden),
            ...linearSpecs(`${head}.2`, hidden, hidden),
            ...linearSpecs(`${head}.4`, hidden, width),
          }),
    };
  },
  derive: (params, o, tools) => {
    const { b } = tools;
    const x = need(params, table);
    const relu = (value: typeof x): typeof x => b.op("Relu", [value]);
    if (o.encoder_reparameterization_type === "MLP") {
      const inner = relu(linear(b, params, `${head}.2`, relu(linear(b, params, `${head}.0`, x))));
      return { prompt: linear(b, params, `${head}.4`, inner) };
    }
    const states = lstm(tools, params, recurrent, x, {
      layers: o.encoder_num_layers,
      p: o.encoder_dropout,
    });
    return { prompt: linear(b, params, `${head}.2`, relu(linear(b, params, `${head}.0`, states))) };
  },
  checkpoint: (params) => ({ prompt_embeddings: need(params, "prompt") }),
  build: ({ params, options: o, b }) =>
    b.slice(need(params, "prompt"), { starts: [0], ends: [o.num_virtual_tokens], axes: [0] }),
});
