/** `merge` and `export`, against what PEFT itself computed with the same adapter; `doctor`. */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkCuda } from "../../src/cli/doctor-checks.ts";
import { readModel } from "../../src/onnx/read.ts";
import type { NDArray } from "../../src/ops/ndarray.ts";
import { writeCheckpoint } from "../../src/runtime/checkpoint.ts";
import { Trainer } from "../../src/runtime/trainer.ts";
import { readOnnxAdapter } from "../harness/onnx-adapter.ts";
import { runModel } from "../harness/runtime.ts";
import { oracleRoot, readArrays } from "../oracle/oracle-set.ts";
import { runCli, runJson } from "./run-cli.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-trained-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string): string => join(folder, name);
const oracle = join(oracleRoot, "cases", "bert", "lora");

/** Logits of a model on the first batch of the reference data. */
async function logitsOf(file: string): Promise<NDArray> {
  const model = readModel(file);
  const io = readArrays(join(oracleRoot, "models", "bert", "io.safetensors"));
  const feeds = new Map(
    model.graph.inputs.flatMap((input) => {
      const array = io.get(`batch0.${input.name}`);
      return array === undefined ? [] : [[input, array] as const];
    }),
  );
  const [logits] = await runModel(model, feeds);
  if (logits === undefined) throw new Error("no logits");
  return logits;
}

function largestDifference(a: NDArray, b: NDArray): number {
  expect(a.shape).toEqual(b.shape);
  const other = Array.from(b.data, Number);
  return Math.max(
    ...Array.from(a.data, Number).map((value, i) => Math.abs(value - (other[i] ?? Number.NaN))),
  );
}

beforeAll(async () => {
  copyFileSync(join(oracleRoot, "models", "bert", "model.onnx"), path("bert.onnx"));
  const args = ["compile", path("bert.onnx"), "--adapter", oracle, "-o", path("bert.peft")];
  expect((await runCli(args)).code).toBe(0);
});

