/** Cases of ONNX's backend tests that once were refused or failed: what each check says of each of them today. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { findModels, loadCase } from "./cases.ts";
import { checkCase } from "./check-case.ts";

const root = join("fixtures", "onnx", "backend");
const golden = join(root, "expected.json");
const accept = process.env.UPDATE_GOLDENS === "1";
const expected: unknown = accept ? {} : JSON.parse(readFileSync(golden, "utf8"));
const seen: Record<string, string> = {};

test.each(findModels(root).map((file) => [loadCase(file, root).name, file] as const))(
  "%s",
  async (name, file) => {
    const outcomes = await checkCase(loadCase(file, root));
    const failed = outcomes.filter(({ status }) => status === "failed");
    expect(failed.map(({ check, detail }) => `${check}: ${detail}`)).toEqual([]);
    // A check that passed must not come to be skipped either.
    const text = outcomes
      .map(({ check, status, cause }) =>
        status === "refused" ? `${check} ${cause.split(" ")[0]}` : `${check} ${status}`,
      )
      .join(", ");
    seen[name] = text;
    if (!accept) expect(expected).toHaveProperty([name], text);
  },
);

afterAll(() => {
  if (accept) writeFileSync(golden, `${JSON.stringify(seen, null, 2)}\n`);
});
