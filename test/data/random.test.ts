/** The random generator: against its reference algorithm, exact arithmetic, and what its numbers must look like. */
import { describe, expect, it } from "vitest";
import { naturalLog, pointOnCircle } from "../../src/data/exact-math.ts";
import { Random } from "../../src/data/random.ts";

const draw = <T>(count: number, one: () => T): T[] => Array.from({ length: count }, one);

describe("Random", () => {
  it("gives the published sequence of xoshiro128**", () => {
    const random = new Random(0);
    random.restore({ words: [1, 2, 3, 4], spare: null });
    expect(draw(5, () => random.bits())).toEqual([11520, 0, 5927040, 70819200, 2031721883]);
  });

  // From an implementation of the same definitions in Python's integers.
  it.each([
    [0, 0, [1789933344, 44971166, 2521387044, 3848737593]],
    [42, 0, [660444221, 3652823732, 77672526, 910233633]],
    [42, 1, [1198609203, 3852018589, 4185545071, 283963457]],
    [2 ** 32 - 1, 7, [3147616001, 1241337745, 2273118366, 3997325586]],
  ])("fills its state from seed %d and stream %d", (seed, stream, expected) => {
    const random = new Random(seed, stream);
    expect(draw(4, () => random.bits())).toEqual(expected);
  });

  it("gives normal numbers that agree with the formula in 40 decimal digits", () => {
    const random = new Random(7);
    const exact = [
      0.1604118692217061, 0.273442084500182, 2.2017943384212715, -0.6829581958893682, -0.6445044934926114,
      -0.7727061367885715,
    ];
    for (const value of exact) expect(Math.abs(random.normal() / value - 1)).toBeLessThan(4e-15);
  });

  it("goes on from a saved state, between the two normal numbers of a pair too", () => {
    const random = new Random(3);
    random.normal();
    const state = JSON.parse(JSON.stringify(random.state()));
    const ahead = draw(5, () => random.normal());
    random.restore(state);
    expect(draw(5, () => random.normal())).toEqual(ahead);
    const other = new Random(99);
    other.restore(state);
    expect(draw(5, () => other.normal())).toEqual(ahead);
  });

  it("has the moments of its distributions", () => {
    const random = new Random(1);
    const moments = (values: number[]): number[] =>
      [1, 2, 4].map((power) => values.reduce((sum, value) => sum + value ** power, 0) / values.length);
    const [mean = 0, square = 0, fourth = 0] = moments(draw(40_000, () => random.normal()));
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(Math.abs(square - 1)).toBeLessThan(0.03);
    expect(Math.abs(fourth - 3)).toBeLessThan(0.3);
    const uniform = draw(40_000, () => random.uniform());
    expect(Math.min(...uniform)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...uniform)).toBeLessThan(1);
    expect(uniform.every((value) => Math.fround(value) === value)).toBe(true);
    expect(Math.abs((moments(uniform)[0] ?? 0) - 0.5)).toBeLessThan(0.01);
  });

  it("draws every whole number below a limit about equally often", () => {
    const random = new Random(2);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 7000; i++) {
      const value = random.below(7);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    expect(counts.length).toBe(7);
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(130);
    expect(random.below(1)).toBe(0);
  });

  it("shuffles: every number once, in another order for another seed, each order about equally often", () => {
    expect(Array.from(new Random(5).permutation(100)).sort((a, b) => a - b)).toEqual(draw100());
    expect(new Random(5).permutation(100)).not.toEqual(new Random(6).permutation(100));
    expect(new Random(5).permutation(0).length).toBe(0);
    const random = new Random(4);
    const orders = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = random.permutation(3).join("");
      orders.set(order, (orders.get(order) ?? 0) + 1);
    }
    expect(orders.size).toBe(6);
    for (const count of orders.values()) expect(Math.abs(count - 1000)).toBeLessThan(130);
  });
});

const draw100 = (): number[] => Array.from({ length: 100 }, (_, i) => i);

describe("exact arithmetic", () => {
  it("takes logarithms as Math.log does, to two units in the last place", () => {
    const values = [1, 2, 0.5, Math.E, 2 ** -24, 1 - 2 ** -24, Math.SQRT2, 1e300, 2 ** -1000];
    const random = new Random(8);
    values.push(...draw(5000, () => 1 - random.uniform()));
    for (const value of values) {
      const expected = Math.log(value);
      expect(Math.abs(naturalLog(value) - expected)).toBeLessThanOrEqual(Math.abs(expected) * 2 ** -51);
    }
  });

  it("finds points on the circle as Math.cos and Math.sin do", () => {
    for (let step = 0; step < 4096; step++) {
      const turn = step / 4096;
      const [cosine, sine] = pointOnCircle(turn);
      expect(Math.abs(cosine - Math.cos(2 * Math.PI * turn))).toBeLessThan(1e-15);
      expect(Math.abs(sine - Math.sin(2 * Math.PI * turn))).toBeLessThan(1e-15);
    }
    expect(pointOnCircle(0)).toEqual([1, 0]);
    expect(pointOnCircle(0.25)).toEqual([-0, 1]);
    expect(pointOnCircle(0.5)).toEqual([-1, -0]);
  });
});