describe("merge", () => {
  it("gives the logits that PEFT has with the adapter beside the weights", async () => {
    const { code, stdout, stderr } = await runCli(["merge", path("bert.peft"), "-o", path("merged.onnx")]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(
      /merged\.onnx {2}lora merged into 11 modules, not trained: these are the starting values\n$/,
    );
    const wanted = readArrays(join(oracle, "expected.safetensors")).get("logits");
    if (wanted === undefined) throw new Error("the case has no logits");
    expect(largestDifference(await logitsOf(path("merged.onnx")), wanted)).toBeLessThan(1e-4);
    expect(largestDifference(await logitsOf(path("bert.onnx")), wanted)).toBeGreaterThan(1e-2);
  });

  it("keeps the graph, its opset and its nodes", async () => {
    const [source, merged] = [readModel(path("bert.onnx")), readModel(path("merged.onnx"))];
    expect(merged.opset).toBe(source.opset);
    const ops = (model: typeof source): string[] => [...model.graph.nodes()].map(({ op }) => op);
    expect(ops(merged)).toEqual(ops(source));
  });

  it("takes the newest checkpoint, or the one that is named", async () => {
    const trainer = await Trainer.open(path("bert.peft"), { threads: 1 });
    const record = { seed: 0, totalSteps: 5, cursor: null, labelNames: null, metricsBytes: 0 };
    try {
      for (const step of [1, 5]) {
        await writeCheckpoint(path("bert.peft"), { ...record, step }, (file) => trainer.saveState(file));
      }
    } finally {
      await trainer.close();
    }
    const newest = await runJson(["merge", path("bert.peft"), "-o", path("m5.onnx")]);
    expect(newest.document).toMatchObject({
      ok: true,
      output: path("m5.onnx"),
      method: "lora",
      modules: 11,
      step: 5,
    });
    const named = await runJson([
      "merge",
      path("bert.peft"),
      "-o",
      path("m1.onnx"),
      "--checkpoint",
      "step-1",
    ]);
    expect(named.document).toMatchObject({ step: 1 });
    const absent = await runCli(["merge", path("bert.peft"), "-o", path("m.onnx"), "--checkpoint", "step-7"]);
    expect(absent).toMatchObject({ code: 1, stdout: "" });
    expect(absent.stderr).toMatch(/^E_CHECKPOINT /);
  });

  it("refuses folders that are no artifacts", async () => {
    const { code, stderr } = await runCli(["merge", folder, "-o", path("x.onnx")]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^E_ARTIFACT_MISSING /);
  });
});

describe("export", () => {
  it("writes the folder that PEFT wrote, tensor by tensor", async () => {
    const { code } = await runCli(["export", path("bert.peft"), "--format", "peft", "-o", path("adapter")]);
    expect(code).toBe(0);
    const theirs = readArrays(join(oracle, "adapter_model.safetensors"));
    const ours = readArrays(path("adapter/adapter_model.safetensors"));
    expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
    for (const [key, array] of theirs) expect(largestDifference(ours.get(key) ?? array, array)).toBe(0);
    const read = (file: string): Record<string, unknown> => JSON.parse(readFileSync(file, "utf8"));
    const [mine, reference] = [
      read(path("adapter/adapter_config.json")),
      read(join(oracle, "adapter_config.json")),
    ];
    for (const field of ["peft_type", "r", "lora_alpha", "bias", "use_rslora"]) {
      expect(mine[field]).toEqual(reference[field]);
    }
  });

  it("can be compiled again", async () => {
    const args = ["compile", path("bert.onnx"), "--adapter", path("adapter"), "-o", path("again.peft")];
    expect((await runJson(args)).code).toBe(0);
  });

  it("writes the merged model, too", async () => {
    await runCli(["export", path("bert.peft"), "--format", "onnx"]);
    expect(
      largestDifference(await logitsOf(path("bert.peft/merged.onnx")), await logitsOf(path("merged.onnx"))),
    ).toBe(0);
    expect((await runCli(["export", path("bert.peft"), "--format", "gguf"])).code).toBe(2);
  });

  it("writes a model that takes the adapter as inputs, and what feeds them", async () => {
    const target = path("adapted.onnx");
    const { document } = await runJson([
      "export",
      path("bert.peft"),
      "--format",
      "onnx-adapter",
      "-o",
      target,
    ]);
    expect(document).toMatchObject({ ok: true, files: [target, path("adapted.onnx_adapter")] });
    const model = readModel(target);
    const io = readArrays(join(oracleRoot, "models", "bert", "io.safetensors"));
    const parameters = readOnnxAdapter(path("adapted.onnx_adapter")).parameters;
    const feeds = new Map(
      model.graph.inputs.map((input) => {
        const array = parameters.get(input.name) ?? io.get(`batch0.${input.name}`);
        if (array === undefined) throw new Error(`nothing feeds ${input.name}`);
        input.initializer = undefined;
        return [input, array] as const;
      }),
    );
    const [logits] = await runModel(model, feeds);
    const wanted = readArrays(join(oracle, "expected.safetensors")).get("logits");
    if (wanted === undefined || logits === undefined) throw new Error("no logits");
    // Two for each of 11 modules, and the weight and bias of the head.
    expect(parameters.size).toBe(24);
    expect(largestDifference(logits, wanted)).toBeLessThan(1e-4);
    expect(largestDifference(await logitsOf(target), await logitsOf(path("bert.onnx")))).toBeLessThan(1e-4);
    const stream = await runCli(["export", path("bert.peft"), "--format", "onnx-adapter", "-o", "-"]);
    expect(stream).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("doctor", () => {
  it("trains one step and says what else there is", async () => {
    const { code, document, stderr } = await runJson(["doctor", "--threads", "1"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(document).toMatchObject({
      ok: true,
      checks: [
        { name: "Node", status: "ok" },
        { name: "peft-compile", status: "ok" },
        { name: "ONNX Runtime", status: "ok", detail: expect.stringContaining("cpu") },
        { name: "CUDA" },
        { name: "writing", status: "ok" },
        { name: "self test", status: "ok", detail: expect.stringMatching(/loss [\d.]+ -> [\d.]+$/) },
      ],
    });
    expect(readdirSync(".").filter((name) => name.startsWith(".peft-compile-doctor"))).toEqual([]);
  });

  it("says how to get the libraries of CUDA that are missing or hidden", () => {
    const fact = { name: "libcudnn.so.9", part: "cuDNN 9", path: undefined, loads: false } as const;
    const found = {
      name: "libcudart.so.12",
      part: "CUDA 12",
      path: "/usr/lib64/libcudart.so.12",
      loads: true,
    } as const;
    const hidden = { ...found, path: "/opt/cuda/lib64/libcudart.so.12", loads: false };
    expect(checkCuda([found])).toMatchObject({ status: "ok" });
    expect(checkCuda([found, fact])).toMatchObject({
      status: "absent",
      detail: "missing: libcudnn.so.9",
      fix: "install cuDNN 9 for CUDA 12",
    });
    expect(checkCuda([hidden])).toMatchObject({ fix: "add /opt/cuda/lib64 to LD_LIBRARY_PATH" });
    expect(checkCuda([])).toMatchObject({ status: "absent" });
  });
});
