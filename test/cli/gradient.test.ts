/** `gradient`: names, zeros, refusals and jobs; the numbers against finite differences in the runtime. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readModel } from "../../src/onnx/read.ts";
import { NDArray } from "../../src/ops/ndarray.ts";
import { runModel } from "../harness/runtime.ts";
import { runCli, runJson } from "./run-cli.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-gradient-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string): string => join(folder, name);

writeFileSync(
  path("m.onnxtxt"),
  `<ir_version: 10, opset_import: ["" : 20]>
f (float[N,3] x, float[3] b, float[2] unused, int64[N] ids) => (float[N,3] y, float[N,3] z, int64[N] k) <
  float[3] W = {0.5,-1,2}
> {
  h = Mul (x, W)
  s = Add (h, b)
  y = Sigmoid (s)
  z = Tanh (s)
  k = Identity (ids)
}
`,
);
writeFileSync(
  path("steps.onnxtxt"),
  `<ir_version: 10, opset_import: ["" : 20]>
f (float[3] x) => (float[3] picked, float[3] signs) <float[3] c = {1,2,3}, float[3] zero = {0,0,0}> {
  [gate] q = Greater (x, zero)
  picked = Where (q, c, zero)
  signs = Sign (x)
}
`,
);

writeFileSync(
  path("branch.onnxtxt"),
  `<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
f (float[N,3] x, bool c) => (float[N,3] branched, float[N,3] again, float[N,3] same, float[N,3] passed) <
  float[3] W = {1,2,3}
> {
  [choice] branched = If (c) <
    then_branch = yes () => (float[N,3] t) { t = Mul (x, W) },
    else_branch = no () => (float[N,3] e) { e = Neg (x) }
  >
  again = local.scale (x, W)
  same = local.scale (x, W)
  passed = Identity (x)
}
<domain: "local", opset_import: ["" : 20]>
scale (a, b) => (o) { o = Mul (a, b) }
`,
);

/** The outputs of a gradient model of `m.onnxtxt` by name, for given inputs. */
async function run(
  file: string,
  feeds: Readonly<Record<string, readonly number[]>>,
): Promise<Record<string, number[]>> {
  const model = readModel(file);
  const rows = (feeds.x?.length ?? 0) / 3;
  const environment = new Map(
    model.graph.inputs.map((input) => {
      const type = input.tensorType;
      const shape = (type?.shape ?? []).map((dim) => (typeof dim === "number" ? dim : rows));
      const size = shape.reduce((product, dim) => product * dim, 1);
      const values = feeds[input.name] ?? new Array<number>(size).fill(0);
      const data = type?.dtype === "int64" ? BigInt64Array.from(values, BigInt) : Float64Array.from(values);
      return [input, new NDArray(type?.dtype ?? "float32", shape, data)] as const;
    }),
  );
  const outputs = await runModel(model, environment);
  return Object.fromEntries(
    model.graph.outputs.map(({ name }, i) => [name, Array.from(outputs[i]?.data ?? [], Number)]),
  );
}

