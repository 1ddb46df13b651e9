/** GLoRA: frozen weight and bias, each scaled and shifted by trained matrices, vectors or numbers. */
import { z } from "zod";
import { defineAdapter, type Merged, type ParameterSpec } from "../../src/adapt/define.ts";
import { filled, kaimingUniform, normal } from "../../src/adapt/initializers.ts";
import { targetOptions } from "../../src/adapt/targets.ts";
import { InternalError } from "../../src/diagnostics/define.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { factorOf, type Params } from "./parts/factors.ts";

const { target_modules, modules_to_save } = targetOptions;

const options = z.strictObject({
  r: z.int().min(1).default(8).describe("rank of what is a low-rank product"),
  config_A_B: z
    .enum(["lora", "vector", "constant", "none"])
    .default("lora")
    .describe("A, which scales the weight, and B, which is added to it"),
  config_C: z
    .enum(["lora", "vector", "none"])
    .default("lora")
    .describe("C, whose product with the weight is added to the bias; none where there is no bias"),
  config_D_E: z
    .enum(["vector", "constant", "none"])
    .default("constant")
    .describe("D, which scales the bias, and E, which is added to it; none where there is no bias"),
  init_weights: z.boolean().default(true).describe("true: all start at 0; false: random"),
  target_modules,
  modules_to_save,
});

type Options = z.output<typeof options>;
type Name = "A" | "B" | "C" | "D" | "E";

const kindsOf = (o: Options, hasBias: boolean): Readonly<Record<Name, string>> => {
  const [c, de] = hasBias ? [o.config_C, o.config_D_E] : ["none", "none"];
  return { A: o.config_A_B, B: o.config_A_B, C: c, D: de, E: de };
};

/** Tensors of one of the five, which stands for a matrix of the given size, a vector where it has one column only. */
function specsOf(
  name: Name,
  kind: string,
  [rows, columns]: readonly [number, number],
  o: Options,
): Record<string, ParameterSpec> {
  const key = `glora_${name}`;
  const isVector = name === "D" || name === "E";
  const zero = filled(0);
  if (kind === "lora") {
    const first = o.init_weights ? zero : kaimingUniform();
    return {
      [`${name}d`]: { key: `${key}.Xd`, shape: [rows, o.r], init: first },
      [`${name}u`]: { key: `${key}.Xu`, shape: [o.r, columns], init: kaimingUniform() },
    };
  }
  if (kind === "vector") {
    const init = o.init_weights ? zero : kaimingUniform(isVector ? rows : 1);
    return { [name]: { key: `${key}.X`, shape: isVector ? [rows] : [rows, 1], init } };
  }
  if (kind === "constant") {
    return { [name]: { key: `${key}.X`, shape: [1], init: o.init_weights ? zero : normal(0.02) } };
  }
  // PEFT writes zeros in place of what is not there.
  const shape = isVector ? [rows] : [rows, columns];
  return { [`${name}zeros`]: { key: `${key}.zeros`, shape, init: zero, trainable: false } };
}

function partOf(name: Name, kind: string, params: Params, b: OpBuilder): Value | undefined {
  if (kind === "none") return undefined;
  if (kind !== "lora") return factorOf(params, name);
  return b.matmul(factorOf(params, `${name}d`), factorOf(params, `${name}u`));
}

/** W + W * A + B and b + b * D + E + W C. */
function adaptedOf(weight: Value, bias: Value | undefined, params: Params, o: Options, b: OpBuilder) {
  const kinds = kindsOf(o, bias !== undefined);
  const part = (name: Name): Value | undefined => partOf(name, kinds[name], params, b);
  const plus = (sum: Value, term: Value | undefined): Value => (term === undefined ? sum : b.add(sum, term));
  const times = (x: Value, factor: Value | undefined): Value | undefined =>
    factor === undefined ? undefined : b.mul(x, factor);
  const newWeight = plus(plus(weight, times(weight, part("A"))), part("B"));
  if (bias === undefined) return { weight: newWeight };
  const c = part("C");
  const product = c === undefined ? undefined : b.reshape(b.matmul(weight, c), [-1]);
  return {
    weight: newWeight,
    bias: plus(plus(plus(bias, times(bias, part("D"))), part("E")), product),
  };
}

/** The reverse: the weight first, which the bias took a part of. */
function sourceOf(weight: Value, bias: Value | undefined, params: Params, o: Options, b: OpBuilder): Merged {
  const kinds = kindsOf(o, bias !== undefined);
  const part = (name: Name): Value | undefined => partOf(name, kinds[name], params, b);
  const less = (sum: Value, term: Value | undefined): Value => (term === undefined ? sum : b.sub(sum, term));
  const over = (x: Value, factor: Value | undefined): Value =>
    factor === undefined ? x : b.div(x, b.add(factor, 1));
  const own = over(less(weight, part("B")), part("A"));
  if (bias === undefined) return { weight: own };
  const c = part("C");
  const product = c === undefined ? undefined : b.reshape(b.matmul(own, c), [-1]);
  return { weight: own, bias: over(less(less(bias, part("E")), product), part("D")) };
}

export default defineAdapter({
  name: "glora",
  peftType: "GLORA",
  summary: "Scales and shifts frozen linear weights and biases by trained matrices, vectors or numbers",
  formula: "y = (W + W * A + B) x + b + b * D + E + W C, with * element-wise",
  paper:
    "Chavan et al. 2023, One-for-All: Generalized LoRA for Parameter-Efficient Fine-tuning, https://arxiv.org/abs/2306.07967",
  options,
  peftConfig: { bias: "none" },
  sites: ["linear"],
  accepts: (site, o) => {
    const kinds = Object.values(kindsOf(o, site.bias !== undefined));
    return kinds.some((kind) => kind !== "none") ? true : "nothing of it would be trained";
  },
  identityAtStart: (o) => o.init_weights,
  parameters: ({ bias, inFeatures, outFeatures }, o): Record<string, ParameterSpec> => {
    const kinds = kindsOf(o, bias !== undefined);
    return {
      ...specsOf("A", kinds.A, [outFeatures, inFeatures], o),
      ...specsOf("B", kinds.B, [outFeatures, inFeatures], o),
      ...specsOf("C", kinds.C, [inFeatures, 1], o),
      ...specsOf("D", kinds.D, [outFeatures, 1], o),
      ...specsOf("E", kinds.E, [outFeatures, 1], o),
    };
  },
  build: ({ site, x, weight, base, params, options: o, b }) => {
    const bias = site.bias?.reader.input(site.bias.operand);
    if (site.bias !== undefined && bias === undefined)
      throw new InternalError(`"${site.path}" lost its bias`);
    return base(x, adaptedOf(weight(), bias, params, o, b));
  },
  merge: ({ weight, bias, params, options: o, b }) => adaptedOf(weight, bias, params, o, b),
  unmerge: ({ weight, bias, params, options: o, b }) => sourceOf(weight, bias, params, o, b),
});
