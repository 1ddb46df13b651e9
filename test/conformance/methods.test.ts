/** Every method: on one kind of site in `npm test`, on all that it takes and with every option varied in `npm run test:all`. */
import { afterAll, describe, expect, it } from "vitest";
import { adapters } from "../../passes/adapters/index.ts";
import { type ConformanceOptions, checkMethod } from "../../src/conformance/suite.ts";

/** In a sample, every eighth method is asked for all that one model can tell. */
function extentOf(index: number): NonNullable<ConformanceOptions["extent"]> {
  if (process.env.PEFT_TEST_ALL === "1") return "all";
  return index % 8 === 0 ? "first" : "quick";
}

const total = { methods: 0, sites: 0, passed: 0, inapplicable: 0 };

afterAll(() => {
  const { methods, sites, passed, inapplicable } = total;
  console.log(
    `conformance: ${methods} methods, ${sites} methods x sites, ${passed} checks passed, ${inapplicable} do not apply`,
  );
});

describe("conformance", () => {
  it.each(adapters.map((adapter, index) => [adapter.name, adapter, index] as const))(
    "of %s",
    { timeout: 900_000 },
    async (_name, adapter, index) => {
      const { passed, inapplicable, sites } = await checkMethod(adapter, { extent: extentOf(index) });
      expect(passed).toBeGreaterThan(7);
      total.methods += 1;
      total.sites += sites;
      total.passed += passed;
      total.inapplicable += inapplicable.length;
    },
  );
});
