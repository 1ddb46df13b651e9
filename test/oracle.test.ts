/** HF PEFT's own numbers: one test per case and exported file, over every case that has been built. */
import { afterAll, describe, expect, it } from "vitest";
import { exceptionsAmong, hasOwnFolder, holdsSeveral, isBuilt } from "./oracle/built.ts";
import { checkCase } from "./oracle/check-case.ts";
import { checkSeveral } from "./oracle/check-several.ts";
import { listOracleCases } from "./oracle/oracle-set.ts";

const cases = listOracleCases();
const built = cases.filter(({ name }) => isBuilt(name));
const missing = [
  ...new Set(cases.filter(({ name }) => !isBuilt(name)).map(({ model, name }) => `${model}/${name}`)),
];
let passed = 0;

describe("oracle", () => {
  for (const item of built) {
    it(`${item.model}/${item.name} ${item.exported}`, async () => {
      if (holdsSeveral(item.name)) await checkSeveral(item);
      if (hasOwnFolder(item.name)) await checkCase(item);
      passed += 1;
    });
  }

  it("knows at least one case", () => expect(built.length).toBeGreaterThan(0));
});

afterAll(() => {
  if (missing.length > 0) console.log(`not built yet: ${missing.join(", ")}`);
  for (const line of exceptionsAmong([...new Set(built.map(({ model, name }) => `${model}/${name}`))]))
    console.log(`compared otherwise: ${line}`);
  console.log(`${passed} of ${cases.length}`);
});
