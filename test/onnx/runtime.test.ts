/** ONNX Runtime loads what we write, and computes the same as from the original. */
import { readFileSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModel, writeModel } from "../../src/onnx/write.ts";
import { fixture, temporaryFolder } from "./fixture-files.ts";

const options = { logSeverityLevel: 3, intraOpNumThreads: 1 } as const;

async function logits(session: InferenceSession): Promise<unknown> {
  const ids = BigInt64Array.from([1n, 403n, 407n, 261n, 378n, 432n]);
  const { logits } = await session.run({
    input_ids: new Tensor("int64", ids, [2, 3]),
    attention_mask: new Tensor("int64", new BigInt64Array(6).fill(1n), [2, 3]),
  });
  await session.release();
  return logits?.data;
}

describe.each(["model.onnx", "model-dynamo.onnx"])("stories260k, %s", (name) => {
  const source = `fixtures/models/stories260k/${name}`;

  test("as bytes, as a file, with a data file, and with weights left where they are", async () => {
    const folder = temporaryFolder();
    await copyFile(source, join(folder, name));
    const expected = await logits(await InferenceSession.create(source, options));
    const model = readModel(join(folder, name));
    expect(await logits(await InferenceSession.create(encodeModel(model), options))).toEqual(expected);
    for (const weights of ["inline", "external", "reference"] as const) {
      const path = join(folder, `${weights}.onnx`);
      await writeModel(model, path, { weights, valueInfo: true, checkLimits: true });
      expect(await logits(await InferenceSession.create(path, options))).toEqual(expected);
    }
    const bytes = encodeModel(model, { weights: "reference", folder });
    const extra = { session: { model_external_initializers_file_folder_path: folder } };
    expect(await logits(await InferenceSession.create(bytes, { ...options, extra }))).toEqual(expected);
  });
});

test("bodies, functions, sparse weights and defaults keep their meaning", async () => {
  const model = readModel(readFileSync(fixture("structure.onnx")));
  const session = await InferenceSession.create(encodeModel(model), options);
  const run = async (flag: boolean): Promise<number[]> => {
    const { clipped } = await session.run({
      flag: new Tensor("bool", [flag], []),
      x: new Tensor("float32", [1, 2], [1, 2]),
    });
    return Array.from(clipped?.data ?? [], Number);
  };
  // (x * scale, or |-x|) * 0.5 + bias + sparse
  expect(await run(true)).toEqual([1 * 2 * 0.5 + 10, 2 * 4 * 0.5 + 20 + 3]);
  expect(await run(false)).toEqual([1 * 0.5 + 10, 2 * 0.5 + 20 + 3]);
  await session.release();
});
