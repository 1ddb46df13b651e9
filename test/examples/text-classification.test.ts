/** The example that trains a classifier by API, on a tiny model and a handful of rows. */
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { readModel } from "../../src/onnx/read.ts";
import { oracleRoot } from "../oracle/oracle-set.ts";
import { runExample } from "./run-example.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-classify-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string): string => join(folder, name);

it("compiles, trains, evaluates and merges", { timeout: 120_000 }, () => {
  copyFileSync(join(oracleRoot, "models/bert/model.onnx"), path("model.onnx"));
  copyFileSync("fixtures/tokenizers/wordpiece/tokenizer.json", path("tokenizer.json"));
  // Words whose ids are within the 128 rows of the model.
  const rows = Array.from(
    { length: 64 },
    (_, i) => `${i % 2}\t${i % 2 === 0 ? "she was old" : "you and the rain"}\n`,
  );
  writeFileSync(path("train.tsv"), rows.join(""));
  writeFileSync(path("dev.tsv"), rows.slice(0, 8).join(""));

  const files = ["model.onnx", "train.tsv", "dev.tsv", "merged.onnx"].map(path);
  const printed = runExample("text-classification.mjs", files);
  expect(printed).toMatch(/^adapts 4 modules$/m);
  expect(printed).toMatch(/^4\/4 loss \d+\.\d{4}$/m);
  const accuracies = [...printed.matchAll(/accuracy: ([\d.]+)/g)].map(([, value]) => Number(value));
  expect(accuracies).toHaveLength(2);

  // The merged model has the source's inputs and nodes, and no adapter.
  const [source, merged] = [readModel(path("model.onnx")), readModel(path("merged.onnx"))];
  expect(merged.graph.inputs.map(({ name }) => name)).toEqual(source.graph.inputs.map(({ name }) => name));
  expect([...merged.graph.nodes()].map(({ op }) => op)).toEqual(
    [...source.graph.nodes()].map(({ op }) => op),
  );
  expect(existsSync(path("merged.onnx.peft/latest"))).toBe(true);
});
