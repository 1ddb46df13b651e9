/** PEANuT: an update that a small network computes from the frozen weight itself. */
import { z } from "zod";
import { defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { filled, kaimingUniform } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import { floatAttribute } from "../../src/ir/attribute.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { factorOf, type Params } from "./parts/factors.ts";

/** Functions by the names that transformers gives them. */
const functions = {
  relu: (x, b) => b.op("Relu", [x]),
  gelu: (x, b) => b.op("Gelu", [x]),
  gelu_pytorch_tanh: (x, b) => b.op("Gelu", [x], { approximate: "tanh" }),
  silu: (x, b) => b.mul(x, b.op("Sigmoid", [x])),
  swish: (x, b) => b.mul(x, b.op("Sigmoid", [x])),
  tanh: (x, b) => b.op("Tanh", [x]),
  sigmoid: (x, b) => b.op("Sigmoid", [x]),
  leaky_relu: (x, b) => b.op("LeakyRelu", [x], { alpha: floatAttribute(0.01) }),
  mish: (x, b) => b.op("Mish", [x]),
  linear: (x) => x,
} as const satisfies Record<string, (x: Value, b: OpBuilder) => Value>;

const options = z
  .strictObject({
    r: z.int().min(1).default(32).describe("width of the network"),
    depth: z
      .int()
      .min(0)
      .default(0)
      .describe("pairs of further layers between its first and last, with residual connections"),
    act_fn: z
      .enum([
        "relu",
        "gelu",
        "gelu_pytorch_tanh",
        "silu",
        "swish",
        "tanh",
        "sigmoid",
        "leaky_relu",
        "mish",
        "linear",
      ])
      .default("relu")
      .describe("function behind every layer but the last"),
    scaling: z.number().default(1).describe("factor of the update"),
    init_weights: z.boolean().default(true).describe("true: B starts at 0; false: all random"),
    ...targetOptions,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;

/** What the last layer reads, one row for each input of the frozen layer: (in, r). */
function hiddenOf(weight: Value, params: Params, o: Options, b: OpBuilder): Value {
  const layer = (x: Value, name: string): Value =>
    functions[o.act_fn](b.matmul(x, b.transpose(factorOf(params, name), [1, 0])), b);
  let hidden = layer(b.transpose(weight, [1, 0]), "A");
  const residuals: Value[] = [];
  for (let i = 0; i < o.depth; i++) {
    residuals.push(hidden);
    hidden = layer(hidden, `encoder${i}`);
  }
  residuals.reverse().forEach((residual, i) => {
    hidden = b.add(layer(hidden, `decoder${i}`), residual);
  });
  return hidden;
}

export default defineAdapter({
  name: "peanut",
  peftType: "PEANUT",
  summary: "Adds an update that a small trained network computes from the frozen linear weight",
  formula:
    "y = (W + scaling B f(... f(A W))) x + b, with residual connections between the layers in the middle",
  paper:
    "Zhong et al. 2024, PEANuT: Parameter-Efficient Adaptation with Weight-aware Neural Tweakers, https://arxiv.org/abs/2410.01870",
  options,
  peftConfig: {},
  sites: ["linear"],
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o): Record<string, ParameterSpec> => {
    const { outFeatures } = site;
    const inner = Array.from({ length: o.depth }, (_, i) =>
      (["encoder", "decoder"] as const).map((kind) => [
        `${kind}${i}`,
        { key: `peanut_${kind}s.${i}.weight`, shape: [o.r, o.r], init: kaimingUniform() },
      ]),
    );
    return {
      A: { key: "peanut_A.weight", shape: [o.r, outFeatures], init: kaimingUniform() },
      ...Object.fromEntries(inner.flat()),
      B: {
        key: "peanut_B.weight",
        shape: [outFeatures, o.r],
        init: o.init_weights ? filled(0) : kaimingUniform(),
      },
    };
  },
  build: ({ x, y, weight, params, options: o, b }) => {
    const down = b.matmul(x, hiddenOf(weight(), params, o, b));
    return b.add(y, b.mul(b.matmul(down, b.transpose(factorOf(params, "B"), [1, 0])), o.scaling));
  },
  merge: ({ weight, params, options: o, b }) => {
    const update = b.matmul(factorOf(params, "B"), b.transpose(hiddenOf(weight, params, o, b), [1, 0]));
    return { weight: b.add(weight, b.mul(update, o.scaling)) };
  },
  unmerge: "the update that merging adds is made of the weight by a network, which has no inverse",
});
