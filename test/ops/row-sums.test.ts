/** Sums of many rows into few: the same in every run and with more than one thread, which ScatterND's sums are not. */
import { InferenceSession, type Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { Random } from "../../src/data/random.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import { fromNumbers } from "../../src/ops/ndarray.ts";
import { buildBackward } from "../harness/gradient.ts";
import type { OpCase } from "../harness/op-case.ts";
import { fromRuntime, toRuntime } from "../harness/runtime.ts";

const rows = 65_536;
const width = 4;
const runs = 20;

/** Cases whose gradient sums `rows` rows into a table of `size` rows. */
function casesOf(size: number): readonly (readonly [string, OpCase])[] {
  const table = { shape: [size, width] };
  const index = (shape: readonly number[]) => ({ shape, dtype: "int64", range: [0, size - 1] }) as const;
  return [
    [`Gather from ${size} rows`, { op: "Gather", inputs: [table, index([rows])] }],
    [`GatherND from ${size} rows`, { op: "GatherND", inputs: [table, index([rows, 1])] }],
    [`GatherElements from ${size} rows`, { op: "GatherElements", inputs: [table, index([rows, width])] }],
  ];
}

// A small table is summed by a product, one beyond 256 rows by ScatterElements.
describe.each([...casesOf(64), ...casesOf(300)])("the gradient of %s", (_, spec) => {
  const { model, feeds } = buildBackward(spec, "static");
  const indices = [...feeds.values()].find(({ dtype }) => dtype === "int64")?.toNumbers() ?? [];
  const size = spec.inputs[0]?.shape[0] ?? 0;

  async function sumRows(gradient: readonly number[]): Promise<(readonly number[])[]> {
    const session = await InferenceSession.create(encodeModel(model), {
      intraOpNumThreads: 2,
      logSeverityLevel: 3,
    });
    const inputs: Record<string, Tensor> = {};
    for (const input of model.graph.inputs) {
      const array = feeds.get(input);
      if (array === undefined) continue;
      const isGradient = input.name.startsWith("g");
      inputs[input.name] = toRuntime(isGradient ? fromNumbers("float32", array.shape, gradient) : array);
    }
    const results: (readonly number[])[] = [];
    for (let run = 0; run < runs; run++) {
      const [sums] = Object.values(await session.run(inputs));
      if (sums === undefined) throw new Error("no sums");
      results.push(fromRuntime(sums).toNumbers());
    }
    await session.release();
    return results;
  }

  test("is exact on whole numbers", async () => {
    const random = new Random(3);
    const gradient = Array.from({ length: rows * width }, () => random.below(17) - 8);
    const wanted = new Array<number>(size * width).fill(0);
    const perElement = indices.length === gradient.length;
    gradient.forEach((value, at) => {
      const row = indices[perElement ? at : Math.floor(at / width)] ?? 0;
      const cell = row * width + (at % width);
      wanted[cell] = (wanted[cell] ?? 0) + value;
    });
    for (const sums of await sumRows(gradient)) expect(sums).toEqual(wanted);
  });

  test("is the same in every run", async () => {
    const random = new Random(5);
    const [first, ...others] = await sumRows(Array.from({ length: rows * width }, () => random.normal()));
    for (const sums of others) expect(sums).toEqual(first);
  });
});
