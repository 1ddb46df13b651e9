/** `attach` on the command line: the model that it writes, and how it refuses. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readModel } from "../../src/onnx/read.ts";
import { oracleRoot } from "../oracle/oracle-set.ts";
import { runCli, runJson } from "./run-cli.ts";

const root = mkdtempSync(join(tmpdir(), "attach-cli-"));
afterAll(() => rmSync(root, { recursive: true }));
const model = join(oracleRoot, "models", "llama", "model.onnx");
const place = join(oracleRoot, "cases", "llama", "lora-two-adapters");
const both = ["--adapter", `fr=${join(place, "first")}`, "--adapter", join(place, "second")];

describe("attach", () => {
  it("writes a model that chooses by row, and says what the numbers mean", async () => {
    const out = join(root, "rows.onnx");
    const { code, document } = await runJson(["attach", model, ...both, "-o", out]);
    expect(code).toBe(0);
    expect(document).toMatchObject({ ok: true, input: "adapter_names", names: ["__base__", "fr", "second"] });
    const inputs = readModel(out).graph.inputs.map(({ name }) => name);
    expect(inputs).toEqual(["input_ids", "attention_mask", "adapter_names"]);
  });

  it.each([
    ["fr,second", ["fr", "second"]],
    ["__base__", []],
  ])("--active %s", async (text, active) => {
    const out = join(root, "active.onnx");
    const { document } = await runJson(["attach", model, ...both, "--active", text, "-o", out]);
    expect(document).toMatchObject({ ok: true, active });
    expect(readModel(out).graph.inputs.map(({ name }) => name)).not.toContain("adapter_names");
  });

  it.each([
    [[model, "-o", join(root, "x.onnx")], 2, "--adapter"],
    [[model, ...both], 2, "-o"],
    [[model, ...both, "--active", "de", "-o", join(root, "x.onnx")], 1, "de"],
  ] as const)("%j ends with %i", async (args, code, text) => {
    const result = await runCli(["attach", ...args]);
    expect(result.code).toBe(code);
    expect(result.stderr).toContain(text);
  });
});
