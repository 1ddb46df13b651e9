/** `checkText`: what the gradient of a model written as text is checked for. */
import { describe, expect, test } from "vitest";
import { verifyModel } from "../../src/ir/verify.ts";
import { checkGradient, checkRuntime } from "../harness/check-op.ts";
import { appendBackward, gradientCase } from "../harness/gradient.ts";
import { buildText, type TextCase } from "./text-case.ts";

/** What a case leaves out, each with its reason. */
export interface TextChecks {
  /** Why the gradient is not differentiated again. */
  readonly once?: string;
}

/**
 * Checks a model with named axes and with fixed ones: its gradient against central differences, the gradient graph by
 * the verifier and in the runtime, and the same for the gradient of the gradient.
 */
export function checkText(description: string, spec: TextCase, { once }: TextChecks = {}): void {
  describe.each([
    ["named", spec],
    ["fixed", { ...spec, fixed: true }],
  ])(`${description}, %s axes`, (_, each) => {
    const build = () => buildText(each);
    const first = () => gradientCase(build());
    test("the forward graph runs", async () => {
      await checkRuntime(build());
    });
    test("gradient", () => {
      checkGradient(build);
    });
    test("the runtime agrees on the gradient, results included", async () => {
      const { seeds, gradients, ...backward } = appendBackward(build());
      const { graph } = backward.model;
      expect(gradients, "every variable has a gradient").not.toContain(undefined);
      for (const output of backward.outputs) graph.addOutput(output);
      verifyModel(backward.model);
      await checkRuntime({ ...backward, outputs: [...graph.outputs] });
    });
    if (once !== undefined) return;
    test("gradient of the gradient", () => {
      checkGradient(first);
    });
    test("the runtime agrees on the gradient of the gradient", async () => {
      const second = gradientCase(first());
      verifyModel(second.model);
      await checkRuntime(second);
    });
  });
}
