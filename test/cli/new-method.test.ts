/** `new-method`: two files that are formatted, compile and pass the conformance suite as they are, or none. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { findAdapter } from "../../src/adapt/registry.ts";
import { methodText, testText } from "../../src/cli/method-text.ts";
import { usePlugIns } from "../../src/cli/plug-ins.ts";
import { checkMethod } from "../../src/conformance/suite.ts";
import { runCli } from "./run-cli.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-new-method-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The file as the package would have it, with imports that lead to the package from anywhere. */
async function placed(name: string): Promise<string> {
  const file = join(folder, `${name}.ts`);
  const text = await methodText(name, "package");
  const source = (path: string): string => `"${pathToFileURL(resolve("src", path)).href}"`;
  const zod = pathToFileURL(resolve("node_modules/zod/index.js")).href;
  writeFileSync(
    file,
    text
      .replace(/"\.\.\/\.\.\/src\/([^"]+)"/g, (_, path: string) => source(path))
      .replace('"zod"', `"${zod}"`),
  );
  return file;
}

describe("new-method", () => {
  it("writes two files into a folder of the user's, and nothing else", async () => {
    const out = join(folder, "mine");
    const { code, stdout } = await runCli(["new-method", "low-rank-gate", "--out", out, "--json"]);
    expect(code).toBe(0);
    const files = ["low-rank-gate.test.ts", "low-rank-gate.ts"];
    expect(readdirSync(out).sort()).toEqual(files);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      name: "low-rank-gate",
      files: files.map((file) => join(out, file)).reverse(),
    });
    const [test, method] = files.map((file) => readFileSync(join(out, file), "utf8"));
    expect(method).toContain('from "peft-compile/extend"');
    expect(test).toContain('import lowRankGate from "./low-rank-gate.ts"');
  });

  it("leaves alone what is there", async () => {
    const out = join(folder, "there");
    await runCli(["new-method", "gate", "--out", out]);
    rmSync(join(out, "gate.ts"));
    const { code, stdout } = await runCli(["new-method", "gate", "--out", out, "--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: "E_METHOD_EXISTS", place: join(out, "gate.test.ts") },
    });
    expect(existsSync(join(out, "gate.ts"))).toBe(false);
  });

  it.each([
    ["lora", "E_METHOD_EXISTS"],
    ["adamw", "E_METHOD_EXISTS"],
    ["Gate", "E_METHOD_NAME"],
    ["low_rank", "E_METHOD_NAME"],
    ["-gate", "E_METHOD_NAME"],
    ["../gate", "E_METHOD_NAME"],
    ["class", "E_METHOD_NAME"],
  ])("refuses %s with %s", async (name, expected) => {
    const { code, stdout } = await runCli(["new-method", "--out", folder, "--json", "--", name]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: expected } });
  });

  it.each(["package", "outside"] as const)("is formatted and linted as the %s asks for", async (place) => {
    for (const [file, text] of [
      ["passes/adapters/low-rank-gate.ts", await methodText("low-rank-gate", place)],
      ["test/adapters/low-rank-gate.test.ts", await testText("low-rank-gate", place)],
    ] as const) {
      const { status, stdout } = spawnSync(
        process.execPath,
        ["node_modules/@biomejs/biome/bin/biome", "check", "--write", `--stdin-file-path=${file}`],
        { input: text, encoding: "utf8" },
      );
      expect(stdout).toBe(text);
      expect(status).toBe(0);
    }
  });

  it("works as it is", { timeout: 300_000 }, async () => {
    await usePlugIns([await placed("low-rank-gate")]);
    const method = findAdapter("low-rank-gate", []);
    if (method === undefined) throw new Error("the method is not known");
    const { passed } = await checkMethod(method, { extent: "first" });
    expect(passed).toBeGreaterThan(10);
  });
});
