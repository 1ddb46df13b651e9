/** `inspect` on the files of real exporters. */
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { runCli, runJson } from "./run-cli.ts";

const models = resolve(process.env.PEFT_ORACLES ?? "fixtures/oracles", "models");

interface Document {
  readonly ok: boolean;
  readonly modules: readonly {
    readonly path: string;
    readonly head: boolean;
    readonly tied: readonly string[];
  }[];
  readonly parameters: { readonly count: number; readonly bytes: number };
}

async function inspect(...args: string[]): Promise<Document> {
  const { code, document } = await runJson(["inspect", ...args]);
  expect(code).toBe(0);
  return document as Document;
}

describe("inspect", () => {
  it.each(["model.onnx", "model-unfolded.onnx", "model-dynamo.onnx"])(
    "names the modules of bert/%s",
    async (file) => {
      const { modules, parameters } = await inspect(`${models}/bert/${file}`);
      const paths = modules.map(({ path }) => path);
      expect(paths).toContain("bert.encoder.layer.0.attention.self.query");
      expect(paths).toContain("bert.embeddings.word_embeddings");
      expect(modules.filter(({ head }) => head).map(({ path }) => path)).toEqual(["classifier"]);
      expect(parameters.bytes).toBe(4 * parameters.count);
    },
  );

  it("says where weights lie, and how", async () => {
    const path = `${models}/bert/model.onnx`;
    const { document } = await runJson(["inspect", path]);
    expect(document).toMatchObject({
      file: path,
      irVersion: 8,
      opsets: { "ai.onnx": 17 },
      outputs: [{ name: "logits", type: "float32[batch, 3]" }],
    });
    const { modules } = document as { modules: { path: string; weight: object; in: number; out: number }[] };
    const query = modules.find((module) => module.path === "bert.encoder.layer.0.attention.self.query");
    expect(query).toMatchObject({
      kind: "linear",
      in: 32,
      out: 32,
      parameters: 32 * 32 + 32,
      bias: true,
      weight: { storedAs: "transposed", storage: { kind: "file", file: path, length: 4 * 32 * 32 } },
    });
  });

  it("puts modules that differ in numbers only on one line, unless told not to", async () => {
    const { stdout } = await runCli(["inspect", `${models}/bert/model.onnx`]);
    expect(stdout).toMatch(
      /^ {2}bert\.encoder\.layer\.\[0-1\]\.attention\.self\.query +linear +32 x 32 +1,056 x 2$/m,
    );
    expect(stdout).toMatch(/^ {2}classifier +linear +32 x 3 +99 {2}head$/m);
    expect(stdout).toContain("logits  float32[batch, 3]");
    const all = (await runCli(["inspect", `${models}/bert/model.onnx`, "--all"])).stdout;
    expect(all).toContain("bert.encoder.layer.1.attention.self.query");
    expect(all).not.toContain("[0-1]");
  });

  it("shows the windows and groups of convolutions", async () => {
    const { stdout } = await runCli(["inspect", `${models}/smallconv/model-unfolded.onnx`]);
    expect(stdout).toMatch(/^ {2}stem +conv +3 x 8 3x3 /m);
    expect(stdout).toMatch(/ 3x3 \/\d+ /);
  });

  it("tells operators that cannot be trained through", async () => {
    const { writeFileSync, mkdtempSync } = await import("node:fs");
    const { tmpdir } = await import("node:os");
    const path = `${mkdtempSync(`${tmpdir()}/peft-inspect-`)}/m.onnxtxt`;
    writeFileSync(
      path,
      `<ir_version: 10, opset_import: ["" : 20, "my.domain" : 1]>
       f (float[N,3] x) => (float[N,3] y) { h = my.domain.Strange (x) y = Relu (h) }`,
    );
    const { document } = await runJson(["inspect", path]);
    expect(document).toMatchObject({
      ok: true,
      modules: [],
      unsupported: [{ op: "my.domain.Strange", count: 1, reason: "unknown operator" }],
    });
  });
});
