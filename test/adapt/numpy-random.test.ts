/** NumPy 2's own draws. */
import { describe, expect, it } from "vitest";
import { NumpyGenerator } from "../../src/adapt/numpy-random.ts";

describe("NumpyGenerator", () => {
  it("shuffles as default_rng(42).shuffle", () => {
    const values = Int32Array.from({ length: 12 }, (_, i) => i);
    new NumpyGenerator(42).shuffle(values);
    expect([...values]).toEqual([0, 7, 6, 9, 11, 3, 5, 2, 4, 10, 1, 8]);
  });

  it.each([
    { seed: 42, length: 64, count: 10, expected: [5, 43, 4, 37, 25, 58, 61, 6, 12, 51] },
    { seed: 7, length: 20_000, count: 1000, expected: [3762, 1432, 9397, 10263, 5947, 4314, 19279, 4248] },
    { seed: 5, length: 3, count: 3, expected: [2, 1, 0] },
  ])("chooses $count of $length as default_rng($seed).choice", ({ seed, length, count, expected }) => {
    const chosen = new NumpyGenerator(seed).choose(length, count);
    expect(chosen.length).toBe(count);
    expect([...chosen.slice(0, expected.length)]).toEqual(expected);
    expect(new Set(chosen).size).toBe(count);
  });

  it("goes on between draws, halves of 64 bits included", () => {
    const generator = new NumpyGenerator(5);
    generator.choose(3, 3);
    expect([...generator.choose(70_000, 5)]).toEqual([68566, 44115, 20005, 36071, 32817]);
  });
});
