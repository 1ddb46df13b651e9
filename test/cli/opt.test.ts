/** `opt`: text and binary models in and out, pipelines, and what watches them. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";
import { runCli, runJson } from "./run-cli.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-opt-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string): string => join(folder, name);

const text = printModel(
  parseModel(`<ir_version: 10, opset_import: ["" : 20]>
f (float[N,3] x) => (float[N,3] y) <
  float[3] b = {0.5, 1, 2}
> {
  h = Add (x, b)
  h2 = Identity (h)
  dead = Relu (x)
  y = Relu (h2)
}
`),
);
writeFileSync(path("in.onnxtxt"), text);

describe("opt", () => {
  it("prints a model as it was written", async () => {
    expect(await runCli(["opt", path("in.onnxtxt")])).toEqual({ code: 0, stdout: text, stderr: "" });
  });

  it("goes through the binary form and back without a change", async () => {
    expect((await runCli(["opt", path("in.onnxtxt"), "-o", path("copy.onnx")])).code).toBe(0);
    expect((await runCli(["opt", path("copy.onnx"), "-o", path("copy.onnxtxt")])).code).toBe(0);
    expect(readFileSync(path("copy.onnxtxt"), "utf8")).toBe(text);
  });

  it("runs passes in order, and counts", async () => {
    const pipeline = "canonicalize,dce";
    const { code, stdout, stderr } = await runCli([
      "opt",
      path("in.onnxtxt"),
      "--pipeline",
      pipeline,
      "--stats",
    ]);
    expect(code).toBe(0);
    expect(stdout).not.toContain("Identity");
    expect(stdout).not.toContain("dead");
    expect(stderr).toContain("canonicalize: drop-identity 1");
    expect(stderr).toContain("dce: nodes 1");
  });

  it("prints between passes to standard error only", async () => {
    const args = [
      "opt",
      path("in.onnxtxt"),
      "--pipeline",
      "dce,canonicalize",
      "--print-ir-after",
      "dce",
      "--timing",
    ];
    const { stdout, stderr } = await runCli(args);
    expect(stderr).toContain("# after dce\n");
    expect(stderr).not.toContain("# after canonicalize");
    expect(stderr).toMatch(/ms {2}total/);
    expect(stdout).toMatch(/^<ir_version: 10/);
  });

  it("reports to programs what the passes did, and the text where it has no file", async () => {
    const { document } = await runJson(["opt", path("in.onnxtxt"), "--pipeline", "dce"]);
    expect(document).toMatchObject({
      ok: true,
      changed: true,
      passes: [{ pass: "dce", changed: true, statistics: { nodes: 1 } }],
      text: expect.stringContaining("y = Relu"),
    });
    const written = await runJson(["opt", path("in.onnxtxt"), "-o", path("j.onnx")]);
    expect(written.document).toMatchObject({ ok: true, output: path("j.onnx"), changed: false });
    expect(written.document).not.toHaveProperty("text");
  });

  it("refuses unknown passes, unknown options and unknown forms of output", async () => {
    const pass = await runCli(["opt", path("in.onnxtxt"), "--pipeline", "foldd"]);
    expect(pass).toMatchObject({ code: 1, stdout: "" });
    expect(pass.stderr).toContain('did you mean "fold"?');
    const option = await runCli(["opt", path("in.onnxtxt"), "--pipeline", "cse{scalar=true}"]);
    expect(option.code).toBe(1);
    expect(option.stderr).toContain('did you mean "scalars"?');
    const form = await runCli(["opt", path("in.onnxtxt"), "-o", path("model.bin")]);
    expect(form.code).toBe(1);
    expect(form.stderr).toContain("E_OUTPUT_FORMAT");
    expect(existsSync(path("model.bin"))).toBe(false);
  });

  it("takes passes from files", async () => {
    writeFileSync(
      path("rename.mjs"),
      `import { definePass } from ${JSON.stringify(new URL("../../src/pass/define.ts", import.meta.url).href)};
       import { z } from ${JSON.stringify(import.meta.resolve("zod"))};
       export default definePass({ name: "rename", summary: "s", options: z.strictObject({}), statistics: {},
         run: (model) => { model.graph.name = "renamed"; return true; } });`,
    );
    const args = ["opt", path("in.onnxtxt"), "--use", path("rename.mjs"), "--pipeline", "rename"];
    expect((await runCli(args)).stdout).toContain("\nrenamed (");
    writeFileSync(path("nothing.mjs"), "export default 7;");
    expect((await runCli(["opt", path("in.onnxtxt"), "--use", path("nothing.mjs")])).stderr).toMatch(
      /^E_USE /,
    );
    writeFileSync(path("broken.mjs"), "throw new Error('no luck');");
    const broken = await runCli(["opt", path("in.onnxtxt"), "--use", path("broken.mjs")]);
    expect(broken).toMatchObject({ code: 1 });
    expect(broken.stderr).toContain("no luck");
  });
});
