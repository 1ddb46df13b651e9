/** Logits in short and back: the same choice, the same weights. */
import { describe, expect, it } from "vitest";
import { lengthened, shortened } from "../../passes/adapters/parts/top-weights.ts";
import { float32Tensor } from "../../src/ir/constant.ts";
import { fromTensor } from "../../src/ops/ndarray.ts";

const rows = [
  [0.1, 2, -1, 2.5, 0.3],
  [1, 1, 0, -3, 1],
];
const tensors = new Map([["param.x.logits", float32Tensor(rows.flat(), [2, 1, 5])]]);
const short = shortened(tensors, new Map([["param.x.logits", "x.logits"]]), 3);
const numbers = (of: ReadonlyMap<string, Parameters<typeof fromTensor>[0]>, key: string): number[] => {
  const tensor = of.get(key);
  return tensor === undefined ? [] : fromTensor(tensor).toNumbers();
};

describe("logits in short", () => {
  it("are the places of the largest, the first of equals first, and all but the last weight", () => {
    expect(short.get("x.logits_topk_indices")?.dtype).toBe("uint8");
    expect(short.get("x.logits_topk_indices")?.dims).toEqual([2, 1, 3]);
    expect(numbers(short, "x.logits_topk_indices")).toEqual([3, 1, 4, 0, 1, 4]);
    const total = Math.exp(2.5) + Math.exp(2) + Math.exp(0.3);
    const wanted = [Math.exp(2.5) / total, Math.exp(2) / total, 1 / 3, 1 / 3];
    numbers(short, "x.logits_topk_weights").forEach((weight, i) => {
      expect(weight).toBeCloseTo(wanted[i] ?? 0, 6);
    });
  });

  it("become logits of the same softmax again, and leave alone those that are there", () => {
    const saved = new Map([...short].filter(([key]) => !key.startsWith("param.")));
    const back = numbers(
      lengthened(saved, (key) => `param.${key}`, 5),
      "param.x.logits",
    );
    expect(back).toHaveLength(10);
    expect(back.filter((value) => value < -1e29)).toHaveLength(4);
    expect((back[1] ?? 0) - (back[3] ?? 0)).toBeCloseTo(-0.5, 5);
    expect((back[4] ?? 0) - (back[3] ?? 0)).toBeCloseTo(-2.2, 5);
    expect(lengthened(short, (key) => `param.${key}`, 5).get("param.x.logits")).toBe(
      tensors.get("param.x.logits"),
    );
  });
});
