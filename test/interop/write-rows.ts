/** Logits of a model that chooses between the adapters of a case by row, for PEFT to give with `adapter_names`. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { attachAdapters } from "../../src/compile/attach.ts";
import { writeSafetensors } from "../../src/formats/safetensors-file.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromNumbers, toTensor } from "../../src/ops/ndarray.ts";
import { runModel } from "../harness/runtime.ts";
import { type OracleCase, oracleRoot, readArrays } from "../oracle/oracle-set.ts";
import { batchOf } from "../oracle/trajectory.ts";
import type { WrittenCase } from "./write-case.ts";

const choices = ["__base__", "first", "second"];

/** Every choice of an adapter for each of the two rows of the case. */
export async function writeRows(item: OracleCase, folder: string): Promise<WrittenCase[]> {
  const adapters = ["first", "second"].map((name) => ({ name, folder: join(item.folder, name) }));
  const model = attachAdapters(readModel(item.modelFile), adapters);
  const io = batchOf(readArrays(join(oracleRoot, "models", item.model, "io.safetensors")), "batch0");
  const written: WrittenCase[] = [];
  mkdirSync(folder, { recursive: true });
  for (const rows of choices.flatMap((_, i) => choices.map((__, j) => [i, j]))) {
    const feeds = new Map(
      model.graph.inputs.flatMap((input) => {
        const array =
          input.name === "adapter_names" ? fromNumbers("int64", [rows.length], rows) : io.get(input.name);
        return array === undefined ? [] : [[input, array] as const];
      }),
    );
    const [array] = await runModel(model, feeds);
    if (array === undefined) throw new Error("no logits");
    const logits = join(folder, `${rows.join("-")}.safetensors`);
    await writeSafetensors(logits, [
      { name: "logits", dtype: "F32", shape: array.shape, data: toTensor(array).bytes() },
    ]);
    written.push({
      name: `${item.model}/${item.name} rows ${rows.join()} ${item.exported}`,
      method: "lora by row",
      model: join(oracleRoot, "models", item.model),
      adapter: join(item.folder, "first"),
      logits,
      labels: false,
      adapters: Object.fromEntries(adapters.map(({ name, folder: place }) => [name, place])),
      rows: rows.map((choice) => choices[choice] ?? ""),
    });
  }
  return written;
}
