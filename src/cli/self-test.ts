/** The self test of `doctor`: one training step of a tiny model, from its text to a smaller loss. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "../compile/api.ts";
import type { Batch } from "../data/batch.ts";
import { InternalError } from "../diagnostics/define.ts";
import { readModel } from "../onnx/read.ts";
import { writeModel } from "../onnx/write.ts";
import { Trainer } from "../runtime/trainer.ts";
import { parseModel } from "../text/parse.ts";

const text = `<ir_version: 10, opset_import: ["" : 20]>
tiny (float[batch,3] x) => (float[batch,2] y) <
  float[3,4] "hidden.weight" = {0.5,-0.25,1,0.75,-1,0.5,0.25,-0.5,1,0.25,-0.75,0.5},
  float[4,2] "head.weight" = {1,-0.5,0.25,0.75,-1,0.5,0.5,1}
> {
  h = MatMul (x, "hidden.weight")
  a = Tanh (h)
  y = MatMul (a, "head.weight")
}
`;

const batch: Batch = {
  x: { dtype: "float32", shape: [2, 3], data: Float32Array.of(1, 0.5, -0.5, -1, 0.25, 0.75) },
  labels: { dtype: "float32", shape: [2, 2], data: Float32Array.of(1, -1, 0.5, 0.25) },
};

/**
 * Compiles, trains one step, and compares the loss on the same batch before and after.
 *
 * @returns what happened, in words.
 * @throws whatever part of it fails.
 */
export async function runSelfTest(threads: number | undefined): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "peft-compile-"));
  try {
    const file = join(folder, "tiny.onnx");
    await writeModel(parseModel(text), file);
    const artifact = compile(readModel(file), {
      method: { name: "lora", options: { r: 2 } },
      task: "regression",
      optimizer: { name: "sgd", options: { lr: 0.1 } },
    });
    const target = join(folder, "tiny.peft");
    await artifact.write(target);
    return await trainOneStep(target, threads);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function trainOneStep(folder: string, threads: number | undefined): Promise<string> {
  const trainer = await Trainer.open(folder, { threads });
  try {
    const { loss: before } = await trainer.evaluate(batch);
    await trainer.step(batch);
    const { loss: after } = await trainer.evaluate(batch);
    if (!(after < before))
      throw new InternalError(`a training step took the loss from ${before} to ${after}`);
    return `compiled and trained one step: loss ${before.toFixed(4)} -> ${after.toFixed(4)}`;
  } finally {
    await trainer.close();
  }
}
