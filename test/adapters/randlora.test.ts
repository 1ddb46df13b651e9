/** RandLoRA's ternary projections against those of PEFT 0.21.2: `llama/randlora-sparse` of the oracle set. */
import { expect, it } from "vitest";
import { compileGraphs } from "../../src/compile/compile.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromTensor } from "../../src/ops/ndarray.ts";

it("draws -1, 0 and 1 as PEFT does, and scales them to deviation 1", () => {
  const model = readModel("fixtures/oracles/models/llama/model.onnx");
  const options = { r: 8, sparse: true, target_modules: ["q_proj", "v_proj", "down_proj"] };
  const { state } = compileGraphs(model, { method: { name: "randlora", options }, task: "causal-lm" });
  const drawn = (name: string): number[] => {
    const found = [...state.tensors].find(([key]) => key.endsWith(name));
    if (found === undefined) throw new Error(`${name} is missing`);
    return fromTensor(found[1]).toNumbers();
  };
  const expected = [
    ["randlora_A", 1.7449287, "0 0 -1 -1 0 0 0 1 0 0 0 0 -1 0 0 0", -8],
    ["randlora_B", 1.7004033, "-1 0 0 -1 0 0 0 1 0 0 0 0 1 0 0 0", 13],
  ] as const;
  for (const [name, size, signs, sum] of expected) {
    const values = drawn(name);
    expect(Math.max(...values)).toBeCloseTo(size, 6);
    expect(
      values
        .slice(0, 16)
        .map((value) => Math.sign(value) + 0)
        .join(" "),
    ).toBe(signs);
    expect(values.reduce((total, value) => total + Math.sign(value), 0)).toBe(sum);
  }
});
