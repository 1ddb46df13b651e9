/** Learning-rate schedules against numbers from transformers' own schedules. */
import { expect, it } from "vitest";
import { scheduleFactor } from "../../src/runtime/schedule.ts";

const steps = [0, 1, 2, 3, 4, 7, 9, 10, 12];

it("stays at the peak when constant, after the warm-up", () => {
  const factors = steps.map((step) => scheduleFactor({ kind: "constant", warmup: 4, final: 0 }, step, 10));
  expect(factors).toEqual([0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1]);
});

// get_linear_schedule_with_warmup(num_warmup_steps=2, num_training_steps=10): (10 - step) / 8 after the warm-up.
it("falls linearly to zero at the last step", () => {
  const factors = steps.map((step) => scheduleFactor({ kind: "linear", warmup: 2, final: 0 }, step, 10));
  expect(factors).toEqual([0, 0.5, 1, 0.875, 0.75, 0.375, 0.125, 0, 0]);
});

// get_cosine_schedule_with_warmup(num_warmup_steps=2, num_training_steps=10): 0.5 (1 + cos(pi (step - 2) / 8)).
it("falls along half a cosine", () => {
  const factors = steps.map((step) => scheduleFactor({ kind: "cosine", warmup: 2, final: 0 }, step, 10));
  const expected = [
    0, 0.5, 1, 0.9619397662556434, 0.8535533905932737, 0.3086582838174551, 0.03806023374435663, 0, 0,
  ];
  factors.forEach((factor, i) => expect(factor).toBeCloseTo(expected[i] ?? Number.NaN, 12));
});

it("ends at the final share", () => {
  expect(scheduleFactor({ kind: "linear", warmup: 0, final: 0.1 }, 10, 10)).toBeCloseTo(0.1, 12);
  expect(scheduleFactor({ kind: "cosine", warmup: 0, final: 0.1 }, 10, 10)).toBeCloseTo(0.1, 12);
});