describe("gradient", () => {
  it("differentiates every float output by every float input unless told otherwise", async () => {
    const { code, document } = await runJson(["gradient", path("m.onnxtxt"), "-o", path("all.onnx")]);
    expect(code).toBe(0);
    expect(document).toEqual({
      ok: true,
      output: path("all.onnx"),
      inputs: { y: "grad.y", z: "grad.z" },
      outputs: { x: "grad.x", b: "grad.b", unused: "grad.unused" },
    });
    const { graph } = readModel(path("all.onnx"));
    expect(graph.inputs.map(({ name }) => name)).toEqual(["x", "b", "unused", "ids", "grad.y", "grad.z"]);
    expect(graph.outputs.map(({ name }) => name)).toEqual(["y", "z", "k", "grad.x", "grad.b", "grad.unused"]);
  });

  it("gives vector-Jacobian products, and zeros where nothing depends on an input", async () => {
    await runCli(["gradient", path("m.onnxtxt"), "--of", "y,z", "--wrt", "x,W,unused", "-o", path("g.onnx")]);
    const x = [0.3, -0.2, 0.7, 1.1, 0.4, -0.6];
    const [up, down] = [
      [1, -2, 0.5, 0.3, 1, 2],
      [0.2, 0.1, -1, 1, -0.4, 0.6],
    ];
    const W = [0.5, -1, 2];
    const result = await run(path("g.onnx"), { x, "grad.y": up, "grad.z": down });
    const wanted = x.map((value, i) => {
      const s = value * (W[i % 3] ?? 0);
      const sigmoid = 1 / (1 + Math.exp(-s));
      return (up[i] ?? 0) * sigmoid * (1 - sigmoid) + (down[i] ?? 0) * (1 - Math.tanh(s) ** 2);
    });
    result["grad.x"]?.forEach((value, i) => expect(value).toBeCloseTo((wanted[i] ?? 0) * (W[i % 3] ?? 0), 5));
    const byWeight = [0, 1, 2].map(
      (j) => (wanted[j] ?? 0) * (x[j] ?? 0) + (wanted[j + 3] ?? 0) * (x[j + 3] ?? 0),
    );
    result["grad.W"]?.forEach((value, i) => expect(value).toBeCloseTo(byWeight[i] ?? 0, 5));
    expect(result["grad.W"]).toHaveLength(3);
    expect(result["grad.unused"]).toEqual([0, 0]);
    expect(result.y?.[0]).toBeCloseTo(1 / (1 + Math.exp(-0.15)), 5);
  });

  it("differentiates its own result, with one more prefix where a name is taken", async () => {
    await runCli(["gradient", path("m.onnxtxt"), "--of", "z", "--wrt", "x", "-o", path("first.onnx")]);
    const args = [
      "gradient",
      path("first.onnx"),
      "--of",
      "grad.x",
      "--wrt",
      "x,grad.z",
      "-o",
      path("second.onnx"),
    ];
    expect((await runJson(args)).document).toMatchObject({
      inputs: { "grad.x": "grad.grad.x" },
      outputs: { x: "grad.grad.grad.x", "grad.z": "grad.grad.z" },
    });
    const result = await run(path("second.onnx"), {
      x: [0.3, 0, 0],
      "grad.z": [1, 0, 0],
      "grad.grad.x": [1, 0, 0],
    });
    // d/dx of 0.5 (1 - tanh(0.5 x)^2) is -0.5 tanh (1 - tanh^2).
    const t = Math.tanh(0.15);
    expect(result["grad.grad.grad.x"]?.[0]).toBeCloseTo(-0.5 * t * (1 - t * t), 5);
    expect(result["grad.grad.z"]?.[0]).toBeCloseTo(0.5 * (1 - t * t), 5);
  });

  it("keeps an initializer that is asked for, whatever could be folded", async () => {
    await runCli(["gradient", path("m.onnxtxt"), "--wrt", "W", "-o", path("w.onnx")]);
    const { graph } = readModel(path("w.onnx"));
    expect([...graph.initializers].map(({ name }) => name)).toContain("W");
    expect(graph.inputs.map(({ name }) => name)).not.toContain("W");
  });

  it.each([
    [["--of", "yy"], "E_GRADIENT_OUTPUT", "y"],
    [["--of", "k"], "E_GRADIENT_TYPE", "int64"],
    [["--wrt", "ids"], "E_GRADIENT_TYPE", "int64"],
    [["--wrt", "unusd"], "E_GRADIENT_INPUT", "did you mean unused?"],
  ])("refuses %j", async (args, code, words) => {
    const result = await runCli(["gradient", path("m.onnxtxt"), ...args, "-o", path("none.onnx")]);
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toMatch(new RegExp(`^${code} `));
    expect(result.stderr).toContain(words);
    expect(existsSync(path("none.onnx"))).toBe(false);
  });

  it("refuses dependence through truth values alone, but not steps of floats", async () => {
    const args = ["gradient", path("steps.onnxtxt"), "-o", path("steps.onnx"), "--of"];
    const refused = await runCli([...args, "picked"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('E_GRADIENT_INTEGERS  "picked" depends on "x" only through integers');
    expect(refused.stderr).toContain('"x" -> Greater "gate" -> Where');
    expect((await runCli([...args, "signs"])).code).toBe(0);
    expect((await run(path("steps.onnx"), { x: [1, -2, 3], "grad.signs": [1, 1, 1] }))["grad.x"]).toEqual([
      0, 0, 0,
    ]);
  });

  it("differentiates what only bodies of control flow read", async () => {
    const args = ["gradient", path("branch.onnxtxt"), "--of", "branched", "-o", path("b.onnx")];
    expect((await runCli(args)).code).toBe(0);
    const feeds = { x: [1, 1, 1], "grad.branched": [1, 10, 100] };
    expect((await run(path("b.onnx"), { ...feeds, c: [1] }))["grad.x"]).toEqual([1, 20, 300]);
    expect((await run(path("b.onnx"), { ...feeds, c: [0] }))["grad.x"]).toEqual([-1, -10, -100]);
  });

  it("inlines functions and keeps outputs apart that compute the same", async () => {
    const args = ["gradient", path("branch.onnxtxt"), "--of", "again,same,passed", "-o", path("b.onnx")];
    expect((await runCli(args)).code).toBe(0);
    const model = readModel(path("b.onnx"));
    expect(model.functions.size).toBe(0);
    expect(model.graph.outputs.map(({ name }) => name)).toEqual([
      "branched",
      "again",
      "same",
      "passed",
      "grad.x",
    ]);
    const upstream = { "grad.again": [1, 0, 0], "grad.same": [0, 1, 0], "grad.passed": [0, 0, 5] };
    expect((await run(path("b.onnx"), { x: [1, 1, 1], ...upstream }))["grad.x"]).toEqual([1, 2, 5]);
  });

  it("runs jobs, of which a refusal stops none", async () => {
    const model = path("m.onnxtxt");
    const jobs = [
      { model, of: ["y"], wrt: ["x"], out: path("j0.onnx") },
      { model, of: ["nothing"], wrt: ["x"], out: path("j1.onnx") },
      { model: path("absent.onnx"), of: [], wrt: [], out: path("j2.onnx") },
      { model, of: [], wrt: [], out: path("j3.onnx") },
    ];
    writeFileSync(path("jobs.json"), JSON.stringify(jobs));
    const { code, stdout } = await runCli([
      "gradient",
      "--jobs",
      path("jobs.json"),
      "--results",
      path("results.json"),
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain("4 jobs, 2 refused");
    const results: unknown = JSON.parse(readFileSync(path("results.json"), "utf8"));
    expect(results).toEqual([
      { out: path("j0.onnx"), ok: true },
      {
        out: path("j1.onnx"),
        ok: false,
        error: { code: "E_GRADIENT_OUTPUT", message: expect.stringContaining("nothing") },
      },
      { out: path("j2.onnx"), ok: false, error: { code: "E_ONNX_NOT_FOUND", message: expect.any(String) } },
      { out: path("j3.onnx"), ok: true },
    ]);
    expect(existsSync(path("j3.onnx"))).toBe(true);
  });

  it("refuses jobs that are none, and command lines without a model", async () => {
    writeFileSync(path("bad.json"), JSON.stringify([{ model: "m.onnx" }]));
    const bad = await runCli(["gradient", "--jobs", path("bad.json")]);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(/^E_JOBS /);
    expect((await runCli(["gradient", "-o", path("x.onnx")])).code).toBe(2);
    expect((await runCli(["gradient", path("m.onnxtxt")])).code).toBe(2);
    expect((await runCli(["gradient", path("m.onnxtxt"), "--jobs", path("jobs.json")])).code).toBe(2);
  });
});
