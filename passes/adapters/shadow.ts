/** ShadowPEFT: a small decoder beside the frozen one, whose state corrects what each block reads. */
import { z } from "zod";
import type { ParameterSpec } from "../../src/adapt/define.ts";
import { defineBlockMethod } from "../../src/adapt/define-structure.ts";
import { filled, type Initializer, kaimingUniform, normal, uniform } from "../../src/adapt/initializers.ts";
import { basePath } from "../../src/adapt/select.ts";
import { checkLayers, isTargeted, targetOptions } from "../../src/adapt/targets.ts";
import type { BlockSite } from "../../src/analysis/decoder-blocks.ts";
import type { Site } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { factorOf, type Params } from "./parts/factors.ts";

const options = z
  .strictObject({
    r: z.int().min(1).default(8).describe("rank of the correction of what a block reads"),
    shadow_alpha: z.number().default(0.1).describe("factor of the correction"),
    shadow_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0.2)
      .describe("probability of dropping an element of what is corrected"),
    init_weights: z
      .boolean()
      .default(true)
      .describe("true: the correction starts at 0; false: with random numbers"),
    shadow_model: z
      .enum(["mirror"])
      .default("mirror")
      .describe("the small decoder: the first blocks of the model, anew"),
    shadow_num_hidden_layers: z
      .int()
      .min(1)
      .nullable()
      .default(null)
      .describe("blocks of the small decoder, 1 unless given"),
    shadow_intermediate_size: z
      .int()
      .min(1)
      .nullable()
      .default(null)
      .describe("inner width of its feed-forward modules, that of the model unless given"),
    update_hidden_size: z
      .int()
      .min(1)
      .nullable()
      .default(null)
      .describe("inner width of the networks that move the state on, r unless given"),
    auxiliary_loss_weight: z
      .number()
      .min(0)
      .default(0.05)
      .describe("weight in the loss of what the model's head makes of the small decoder alone"),
    ...targetOptions,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;

/** Deviation of the weights of a fresh decoder, as Transformers has it. */
const deviation = 0.02;

/** Key of a tensor of the small decoder: its path without that of the decoder it is modelled on. */
function mirrorKey({ stack }: BlockSite, module: string, name: string): string {
  return `shadow_backbone.default.${module.slice(stack.prefix.length)}.${name}`;
}

/** Modules that the small decoder has its own parameters for. */
function mirrored({ stack }: BlockSite, o: Options): readonly Site[] {
  return [...stack.blocks.slice(0, layersOf(o)).flat(), ...stack.behind];
}

function layersOf({ shadow_num_hidden_layers: layers }: Options): number {
  return layers ?? 1;
}

/** Why a model has no small decoder of this kind; undefined where it has. */
function misfit(first: BlockSite, o: Options): string | undefined {
  const { stack } = first;
  if (stack.input !== stack.tokens)
    return "what enters its first block is not what its table of tokens yields";
  if (layersOf(o) > stack.blocks.length)
    return `shadow_num_hidden_layers is ${layersOf(o)}, while it has ${stack.blocks.length} blocks`;
  const modules = mirrored(first, o);
  const other = modules.find(({ path }) => !path.startsWith(stack.prefix));
  if (other !== undefined) return `"${other.path}" is not below "${stack.prefix}"`;
  const packed = modules.find(({ weight }) => weight.rows !== undefined || weight.quantized !== undefined);
  if (packed !== undefined)
    return `the weight of "${packed.path}" is quantised, or shared with other modules`;
  const strange = modules.find(({ kind }) => kind !== "linear" && kind !== "norm");
  if (strange !== undefined) return `"${strange.path}" is of kind ${strange.kind}`;
  if (o.shadow_intermediate_size !== null && innerWidth(first, o) === undefined)
    return "shadow_intermediate_size needs feed-forward modules of one inner width";
  return undefined;
}

/** The inner width of feed-forward modules: of linear ones outside attention; undefined where they have not one. */
function innerWidth(first: BlockSite, o: Options): number | undefined {
  const { stack } = first;
  const widths = mirrored(first, o).flatMap((site) => {
    if (site.kind !== "linear" || isAttention(first, site)) return [];
    const { inFeatures, outFeatures } = site;
    return [inFeatures === stack.width ? outFeatures : outFeatures === stack.width ? inFeatures : 0];
  });
  const [width, ...others] = new Set(widths);
  return width === 0 || others.length > 0 ? undefined : width;
}

function isAttention({ stack }: BlockSite, { path }: Site): boolean {
  return stack.attention.some((module) => path.startsWith(`${module}.`));
}

/** Tensors of one module of the small decoder. */
function mirrorSpecs(first: BlockSite, site: Site, o: Options): [string, ParameterSpec][] {
  const module = basePath(site);
  const spec = (name: string, shape: readonly number[], init: Initializer): [string, ParameterSpec] => {
    const key = mirrorKey(first, module, name);
    return [key, { key, shape, init }];
  };
  if (site.kind === "norm")
    return [
      spec("weight", [site.features], filled(1)),
      ...(site.bias === undefined ? [] : [spec("bias", [site.features], filled(0))]),
    ];
  if (site.kind !== "linear") return [];
  const inner = o.shadow_intermediate_size === null ? undefined : innerWidth(first, o);
  const sized = (features: number, other: number): number =>
    inner === undefined || isAttention(first, site) || other !== first.stack.width
      ? features
      : (o.shadow_intermediate_size ?? features);
  const outputs = sized(site.outFeatures, site.inFeatures);
  // Of a module between equal widths, the inputs are those of the hidden states.
  const inputs = outputs === site.outFeatures ? sized(site.inFeatures, site.outFeatures) : site.inFeatures;
  return [
    spec("weight", site.conv1d ? [inputs, outputs] : [outputs, inputs], normal(deviation)),
    ...(site.bias === undefined ? [] : [spec("bias", [outputs], filled(0))]),
  ];
}

/** Tensors of two linear layers with a GELU in between. */
function networkSpecs(
  name: string,
  { width, inner, idle }: { readonly width: number; readonly inner: number; readonly idle: boolean },
): Record<string, ParameterSpec> {
  const layer = (at: number, outputs: number, inputs: number): [string, ParameterSpec][] => [
    [
      `${name}.${at}.weight`,
      { key: `${name}.default.${at}.weight`, shape: [outputs, inputs], init: kaimingUniform(), idle },
    ],
    [
      `${name}.${at}.bias`,
      { key: `${name}.default.${at}.bias`, shape: [outputs], init: uniform(1 / Math.sqrt(inputs)), idle },
    ],
  ];
  return Object.fromEntries([...layer(0, inner, width), ...layer(2, width, inner)]);
}

function linear(b: OpBuilder, params: Params, name: string, x: Value): Value {
  const weight = b.castLike(factorOf(params, `${name}.weight`), x);
  const product = b.matmul(x, b.transpose(weight, [1, 0]));
  const bias = params[`${name}.bias`];
  return bias === undefined ? product : b.add(product, b.castLike(bias, x));
}

function network(b: OpBuilder, params: Params, name: string, x: Value): Value {
  return linear(b, params, `${name}.2`, b.op("Gelu", [linear(b, params, `${name}.0`, x)]));
}

export default defineBlockMethod({
  name: "shadow",
  peftType: "SHADOW",
  summary:
    "Carries the state of a small trained decoder along the blocks, and corrects what each of them reads by it",
  formula:
    "h = h + a W_up W_down (h - s) before a block; s = (1 - g) s + g T(h) behind it, with g = sigmoid(G(h)); s starts as what a decoder of few blocks yields, which the loss judges too",
  paper:
    "Li et al. 2026, ShadowPEFT: Shadow Network for Parameter-Efficient Fine-Tuning, https://arxiv.org/abs/2604.19254",
  options,
  peftConfig: {
    shadow_hidden_size: null,
    shadow_num_attention_heads: null,
    share_embeddings: true,
  },
  bare: false,
  identityAtStart: (o) => o.init_weights,
  choose: (sites, o) => {
    const chosen = sites.filter(({ path }) => o.target_modules === null || isTargeted(o, path));
    const [first] = chosen;
    if (first === undefined)
      return `none of its blocks is a target: ${sites.map(({ path }) => path).join(", ")}`;
    const start = sites.indexOf(first);
    if (chosen.some((site, i) => sites[start + i] !== site))
      return "the targets are blocks with others in between";
    return misfit(first, o) ?? chosen;
  },
  loss: () => ({ name: "cross-entropy", options: { shift: true }, task: "causal-lm" }),
  seedLoss: (o) => o.auxiliary_loss_weight,
  shared: ([first], o): Record<string, ParameterSpec> =>
    first === undefined
      ? {}
      : Object.fromEntries(mirrored(first, o).flatMap((site) => mirrorSpecs(first, site, o))),
  parameters: (site, o, sites): Record<string, ParameterSpec> => {
    const { width } = site.stack;
    const inner = o.update_hidden_size ?? o.r;
    // Nothing reads the state behind the last block.
    const networks = { width, inner, idle: sites.at(-1)?.path === site.path };
    const up = o.init_weights ? filled(0) : kaimingUniform();
    return {
      "shadow_down.weight": {
        key: "shadow_down.default.weight",
        shape: [o.r, width],
        init: kaimingUniform(),
      },
      "shadow_up.weight": { key: "shadow_up.default.weight", shape: [width, o.r], init: up },
      ...networkSpecs("shadow_update_transform", networks),
      ...networkSpecs("shadow_update_gate", networks),
    };
  },
  seed: ({ sites: [first], params, options: o, mirror }) =>
    mirror(layersOf(o), (module, name) =>
      factorOf(params, first === undefined ? "" : mirrorKey(first, module, name)),
    ),
  inject: ({ params, options: o, b, dropout }, hidden, state) => {
    const apart = dropout(b.sub(hidden, state), o.shadow_dropout);
    const correction = linear(b, params, "shadow_up", linear(b, params, "shadow_down", apart));
    return b.add(hidden, b.mul(correction, o.shadow_alpha));
  },
  advance: ({ params, b }, hidden, state) => {
    const gate = b.op("Sigmoid", [network(b, params, "shadow_update_gate", hidden)]);
    const candidate = network(b, params, "shadow_update_transform", hidden);
    return b.add(b.mul(b.sub(1, gate), state), b.mul(gate, candidate));
  },
});
