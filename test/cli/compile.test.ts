/** `compile`: from options to an artifact, what it says, and what it refuses. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { manifestSchema } from "../../src/artifact/manifest.ts";
import { readModel } from "../../src/onnx/read.ts";
import { writeModel } from "../../src/onnx/write.ts";
import { runCli, runJson } from "./run-cli.ts";

const oracles = resolve(process.env.PEFT_ORACLES ?? "fixtures/oracles");
const folder = mkdtempSync(join(tmpdir(), "peft-compile-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string): string => join(folder, name);
copyFileSync(join(oracles, "models", "bert", "model.onnx"), path("bert.onnx"));
copyFileSync(join(oracles, "models", "llama", "model-dynamo.onnx"), path("llama.onnx"));

const headOnly = `<ir_version: 10, opset_import: ["" : 20]>
f (float[batch,3] x) => (float[batch,2] logits) <float[3,2] "head.weight" = {1,2,3,4,5,6}> {
  logits = MatMul (x, "head.weight")
}
`;

const manifestOf = (artifact: string): z.output<typeof manifestSchema> =>
  manifestSchema.parse(JSON.parse(readFileSync(join(artifact, "manifest.json"), "utf8")));

describe("compile", () => {
  it("is what a model without a verb asks for, beside which the artifact is put", async () => {
    const { code, stdout, stderr } = await runCli([path("bert.onnx")]);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\S+bert\.peft\n/);
    expect(stdout).toMatch(/^ {2}task +seq-cls: it yields 3 scores a row$/m);
    expect(stdout).toMatch(/^ {2}method +lora on 13 modules: /m);
    expect(stdout).toMatch(/^ {2}trainable +[\d,]+ of [\d,]+ parameters, [\d.]+ %$/m);
    expect(
      Math.max(
        ...stdout
          .split("\n")
          .slice(1, -2)
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(80);
    const manifest = manifestOf(path("bert.peft"));
    expect(manifest.method).toMatchObject({ name: "lora", options: { r: 8, target_modules: "all-linear" } });
    expect(manifest.optimizer.name).toBe("adamw");
  });

  it("takes every part of a request", async () => {
    const out = path("full");
    const { code, document, stderr } = await runJson([
      ...["compile", path("bert.onnx"), "-o", out, "--method", "lora", "--rank", "4", "--alpha", "16"],
      ...["--use-rslora", "--init-lora-weights", "gaussian", "--lora-dropout=0.1", "--target", "query,value"],
      ...["--rank-pattern", '{"value": 2}', "--modules-to-save", "none", "--task", "seq-cls"],
      ...["--loss", "cross-entropy{label_smoothing=0.1 labels=y}", "--optimizer", "sgd{lr=0.1 momentum=0.9}"],
      ...["--schedule", "cosine{warmup=2, total=30}", "--clip", "1", "--accumulate", "2", "--seed", "7"],
      ...["--precision", "fp32", "--provider", "cpu", "--weights", "copy", "--hash", "full"],
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(document).toMatchObject({
      ok: true,
      artifact: out,
      task: { name: "seq-cls" },
      loss: { name: "cross-entropy", options: { label_smoothing: 0.1, labels: "y" } },
      saved: [],
    });
    const { method, optimizer, source, graphs, seed } = manifestOf(out);
    expect(method.options).toMatchObject({
      r: 4,
      lora_alpha: 16,
      use_rslora: true,
      init_lora_weights: "gaussian",
      lora_dropout: 0.1,
      target_modules: ["query", "value"],
      rank_pattern: { value: 2 },
    });
    expect(method.sites.map((site) => site.path.split(".").at(-1))).toEqual([
      "query",
      "value",
      "query",
      "value",
    ]);
    expect(optimizer).toMatchObject({
      name: "sgd",
      options: { lr: 0.1, momentum: 0.9 },
      schedule: { kind: "cosine", warmup: 2, total: 30 },
      clip: 1,
      accumulate: 2,
    });
    expect(source).toMatchObject({ weights: "copy", folder: "." });
    expect(source.files.every(({ hash }) => hash === "full")).toBe(true);
    expect(graphs.train.inputs.find(({ role }) => role === "label")?.field).toBe("y");
    expect(seed).toBe(7);
  });

  it("keeps what the task adds to its loss", async () => {
    const args = [
      "compile",
      path("llama.onnx"),
      "-o",
      path("lm"),
      "--loss",
      "cross-entropy{label_smoothing=0.1}",
    ];
    expect((await runJson(args)).document).toMatchObject({
      task: { name: "causal-lm", reason: expect.stringContaining("128 columns") },
      loss: { options: { shift: true, label_smoothing: 0.1 } },
    });
  });

  it("starts from an adapter of PEFT", async () => {
    const adapter = join(oracles, "cases", "bert", "lora");
    const args = [
      "compile",
      path("bert.onnx"),
      "-o",
      path("adapter"),
      "--adapter",
      adapter,
      "--modules-to-save",
      "none",
    ];
    expect((await runJson(args)).code).toBe(0);
    const config = JSON.parse(readFileSync(join(adapter, "adapter_config.json"), "utf8"));
    expect(manifestOf(path("adapter")).method.options).toMatchObject({
      r: config.r,
      lora_alpha: config.lora_alpha,
    });
    const conflict = await runCli([...args, "--method", "ia3"]);
    expect(conflict.code).toBe(1);
    expect(conflict.stderr).toMatch(/^E_CONFLICT /);
  });

  it("reads configuration files, which options go before", async () => {
    const settings = { model: path("bert.onnx"), output: path("conf"), task: "seq-cls", clip: 2, seed: 3 };
    const method = { name: "lora", options: { r: 2, target_modules: ["query"] } };
    writeFileSync(path("config.json"), JSON.stringify({ ...settings, method }));
    expect(
      (await runJson(["compile", "--config", path("config.json"), "--clip", "5", "--r", "3"])).code,
    ).toBe(0);
    const { method: made, optimizer, seed } = manifestOf(path("conf"));
    expect(made.options).toMatchObject({ r: 3, target_modules: ["query"] });
    expect({ clip: optimizer.clip, seed }).toEqual({ clip: 5, seed: 3 });

    writeFileSync(
      path("config.mjs"),
      `export default ${JSON.stringify({ ...settings, method, precison: "bf16" })};`,
    );
    const typo = await runCli(["compile", "--config", path("config.mjs")]);
    expect(typo.code).toBe(1);
    expect(typo.stderr).toContain('did you mean "precision"?');
    writeFileSync(path("list.json"), "[]");
    expect((await runCli(["compile", "--config", path("list.json")])).stderr).toMatch(/^E_CONFIG /);
    writeFileSync(path("broken.json"), "{");
    expect((await runCli(["compile", "--config", path("broken.json")])).stderr).toMatch(/^E_CONFIG /);
  });

  it.each([
    [
      ["--target", "query,value"],
      ["query", "value"],
    ],
    [["--target", "layer.0.attention.self.query"], ["query"]],
    [
      ["--target", ".*layer\\.0.*\\.(query|key)"],
      ["query", "key"],
    ],
    [["--target", "re:classifier"], ["classifier"]],
    [
      ["--target", "query,key,value", "--exclude", "key"],
      ["query", "value"],
    ],
  ])("chooses modules by %j", async (args, expected) => {
    const { document } = await runJson([
      "compile",
      path("bert.onnx"),
      "-o",
      path("chosen"),
      "--modules-to-save",
      "none",
      ...args,
    ]);
    const { sites } = z.object({ sites: z.array(z.object({ path: z.string() })) }).parse(document);
    expect([...new Set(sites.map((site) => site.path.split(".").at(-1)))]).toEqual(expected);
  });

  it.each([
    [["--lora-alhpa", "3"], 2, "E_UNKNOWN_OPTION", 'did you mean "--lora-alpha"?'],
    [["--taks", "seq-cls"], 2, "E_UNKNOWN_OPTION", 'did you mean "--task"?'],
    [["--r"], 2, "E_USAGE", "lacks its value"],
    [["--precision", "int8"], 2, "E_BAD_OPTION", "one of fp32, fp16, bf16"],
    [["--accumulate", "0"], 2, "E_BAD_OPTION", "a whole number >= 1"],
    [["other.onnx"], 2, "E_USAGE", "one model at a time"],
    [["--r", "0"], 1, "E_BAD_OPTION", ">=1"],
    [["--init-lora-weights", "ones"], 1, "E_BAD_OPTION", "init_lora_weights"],
    [["--method", "lroa"], 1, "E_METHOD_UNKNOWN", "lora"],
    [["--target", "querry"], 1, "E_TARGET_NOT_FOUND", "query"],
    [["--optimizer", "adamv"], 1, "E_OPTIMIZER_UNKNOWN", "adamw"],
    [["--optimizer", "sgd{beta2=1}"], 1, "E_UNKNOWN_OPTION", "beta2"],
    [["--schedule", "cosin"], 1, "E_BAD_OPTION", "cosin"],
    [["--loss", "cross-entropi"], 1, "E_LOSS_UNKNOWN", "cross-entropy"],
    [["--loss", "mse{"], 1, "E_PIPELINE_SYNTAX", "<here>"],
    [["--adapter", "/nowhere"], 1, "E_PEFT_FILE_MISSING", "/nowhere"],
    [["--config", "/nowhere.json"], 1, "E_FILE_READ", "/nowhere.json"],
  ])("refuses %j", async (args, code, error, words) => {
    const result = await runCli(["compile", path("bert.onnx"), "-o", path("refused"), ...args]);
    expect(result.stdout).toBe("");
    expect(result.stderr).toMatch(new RegExp(`^${error} `));
    expect(result.stderr).toContain(words);
    expect(result.code).toBe(code);
    expect(existsSync(path("refused"))).toBe(false);
  });

  it("shows the options of the method that is asked for", async () => {
    expect((await runCli(["compile", "--help"])).stdout).toMatch(
      /Options of --method lora:\n {2}--r, --rank /,
    );
    const ia3 = (await runCli(["compile", "--method", "ia3", "--help"])).stdout;
    expect(ia3).toContain("Options of --method ia3:");
    expect(ia3).toContain("--feedforward-modules");
    expect(ia3).not.toContain("--lora-alpha");
  });

  it("takes methods from files", async () => {
    const lora = JSON.stringify(new URL("../../passes/adapters/lora.ts", import.meta.url).href);
    writeFileSync(path("mine.mjs"), `import lora from ${lora}; export default { ...lora, name: "mine" };`);
    const args = [
      "compile",
      path("bert.onnx"),
      "-o",
      path("mine"),
      "--use",
      path("mine.mjs"),
      "--method",
      "mine",
    ];
    expect((await runJson(args)).document).toMatchObject({ ok: true });
    expect(manifestOf(path("mine")).method.use).toBe(path("mine.mjs"));
  });

  it("adapts the head where there is nothing else, although its task would train it whole", async () => {
    writeFileSync(path("head.onnxtxt"), headOnly);
    const { code, document } = await runJson(["compile", path("head.onnxtxt")]);
    expect(code).toBe(0);
    expect(document).toMatchObject({
      artifact: path("head.peft"),
      task: { name: "seq-cls" },
      sites: [{ path: "head" }],
      saved: [],
      remarks: expect.arrayContaining([expect.stringContaining("only the head is left")]),
    });
    const merged = await runCli(["merge", path("head.peft"), "-o", path("head-merged.onnxtxt")]);
    expect(merged.stderr).toBe("");
    expect(readFileSync(path("head-merged.onnxtxt"), "utf8")).toContain("MatMul");
  });

  it.each(["copy", "link"])("makes the folder whole with --weights %s", async (weights) => {
    const source = path(`source-${weights}`);
    mkdirSync(source);
    await writeModel(readModel(path("bert.onnx")), join(source, "m.onnx"), { weights: "external" });
    const out = path(`whole-${weights}`);
    const args = ["compile", join(source, "m.onnx"), "-o", out, "--weights", weights];
    expect((await runJson(args)).code).toBe(0);
    rmSync(source, { recursive: true });
    expect(existsSync(join(out, "m.onnx.data"))).toBe(true);
    expect((await runCli(["merge", out, "-o", path("w.onnx")])).stderr).toBe("");
  });

  it("never writes over the model", async () => {
    const source = path("clash");
    mkdirSync(source);
    copyFileSync(path("bert.onnx"), join(source, "train.onnx"));
    const before = readFileSync(join(source, "train.onnx"));
    for (const args of [
      ["-o", source],
      ["-o", path("other"), "--weights", "copy"],
    ]) {
      const result = await runCli(["compile", join(source, "train.onnx"), ...args]);
      expect(result.code).toBe(1);
      expect(result.stderr).toMatch(/^E_ARTIFACT_CLASH /);
    }
    expect(readFileSync(join(source, "train.onnx")).equals(before)).toBe(true);
  });
});
