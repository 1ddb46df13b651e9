/** `analyze` on real models: figures that can be worked out by hand, tables that fit, and refusals. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { runCli, runJson } from "./run-cli.ts";

const model = "fixtures/models/stories260k/model.onnx";
const folder = mkdtempSync(join(tmpdir(), "peft-analyze-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function analyze<T>(...args: string[]): Promise<T> {
  const { code, document, stderr } = await runJson(["analyze", ...args]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return document as T;
}

describe("analyze", () => {
  it("counts the products of a step as 2 M K N each", async () => {
    // Llama of 5 layers: hidden 64, 8 heads and 4 of keys, feed-forward 172, 512 words; LoRA of rank 8 on q, k, v, o.
    const [batch, seq, hidden, layers, rank] = [4, 32, 64, 5, 8];
    const linears = [
      ...[
        [64, 64],
        [64, 32],
        [64, 32],
        [64, 64],
      ],
      ...[
        [64, 172],
        [64, 172],
        [172, 64],
      ],
    ];
    const tokens = batch * seq;
    const products = linears.reduce((sum, [i = 0, o = 0]) => sum + 2 * tokens * i * o, 0);
    const thin = linears.slice(0, 4).reduce((sum, [i = 0, o = 0]) => sum + 2 * tokens * rank * (i + o), 0);
    const forward = layers * (products + thin + 4 * batch * seq * seq * hidden) + 2 * tokens * hidden * 512;
    const { flops } = await analyze<{ flops: Record<string, number> }>(
      ...["flops", model, "--target", "q_proj,k_proj,v_proj,o_proj", "--batch", "4", "--seq", "32"],
      ...["--disable", "split-causal"],
    );
    expect(Math.abs((flops.forward ?? 0) - forward)).toBeLessThan(0.01 * forward);
    expect(flops.backward).toBeGreaterThan(forward);
    expect(flops.backward).toBeLessThan(1.5 * forward);
  });

  it("counts what is trained, saved and kept by the optimizer", async () => {
    const found = await analyze("params", model, "--target", "q_proj", "--r", "4");
    // Five layers of A [4, 64] and B [64, 4]; two moments of each, and the number of the step.
    expect(found).toMatchObject({ trainable: 2560, checkpoint: 10240, state: 2 * 10240 + 8 });
  });

  it("shows memory within 80 columns, and as a picture", async () => {
    const svg = join(folder, "memory.svg");
    const { stdout, code } = await runCli([
      "analyze",
      "memory",
      model,
      "--batch",
      "2",
      "--seq",
      "16",
      "--svg",
      svg,
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/growth +[\d.]+ .?B from the opened graph/);
    expect(Math.max(...stdout.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(80);
    expect(readFileSync(svg, "utf8")).toMatch(/^<svg.*forward.*backward.*<\/svg>\n$/s);
  });

  it("grows with the batch", async () => {
    const at = (batch: string) =>
      analyze<{ peak: number }>("memory", model, "--batch", batch, "--seq", "64").then(({ peak }) => peak);
    const [one, four] = [await at("1"), await at("4")];
    expect(four / one).toBeGreaterThan(3);
    expect(four / one).toBeLessThan(4.1);
  });

  it("compares methods, and says which of them do not take the model", async () => {
    const { methods } = await analyze<{ methods: Record<string, unknown>[] }>(
      ...["params", model, "--methods", "lora,ia3,shira", "--seq", "16"],
    );
    expect(methods.map(({ method }) => method)).toEqual(["lora", "ia3", "shira"]);
    expect(methods[0]).toMatchObject({ trainable: expect.any(Number), peak: expect.any(Number) });
    expect(methods[0]?.trainable).not.toBe(methods[1]?.trainable);
  });

  it("estimates the exchange of gradients among ranks", async () => {
    const { ranks } = await analyze<{ ranks: { ranks: number; bytes: number; seconds: number }[] }>(
      ...["comm", model, "--target", "q_proj", "--r", "4", "--bandwidth", "1", "--latency", "100"],
    );
    // Two messages of half the vector: 2 x 100 us and 10,240 bytes at 1 GB/s.
    expect(ranks[0]?.ranks).toBe(2);
    expect(ranks[0]?.bytes).toBe(10240);
    expect(ranks[0]?.seconds).toBeCloseTo(200e-6 + 10240e-9, 12);
  });

  it.each([[[]], [["memory"]], [["speed", model]]])("refuses %j with its usage", async (args) => {
    const { code, stderr } = await runCli(["analyze", ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain("one of memory, flops, params, comm");
  });
});
