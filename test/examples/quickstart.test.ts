/** The quickstart: a few steps in every run, all of them under `npm run test:all`. */
import { expect, it } from "vitest";
import { runExample } from "./run-example.ts";

const whole = process.env.PEFT_TEST_ALL === "1";

it(`runs ${whole ? "as it is" : "for two steps"}`, { timeout: 1_200_000 }, () => {
  const printed = runExample("quickstart.mjs", whole ? [] : ["--steps", "2"]);
  const [, before, after] = /^held-out (\d\.\d\d) -> (\d\.\d\d) nats per token$/m.exec(printed) ?? [];
  expect(before).toBe("5.07");
  // The script itself ends with 1 where merged and adapted logits differ by more than 1e-4.
  expect(printed).toMatch(/^merged {3}logits differ from the adapted model's by at most [\d.]+e-[5-9]$/m);
  expect(Number(after)).toBeLessThan(whole ? 2.7 : 5.07);
});
