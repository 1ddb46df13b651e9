/** `combine` on the command line: what it writes, and how it refuses. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readPeftFolder } from "../../src/compile/peft-folder.ts";
import { oracleRoot } from "../oracle/oracle-set.ts";
import { runCli, runJson } from "./run-cli.ts";

const root = mkdtempSync(join(tmpdir(), "combine-cli-"));
afterAll(() => rmSync(root, { recursive: true }));
const place = join(oracleRoot, "cases", "llama", "lora-weighted");
const [first, second] = [join(place, "first"), join(place, "second")];

describe("combine", () => {
  it("writes a folder, with the weight behind the last colon", async () => {
    const out = join(root, "out");
    const args = ["--adapter", `${first}:0.7`, "--adapter", `${second}:-5e-1`, "--type", "cat", "-o", out];
    const { code, document } = await runJson(["combine", ...args]);
    expect(code).toBe(0);
    expect(document).toMatchObject({
      ok: true,
      output: out,
      method: "lora",
      type: "cat",
      adapters: [
        { folder: first, weight: 0.7 },
        { folder: second, weight: -0.5 },
      ],
      options: { r: 8 },
    });
    expect(readPeftFolder(out).options.r).toBe(8);
  });

  it.each([
    [["--adapter", first], 2, "-o"],
    [["-o", join(root, "none")], 2, "--adapter"],
    [["--adapter", first, "--type", "sum", "-o", join(root, "none")], 2, "magnitude_prune"],
    [["--adapter", first, "--adapter", second, "--type", "ties", "-o", join(root, "none")], 1, "density"],
    [["--adapter", join(root, "nowhere"), "-o", join(root, "none")], 1, "adapter_config.json"],
  ] as const)("%j ends with %i and names %s", async (args, code, text) => {
    const result = await runCli(["combine", ...args]);
    expect(result.code).toBe(code);
    expect(result.stderr).toContain(text);
  });
});
