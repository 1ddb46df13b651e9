/** The guide's invented method, loaded from outside the package: what holds of every method holds of it. */
import { expect, it } from "vitest";
import { findAdapter } from "../../src/adapt/registry.ts";
import { usePlugIns } from "../../src/cli/plug-ins.ts";
import { checkMethod } from "../../src/conformance/suite.ts";

it("holds what methods hold", { timeout: 300_000 }, async () => {
  await usePlugIns(["examples/kronecker-gate.mjs"]);
  const method = findAdapter("kronecker-gate", []);
  if (method === undefined) throw new Error("the example is not known");
  const { passed, sites } = await checkMethod(method);
  expect(sites).toBe(2);
  expect(passed).toBeGreaterThan(20);
});
