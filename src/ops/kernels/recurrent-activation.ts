/** Activations that RNN, GRU and LSTM name in an attribute, as nodes. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { floatAttribute } from "../../ir/attribute.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";

/** An activation with its parameters settled. */
export type Activation = (b: OpBuilder, x: Value) => Value;

/**
 * How an activation is written, and the parameters that it takes from the lists; null where ONNX gives no
 * default, or the runtime takes another.
 */
interface ActivationKind {
  readonly alpha?: number | null;
  readonly beta?: number | null;
  readonly build: (b: OpBuilder, x: Value, alpha: number, beta: number) => Value;
}

const plain = (op: string): ActivationKind => ({ build: (b, x) => b.op(op, [x]) });
const scaled = (op: string, alpha: number | null): ActivationKind => ({
  alpha,
  build: (b, x, value) => b.op(op, [x], { alpha: floatAttribute(value) }),
});

/** By name in lower case, since the runtime takes any case for GRU and LSTM. */
const kinds: Readonly<Record<string, ActivationKind>> = {
  relu: plain("Relu"),
  tanh: plain("Tanh"),
  sigmoid: plain("Sigmoid"),
  softsign: plain("Softsign"),
  softplus: plain("Softplus"),
  leakyrelu: scaled("LeakyRelu", 0.01),
  thresholdedrelu: scaled("ThresholdedRelu", null),
  elu: scaled("Elu", 1),
  hardsigmoid: {
    alpha: 0.2,
    beta: 0.5,
    build: (b, x, alpha, beta) =>
      b.op("HardSigmoid", [x], { alpha: floatAttribute(alpha), beta: floatAttribute(beta) }),
  },
  affine: { alpha: null, beta: null, build: (b, x, alpha, beta) => b.add(b.mul(x, alpha), beta) },
  scaledtanh: {
    alpha: null,
    beta: null,
    build: (b, x, alpha, beta) => b.mul(b.op("Tanh", [b.mul(x, beta)]), alpha),
  },
};

/** The attributes that choose activations, as ONNX names them. */
export interface ActivationOptions {
  readonly activations: readonly string[] | undefined;
  readonly activation_alpha: readonly number[] | undefined;
  readonly activation_beta: readonly number[] | undefined;
}

/**
 * The activations of all directions, one after the other. Each takes the next alpha and beta of the lists, where it has
 * such a parameter and there are any left (ONNX RNN, opset 22).
 *
 * @throws DiagnosticError E_BAD_ATTRIBUTE for a wrong number of activations, one that ONNX does not name, or one whose
 * parameter has neither a value nor a default.
 */
export function readActivations(
  node: Node,
  options: ActivationOptions,
  defaults: readonly string[],
  directions: number,
): Activation[] {
  const count = defaults.length * directions;
  const names = options.activations ?? Array.from({ length: directions }, () => defaults).flat();
  if (names.length !== count)
    throw operatorErrors.E_BAD_ATTRIBUTE(node, "activations", `${count} names`, `${names.length}`);
  const take = (attribute: "activation_alpha" | "activation_beta") => {
    const values = [...(options[attribute] ?? [])];
    return (name: string, fallback: number | null | undefined): number => {
      if (fallback === undefined) return 0;
      const value = values.shift() ?? fallback;
      if (value !== null) return value;
      throw operatorErrors.E_BAD_ATTRIBUTE(
        node,
        attribute,
        `a value for ${name}, which has no default`,
        "none",
      );
    };
  };
  const [nextAlpha, nextBeta] = [take("activation_alpha"), take("activation_beta")];
  return names.map((name) => {
    const kind = Object.hasOwn(kinds, name.toLowerCase()) ? kinds[name.toLowerCase()] : undefined;
    if (kind === undefined)
      throw operatorErrors.E_BAD_ATTRIBUTE(node, "activations", `each of ${listKinds()}`, `"${name}"`);
    const [alpha, beta] = [nextAlpha(name, kind.alpha), nextBeta(name, kind.beta)];
    return (b, x) => kind.build(b, x, alpha, beta);
  });
}

function listKinds(): string {
  return "Relu, Tanh, Sigmoid, Affine, LeakyRelu, ThresholdedRelu, ScaledTanh, HardSigmoid, Elu, Softsign, Softplus";
}
