/** `passes`, `methods` and `ops`: every record is listed, explained, and given to programs. */
import { describe, expect, it } from "vitest";
import { adapters } from "../../passes/adapters/index.ts";
import { passes } from "../../passes/index.ts";
import { losses } from "../../passes/losses/index.ts";
import { optimizers } from "../../passes/optimizers/index.ts";
import { allOps } from "../../src/ops/registry.ts";
import { runCli, runJson } from "./run-cli.ts";

describe("passes", () => {
  it("lists every pass", async () => {
    const { code, stdout } = await runCli(["passes"]);
    expect(code).toBe(0);
    for (const { name } of passes) expect(stdout).toMatch(new RegExp(`^ {2}${name}( |$)`, "m"));
    const { document } = await runJson(["passes"]);
    expect(document).toMatchObject({
      ok: true,
      passes: passes.map(({ name, summary }) => ({ name, summary })),
    });
  });

  it("explains one", async () => {
    const { stdout } = await runCli(["passes", "cse"]);
    expect(stdout).toContain("Options\n  scalars  true or false, default false\n");
    expect(stdout).toMatch(/Statistics\n {2}nodes +\w/);
    const { document } = await runJson(["passes", "cse"]);
    expect(document).toMatchObject({
      ok: true,
      pass: { name: "cse", options: [{ name: "scalars", default: false }] },
    });
  });

  it("suggests names", async () => {
    const { code, stderr } = await runCli(["passes", "cannonicalize"]);
    expect(code).toBe(1);
    expect(stderr).toContain('did you mean "canonicalize"?');
  });
});

describe("methods", () => {
  it("lists methods, optimizers and losses", async () => {
    const { stdout } = await runCli(["methods"]);
    for (const { name } of [...adapters, ...optimizers, ...losses]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name}( |$)`, "m"));
    }
    const { document } = await runJson(["methods"]);
    expect(document).toMatchObject({
      ok: true,
      methods: adapters.map(({ name, formula }) => ({ name, formula })),
      optimizers: optimizers.map(({ name }) => ({ name })),
      losses: losses.map(({ name }) => ({ name })),
    });
  });

  it.each(adapters.map((adapter) => [adapter.name, adapter] as const))(
    "explains %s",
    async (name, adapter) => {
      const { stdout } = await runCli(["methods", name]);
      for (const option of Object.keys(adapter.options.shape)) {
        expect(stdout).toMatch(new RegExp(`^ {2}${option}  \\S`, "m"));
      }
      expect(stdout.replace(/\s+/g, " ")).toContain(adapter.formula.replace(/\s+/g, " "));
      expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    },
  );

  it("says bounds and defaults", async () => {
    const { stdout } = await runCli(["methods", "lora"]);
    expect(stdout).toContain("  r  whole number >= 1, default 8\n");
    expect(stdout).toContain("  lora_dropout  number >= 0, < 1, default 0\n");
  });

  it("explains an optimizer and a loss", async () => {
    expect((await runJson(["methods", "adamw"])).document).toMatchObject({
      ok: true,
      optimizer: { name: "adamw" },
    });
    expect((await runJson(["methods", "mse"])).document).toMatchObject({ ok: true, loss: { name: "mse" } });
  });
});

describe("ops", () => {
  it("lists every operator with its gradient", async () => {
    const { stdout } = await runCli(["ops"]);
    expect(stdout).toMatch(/^ {2}Sigmoid +1 {2}follow +rule$/m);
    expect(stdout).toMatch(/^ {2}Sign +9 {2}follow +zero almost everywhere$/m);
    const { document } = await runJson(["ops"]);
    expect(document).toMatchObject({ ok: true });
    const { ops } = document as { ops: unknown[] };
    expect(ops).toHaveLength(allOps().length);
    const answers = [
      { name: "Sigmoid", gradient: "yes", gradientKind: "vjp" },
      { name: "Sign", gradient: "zero", gradientKind: "zero", reason: expect.stringContaining("constant") },
      { name: "Bernoulli", gradient: "none", gradientKind: "none", reason: expect.stringContaining("draw") },
    ];
    for (const answer of answers) expect(ops).toContainEqual(expect.objectContaining(answer));
  });

  it("explains one under either name of its domain, and suggests others", async () => {
    const { stdout } = await runCli(["ops", "Softmax"]);
    expect(stdout).toContain("axis  int, default -1");
    expect((await runCli(["ops", "ai.onnx.Softmax"])).stdout).toBe(stdout);
    const { code, stderr } = await runCli(["ops", "softmax"]);
    expect(code).toBe(1);
    expect(stderr).toContain('did you mean "Softmax"?');
  });
});
