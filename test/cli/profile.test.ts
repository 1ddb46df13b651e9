/** `train --profile`: every node is put down to its module and phase, times add up, and tables fit. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Manifest } from "../../src/artifact/manifest.ts";
import type { CompileRequest } from "../../src/compile/request.ts";
import type { ModuleShare, OperatorShare } from "../../src/compile/step-profile.ts";
import { makeArtifact } from "../runtime/artifact.ts";
import { runCli, runJson } from "./run-cli.ts";

interface Profile {
  readonly updates: number;
  readonly ms: number;
  readonly operators: readonly OperatorShare[];
  readonly modules: readonly ModuleShare[];
}

interface Event {
  readonly name: string;
  readonly cat: string;
  readonly ph: string;
  readonly dur: number;
  readonly args: Readonly<Record<string, unknown>>;
}

async function profile(artifact: string, steps: number): Promise<{ profile: Profile; events: Event[] }> {
  const file = join(artifact, "trace.json");
  const { code, document } = await runJson([
    "train",
    artifact,
    "--data",
    "random",
    "--seq",
    "16",
    "--steps",
    String(steps),
    "--profile",
    file,
  ]);
  expect(code).toBe(0);
  return { ...(document as { profile: Profile }), events: JSON.parse(readFileSync(file, "utf8")) };
}

const models = ["oracles/models/llama/model.onnx", "oracles/models/llama/model-dynamo.onnx"];
const cases = [
  ...models.map((model): [string, CompileRequest] => [model, {}]),
  [models[0] ?? "", { recompute: "all" }] satisfies [string, CompileRequest],
  [models[0] ?? "", { stepsPerRun: 2 }] satisfies [string, CompileRequest],
  [models[0] ?? "", { accumulate: 2 }] satisfies [string, CompileRequest],
  ["oracles/models/bert/model-dynamo.onnx", {}] satisfies [string, CompileRequest],
];

describe("train --profile", () => {
  it.each(cases)("puts time down to modules and phases: %s %j", async (model, request) => {
    const method = { options: { target_modules: "all-linear" } };
    const artifact = await makeArtifact({ ...request, method }, model);
    const { profile: found, events } = await profile(artifact, 4);
    expect(found.updates).toBe(request.stepsPerRun === 2 ? 2 : 3);

    const sum = (shares: readonly { readonly ms: number }[]): number =>
      shares.reduce((total, { ms }) => total + ms, 0);
    expect(sum(found.operators)).toBeCloseTo(found.ms, 6);
    expect(sum(found.modules)).toBeCloseTo(found.ms, 6);
    // Nodes that hold bodies are counted without them: no more than the runs as a whole took.
    const runs = events.filter(({ name }) => name === "model_run");
    const whole = runs.reduce((total, { dur }) => total + dur / 1000, 0);
    expect(found.ms * found.updates).toBeLessThan(whole);

    const { method: used }: Manifest = JSON.parse(readFileSync(join(artifact, "manifest.json"), "utf8"));
    const phasesOf = (module: string): (string | null)[] =>
      found.modules.filter((share) => share.module === module).map(({ phase }) => phase);
    for (const { path } of used.sites)
      expect(phasesOf(path), path).toEqual(expect.arrayContaining(["forward", "backward"]));
    expect(phasesOf("(loss)")).toEqual(expect.arrayContaining(["forward", "backward"]));
    expect(phasesOf("(optimizer)")).toEqual(["update"]);
    // What nobody can name is what the runtime put in, and loops and branches themselves.
    const unnamed = found.modules.filter(({ module }) => /^\((added|model|method|other)/.test(module));
    const calls = (shares: readonly { readonly calls: number }[]): number =>
      shares.reduce((total, share) => total + share.calls, 0);
    expect(calls(unnamed)).toBeLessThan(0.1 * calls(found.modules));
    const products = events.filter(({ args }) => /MatMul|Gemm/.test(String(args.op_name)));
    expect(products.length).toBeGreaterThan(0);
    for (const { name, args } of products)
      expect(args, name).toMatchObject({ module: expect.any(String), phase: expect.any(String) });
  });

  it("prints tables within 80 columns, and a trace that Chrome reads", async () => {
    const artifact = await makeArtifact();
    const file = join(artifact, "trace.json");
    const { code, stdout } = await runCli(
      ["train", artifact, "--data", "random", "--steps", "2", "--profile", file],
      { columns: 80 },
    );
    expect(code).toBe(0);
    const tables = stdout.split("\n").filter((line) => line.startsWith("  "));
    expect(tables.length).toBeGreaterThan(10);
    for (const line of tables) expect(line.length).toBeLessThanOrEqual(80);
    const events: Event[] = JSON.parse(readFileSync(file, "utf8"));
    expect(new Set(events.map(({ ph }) => ph))).toEqual(new Set(["X"]));
  });

  it("refuses a place that cannot be written before it trains", async () => {
    const artifact = await makeArtifact();
    const { code, stderr } = await runCli([
      "train",
      artifact,
      "--data",
      "random",
      "--steps",
      "2",
      "--profile",
      join(artifact, "no", "t.json"),
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain("t.json");
  });
});
