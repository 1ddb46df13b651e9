/** Models of usual widths for what documentation says of cost: weights are zeros that nobody reads. */
import type { AnySiteKind } from "../src/analysis/sites.ts";
import type { Model } from "../src/ir/model.ts";
import { countElements } from "../src/ir/shape.ts";
import { Tensor } from "../src/ir/tensor.ts";
import { tensorType } from "../src/ir/type.ts";
import { parseModel } from "../src/text/parse.ts";

export interface SampleModel {
  /** In words. */
  readonly title: string;
  readonly targets: readonly string[];
  readonly build: () => Model;
}

const [width, inner, rows] = [256, 1024, 4096];

/** The model that shows what a method of each kind of site costs. */
export const samples: Readonly<Record<AnySiteKind, SampleModel>> = {
  linear: {
    title: `a feed-forward layer of two linear modules, ${width} to ${inner} to ${width}`,
    targets: ["mlp.up", "mlp.down"],
    build: () =>
      zeros(
        `f (float[N,S,${width}] x) => (float[N,S,${width}] y) <float[1] "mlp.up.weight" = {0}, float[1] "mlp.up.bias" = {0}, float[1] "mlp.down.weight" = {0}, float[1] "mlp.down.bias" = {0}> {
          a = MatMul (x, "mlp.up.weight")
          c = Add (a, "mlp.up.bias")
          h = Relu (c)
          d = MatMul (h, "mlp.down.weight")
          y = Add (d, "mlp.down.bias")
        }`,
        {
          "mlp.up.weight": [width, inner],
          "mlp.up.bias": [inner],
          "mlp.down.weight": [inner, width],
          "mlp.down.bias": [width],
        },
      ),
  },
  conv: {
    title: "a convolution of 3 by 3 from 64 to 128 channels on 32 by 32 points",
    targets: ["conv"],
    build: () =>
      zeros(
        `f (float[N,64,32,32] x) => (float[N,128,32,32] y) <float[1] "conv.weight" = {0}, float[1] "conv.bias" = {0}> {
          y = Conv <pads = [1, 1, 1, 1]> (x, "conv.weight", "conv.bias")
        }`,
        { "conv.weight": [128, 64, 3, 3], "conv.bias": [128] },
      ),
  },
  embedding: {
    title: `a table of ${rows} rows of ${width} features`,
    targets: ["embed"],
    build: () =>
      zeros(
        `f (int64[N,S] ids) => (float[N,S,${width}] y) <float[1] "embed.weight" = {0}> { y = Gather ("embed.weight", ids) }`,
        { "embed.weight": [rows, width] },
      ),
  },
  norm: {
    title: `a norm of ${width} features`,
    targets: ["norm"],
    build: () =>
      zeros(
        `f (float[N,S,${width}] x) => (float[N,S,${width}] y) <float[1] "norm.weight" = {0}, float[1] "norm.bias" = {0}> { y = LayerNormalization <axis = -1> (x, "norm.weight", "norm.bias") }`,
        { "norm.weight": [width], "norm.bias": [width] },
      ),
  },
  attention: { title: decoderTitle(), targets: [], build: decoder },
  prompt: { title: decoderTitle(), targets: [], build: decoder },
  block: { title: decoderTitle(), targets: [], build: decoder },
};

function decoderTitle(): string {
  return `a decoder of one block of attention, with 4 heads of 64 features and ${rows} tokens`;
}

function decoder(): Model {
  const names = ["q", "k", "v", "o"].map((part) => `layers.0.self_attn.${part}_proj.weight`);
  const heads = ["q", "k", "v"].map(
    (part) => `${part}p = MatMul (h, "layers.0.self_attn.${part}_proj.weight")
    ${part}r = Reshape (${part}p, split)
    ${part}h = Transpose <perm = [0, 2, 1, 3]> (${part}r)`,
  );
  const all = ["embed_tokens.weight", ...names, "lm_head.weight"];
  return zeros(
    `f (int64[N,S] input_ids) => (float[N,S,${rows}] logits) <${all.map((name) => `float[1] "${name}" = {0}`).join()}, float scale = {0.125}, int64[2] heads = {4, 64}, int64[1] wide = {${width}}> {
      h = Gather ("embed_tokens.weight", input_ids)
      size = Shape <start = 0, end = 2> (h)
      split = Concat <axis = 0> (size, heads)
      whole = Concat <axis = 0> (size, wide)
      ${heads.join("\n")}
      kk = Transpose <perm = [0, 1, 3, 2]> (kh)
      raw = MatMul (qh, kk)
      scores = Mul (raw, scale)
      probs = Softmax <axis = -1> (scores)
      mixed = MatMul (probs, vh)
      turned = Transpose <perm = [0, 2, 1, 3]> (mixed)
      joined = Reshape (turned, whole)
      out = MatMul (joined, "layers.0.self_attn.o_proj.weight")
      e = Add (h, out)
      logits = MatMul (e, "lm_head.weight")
    }`,
    {
      "embed_tokens.weight": [rows, width],
      ...Object.fromEntries(names.map((name) => [name, [width, width]])),
      "lm_head.weight": [width, rows],
    },
  );
}

/** A model whose named initializers have these shapes. */
function zeros(text: string, shapes: Readonly<Record<string, readonly number[]>>): Model {
  const model = parseModel(text);
  for (const value of model.graph.initializers) {
    const dims = shapes[value.name];
    if (dims === undefined) continue;
    const compute = (): Uint8Array => new Uint8Array(4 * countElements(dims));
    value.initializer = new Tensor("float32", dims, { kind: "lazy", compute }, { name: value.name });
    value.type = tensorType("float32", dims);
  }
  return model;
}
