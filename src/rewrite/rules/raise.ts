/** Rules that recognise functions spelled out in simpler operators, so that their own gradient rules hold, and write them out again. */
import { constantOf } from "../../ir/constant.ts";
import type { Value } from "../../ir/value.ts";
import { rankOf } from "../../ops/facts.ts";
import { axesFrom, knownIntegers } from "../../ops/kernels/reduction-axes.ts";
import { normalizedAgain } from "../../ops/kernels/standardize.ts";
import { fromTensor } from "../../ops/ndarray.ts";
import { nodeRule, type Rule, rule } from "../rule.ts";

/** Exporters round constants to float32, and some write fewer digits. */
const isAbout = (value: Value, number: number): boolean =>
  Math.abs((scalarOf(value) ?? Number.NaN) - number) <= 1e-6 * Math.abs(number);

function scalarOf(value: Value): number | undefined {
  const tensor = constantOf(value);
  return tensor?.size === 1 ? fromTensor(tensor).toNumbers()[0] : undefined;
}

/** `x (1 + erf(x / sqrt 2)) / 2`, by where the half stands and whether x is divided or multiplied (c). */
const raiseGelu = (["Div", "Mul"] as const).flatMap((scale) => {
  const when = ({ c }: { readonly c: Value }) => isAbout(c, scale === "Div" ? Math.SQRT2 : Math.SQRT1_2);
  const name = (half: string) => `raise-gelu-${half}-${scale.toLowerCase()}`;
  return [
    rule(name("after"), {
      match: (p) => p.Mul(p.Mul(p.x, p.Add(p.Erf(p[scale](p.x, p.constant(p.c))), 1)), 0.5),
      when,
      build: ({ x }, b) => b.op("Gelu", [x]),
    }),
    rule(name("before"), {
      match: (p) => p.Mul(p.Mul(p.x, 0.5), p.Add(p.Erf(p[scale](p.x, p.constant(p.c))), 1)),
      when,
      build: ({ x }, b) => b.op("Gelu", [x]),
    }),
    rule(name("inside"), {
      match: (p) => p.Mul(p.x, p.Mul(p.Add(p.Erf(p[scale](p.x, p.constant(p.c))), 1), 0.5)),
      when,
      build: ({ x }, b) => b.op("Gelu", [x]),
    }),
  ];
});

/** `x sigmoid(x)` */
const raiseSwish = rule("raise-swish", {
  match: (p) => p.Mul(p.x, p.Sigmoid(p.x)),
  build: ({ x }, b) => b.op("Swish", [x]),
});

interface RootMeanSquare {
  readonly x: Value;
  readonly a: Value;
  readonly e: Value;
  readonly w: Value;
}

/** Whether the mean is over the last axis, which is that of the weight. */
function isNormalization({ x, a, e, w }: RootMeanSquare): boolean {
  const rank = x.tensorType?.shape?.length;
  const [axis, second] = knownIntegers(a) ?? [];
  if (rank === undefined || second !== undefined || (axis !== -1 && axis !== rank - 1)) return false;
  return w.tensorType?.shape?.length === 1 && scalarOf(e) !== undefined;
}

/** `w x / sqrt(mean(x^2) + e)`, by how the square (Pow or Mul) and the quotient are written. */
const raiseRootMeanSquare = (["Reciprocal", "Div", "direct"] as const).flatMap((quotient) =>
  (["Pow", "Mul"] as const).map((square) =>
    rule(`raise-rms-${quotient.toLowerCase()}-${square.toLowerCase()}`, {
      match: (p) => {
        const squared = square === "Pow" ? p.Pow(p.x, 2) : p.Mul(p.x, p.x);
        const deviation = p.Sqrt(p.Add(p.ReduceMean(squared, p.a, { keepdims: 1 }), p.constant(p.e)));
        if (quotient === "direct") return p.Mul(p.w, p.Div(p.x, deviation));
        const inverse = quotient === "Div" ? p.Div(1, deviation) : p.Reciprocal(deviation);
        return p.Mul(p.w, p.Mul(p.x, inverse));
      },
      when: isNormalization,
      build: ({ x, w, e }, b) =>
        b.op("RMSNormalization", [x, w], {
          axis: -1,
          epsilon: { kind: "float", value: scalarOf(e) ?? 0 },
        }),
    }),
  ),
);

export const raiseRules: readonly Rule[] = [...raiseGelu, raiseSwish, ...raiseRootMeanSquare];

/** As its gradient computes it, so that both have what they share in common. */
const writeRootMeanSquare = nodeRule("write-out-rms", {
  roots: ["RMSNormalization"],
  when: (node) => node.input(0)?.tensorType?.shape !== undefined && node.input(1) !== undefined,
  build: (node, b) => {
    const [x, scale] = [node.input(0), node.input(1)];
    if (x === undefined || scale === undefined) return node.output(0);
    const axes = axesFrom(node, node.int("axis", -1), rankOf(x));
    const { hat } = normalizedAgain(b, x, { axes, epsilon: node.float("epsilon", 1e-5), centered: false });
    return b.mul(b.castLike(hat, scale), scale);
  },
});

export const writeOutRules: readonly Rule[] = [writeRootMeanSquare];
