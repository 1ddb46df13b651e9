/** Scan of opset 8, over the sequences of a batch: what the upgrade to opset 20 makes of it. */
import { describe, expect, test } from "vitest";
import type { Model } from "../../src/ir/model.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { upgradeGraph } from "../../src/rewrite/upgrade.ts";
import { buildText, type TextCase } from "../autodiff/text-case.ts";
import { checkGradient } from "../harness/check-op.ts";
import { difference } from "../harness/compare.ts";
import type { BuiltCase } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";

const scan = (attributes: string, lengths = ""): TextCase => ({
  text: `<ir_version: 3, opset_import: ["" : 8]>
  f (int64[b] lengths, float[b, 2] s0, float[b, t, 2] xs, float[b, t, 2] zs) => (float[b, 2] s, float[b, t, 2] ys) {
    s, ys = Scan <num_scan_inputs = 2${attributes}, body = step (float[2] a, float[2] x, float[2] z) => (float[2] c, float[2] y) {
      p = Mul (a, z)
      q = Add (p, x)
      c = Tanh (q)
      y = Mul (c, x)
    }> (${lengths}, s0, xs, zs)
  }`,
  sizes: { b: 3, t: 4 },
  values: { lengths: [4, 4, 4] },
});

function upgraded(spec: TextCase): BuiltCase {
  const built = buildText(spec);
  upgradeTo20(built.model);
  return { ...built, opset: 20, outputs: [...built.model.graph.outputs] };
}

function upgradeTo20(model: Model): void {
  upgradeGraph(model.graph, 8, 20);
  model.opsets.set("", 20);
  model.irVersion = 10;
  inferModel(model);
  verifyModel(model);
}

describe.each([
  ["forth", ""],
  ["one operand forth, one back", ", directions = [0, 1]"],
])("%s", (_, attributes) => {
  test("computes what the runtime computes of opset 8", async () => {
    const { model, feeds } = buildText(scan(attributes));
    const wanted = await runModel(model, feeds);
    const { model: newer, feeds: same } = upgraded(scan(attributes));
    const got = evaluateGraph(newer.graph, same, { opset: 20 });
    expect(got.length).toBe(wanted.length);
    got.forEach((array, at) => {
      const expected = wanted[at];
      if (expected === undefined) throw new Error(`output ${at} is missing`);
      expect(difference(array, expected, runtimeTolerance("float32"))).toBeUndefined();
    });
  });

  test("gradient", () => {
    checkGradient(() => upgraded(scan(attributes)));
  });
});

test("sequences of lengths of their own are refused", () => {
  expect(() => upgraded(scan("", "lengths"))).toThrow(/sequence_lens/);
});
