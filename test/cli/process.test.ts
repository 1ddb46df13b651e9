/** The command as a process: streams, exit codes, readers that close early. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "peft-process-"));
afterAll(() => rmSync(folder, { recursive: true }));
const script = fileURLToPath(new URL("../../src/cli.ts", import.meta.url));
const command = [process.execPath, "--import", "tsx", script];

function spawn(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const [program = "", ...before] = command;
  return spawnSync(program, [...before, ...args], {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
}

describe("the process", () => {
  it("ends with 0, and 1, 2 and 70 where that is deserved", () => {
    expect(spawn("--version")).toMatchObject({
      status: 0,
      stderr: "",
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
    expect(spawn("inspect", "/nowhere.onnx").status).toBe(1);
    expect(spawn("inspect").status).toBe(2);
    const model = join(folder, "m.onnxtxt");
    writeFileSync(
      model,
      `<ir_version: 10, opset_import: ["" : 20]> f (float x) => (float y) { y = Relu (x) }`,
    );
    const pass = join(folder, "broken.mjs");
    const define = JSON.stringify(new URL("../../src/pass/define.ts", import.meta.url).href);
    writeFileSync(
      pass,
      `import { definePass } from ${define}; import { z } from ${JSON.stringify(import.meta.resolve("zod"))};
       export default definePass({ name: "broken", summary: "s", options: z.strictObject({}), statistics: {},
         run: () => undefined.nothing });`,
    );
    const args = ["opt", model, "--use", pass, "--pipeline", "broken"];
    const bug = spawn(...args);
    expect(bug).toMatchObject({ status: 70, stdout: "" });
    expect(bug.stderr).toMatch(/^internal: pass "broken" failed: Cannot read properties of undefined/);
    const json = spawn(...args, "--json");
    expect(json.status).toBe(70);
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, error: { code: "internal" } });
  });

  it("does not mind a reader that closes early", () => {
    const line = `${command.map((part) => `'${part}'`).join(" ")} ops --json | head -n 1`;
    const { status, stdout, stderr } = spawnSync("bash", ["-o", "pipefail", "-c", line], {
      encoding: "utf8",
    });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "{\n", stderr: "" });
  });
});
