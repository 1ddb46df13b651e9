/** Rules for transforms of signals. */

import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import { contentOf } from "../../ops/kernels/content.ts";
import { binCount, hasItsBins } from "../../ops/kernels/fourier.ts";
import { knownIntegers } from "../../ops/kernels/reduction-axes.ts";
import { opOf } from "../../ops/registry.ts";
import { nodeRule, type Rule } from "../rule.ts";

/** An operand with its axis, the bins along it and those that it should have. */
interface Bins {
  readonly x: Value;
  readonly axis: number;
  readonly given: number;
  readonly wanted: number;
}

/**
 * A one-sided inverse DFT reads the bins that its length has, cut or padded. The runtime mirrors other bins where it is
 * given more or fewer of them, so it is given as many.
 */
const fitBins = nodeRule("fit-bins-of-inverse", {
  roots: ["DFT"],
  when: (node) => {
    const bins = binsOf(node);
    return typeof bins === "string" ? bins : bins !== undefined;
  },
  build: (node, b) => {
    const bins = binsOf(node);
    if (bins === undefined || typeof bins === "string") return node.output(0);
    const { x, axis, given, wanted } = bins;
    const fitted = b.op("Pad", [x, b.ints([0, wanted - given]), null, b.ints([axis])]);
    return b.op("DFT", node.inputs.with(0, fitted), { inverse: 1, onesided: 1 });
  },
});

/** What a one-sided inverse of a given length reads; undefined where all is well, a reason where it is not known. */
function binsOf(node: Node): Bins | string | undefined {
  const [x, length, axes] = [node.input(0), node.input(1), node.input(2)];
  if (node.int("inverse", 0) === 0 || node.int("onesided", 0) === 0) return undefined;
  if (x === undefined || length === undefined || node.attributes.has("axis")) return undefined;
  const [axis] = axes === undefined ? [-2] : (knownIntegers(axes) ?? []);
  const given = axis === undefined ? undefined : x.tensorType?.shape?.at(axis);
  const count = contentOf(length)?.[0];
  if (axis === undefined || given === undefined || count === undefined) return "a length is not known";
  if (hasItsBins(given, count)) return undefined;
  if (typeof given !== "number" || typeof count !== "number") return "a length is not known";
  return { x, axis, given, wanted: binCount({ length: count, inverse: false, onesided: true }) };
}

/** The runtime's kernel reads wrong elements of complex signals. */
const expandComplex = nodeRule("expand-complex-stft", {
  roots: ["STFT"],
  when: (node) => node.input(0)?.tensorType?.shape?.[2] === 2,
  build: (node, b) => opOf(node)?.expand(node, b)[0] ?? node.output(0),
});

export const signalRules: readonly Rule[] = [fitBins, expandComplex];
