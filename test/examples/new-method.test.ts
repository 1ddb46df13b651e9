/** The method from outside the package: it starts as the identity, trains, and its merged model computes the same. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Field } from "../../src/data/batch.ts";
import { openSession } from "../../src/runtime/session.ts";
import { Trainer } from "../../src/runtime/trainer.ts";
import { oracleRoot } from "../oracle/oracle-set.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-method-"));
afterAll(() => rmSync(folder, { recursive: true }));
const model = join(oracleRoot, "models/bert/model.onnx");

function integers(shape: readonly number[], value: (i: number) => number): Field {
  const length = shape.reduce((product, size) => product * size, 1);
  return { dtype: "int64", shape, data: BigInt64Array.from({ length }, (_, i) => BigInt(value(i))) };
}

const inputs = {
  input_ids: integers([2, 8], (i) => (i * 37) % 128),
  attention_mask: integers([2, 8], () => 1),
  token_type_ids: integers([2, 8], () => 0),
};
const batch = { ...inputs, labels: integers([2], (i) => i) };

function command(...args: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, ["dist/src/cli.js", ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${args.join(" ")}\n${stderr}`);
}

async function logitsOf(file: string): Promise<Field | undefined> {
  const session = await openSession(file);
  const { logits } = await session.run(inputs);
  await session.close();
  return logits;
}

async function adaptedLogits(artifact: string): Promise<Field | undefined> {
  const trainer = await Trainer.open(artifact);
  const { logits } = await trainer.evaluate(batch);
  await trainer.close();
  return logits;
}

function largestDifference(a: Field | undefined, b: Field | undefined): number {
  if (a === undefined || b === undefined) throw new Error("no logits");
  expect(a.shape).toEqual(b.shape);
  return Math.max(...Array.from(a.data, Number).map((value, i) => Math.abs(value - Number(b.data[i]))));
}

describe.each(["true", "false"])("ssf with shift %s", (shift) => {
  const [artifact, merged] = [join(folder, `${shift}.peft`), join(folder, `${shift}.onnx`)];

  it("trains from the model's own output to a merged model", { timeout: 120_000 }, async () => {
    const method = ["--use", "examples/new-method.mjs", "--method", "ssf", "--shift", shift];
    const rest = ["--target", "query,value", "--modules-to-save", "none", "--optimizer", "adamw{lr=0.05}"];
    command("compile", model, ...method, ...rest, "-o", artifact);
    const source = await logitsOf(model);
    expect(largestDifference(await adaptedLogits(artifact), source)).toBeLessThan(1e-5);

    command("train", artifact, "--data", "random", "--seq", "8", "--batch", "2", "--steps", "5");
    // Without --use: the artifact knows where its method comes from.
    command("merge", artifact, "-o", merged);
    const adapted = await adaptedLogits(artifact);
    expect(largestDifference(adapted, source)).toBeGreaterThan(1e-3);
    expect(largestDifference(adapted, await logitsOf(merged))).toBeLessThan(1e-5);
  });
});
