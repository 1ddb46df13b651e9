/** Cases of several folders: each adapter's logits, those of adapters together, and those of PEFT's combinations. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type CombinationType, combinationSchema, combinationTypes } from "../../src/adapt/combination.ts";
import { attachAdapters } from "../../src/compile/attach.ts";
import { type CombinedAdapter, combineAdapters } from "../../src/compile/combine.ts";
import { compileGraphs } from "../../src/compile/compile.ts";
import { readPeftFolder, readTensors } from "../../src/compile/peft-folder.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { readModel } from "../../src/onnx/read.ts";
import type { NDArray } from "../../src/ops/ndarray.ts";
import { runModel } from "../harness/runtime.ts";
import { expectClose, tolerances } from "./close.ts";
import { taskOf } from "./compile-case.ts";
import { GraphSession, resultOf, startingState } from "./graph-session.ts";
import { type OracleCase, oracleRoot, readArrays } from "./oracle-set.ts";
import { batchOf } from "./trajectory.ts";

interface Adapter {
  readonly method: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

const recordSchema = z.looseObject({
  combination_type: z.enum(combinationTypes),
  weights: z.array(z.number()),
  density: z.number().optional(),
  svd_rank: z.number().optional(),
  majority_sign_method: z.enum(["total", "frequency"]).optional(),
});

export async function checkSeveral(item: OracleCase): Promise<void> {
  const { folder } = item;
  const results = join(folder, "expected.safetensors");
  if (existsSync(results)) {
    const expected = readArrays(results);
    const folders = readdirSync(folder).filter((name) =>
      existsSync(join(folder, name, "adapter_config.json")),
    );
    for (const name of folders) {
      const wanted = expected.get(`logits.${name.replace(/^lora-/, "")}`);
      if (wanted !== undefined)
        await checkLogits(item, `logits of ${name}`, readPeftFolder(join(folder, name)), wanted);
    }
    const together = expected.get("logits.first+second");
    if (together !== undefined && item.name === "lora-two-adapters") {
      const both = [{ folder: join(folder, "first") }, { folder: join(folder, "second") }] as const;
      await checkLogits(item, "logits of both", combineAdapters([...both], { type: "cat" }), together);
    }
  }
  if (existsSync(join(folder, "combined.json"))) await checkCombinations(item);
  if (existsSync(join(folder, "adapters")))
    await checkRouting(item, readArrays(join(item.resultsFolder, "expected.safetensors")).get("logits"));
}

/** Experts of a folder that each token chooses from; how many of them, the set's note says. */
async function checkRouting({ folder, modelFile, model, note }: OracleCase, wanted?: NDArray): Promise<void> {
  const adapters = readdirSync(join(folder, "adapters"))
    .toSorted()
    .map((name) => ({ name, folder: join(folder, "adapters", name) }));
  const active = adapters.map(({ name }) => name);
  const top_k = Number(/\btop_k=(\d+)/.exec(note)?.[1]);
  const routed = attachAdapters(readModel(modelFile), adapters, { active, routing: { top_k } });
  const batch = batchOf(readArrays(join(oracleRoot, "models", model, "io.safetensors")), "batch0");
  const feeds = new Map(
    routed.graph.inputs.flatMap((input) => {
      const array = batch.get(input.name);
      return array === undefined ? [] : [[input, array] as const];
    }),
  );
  const outputs = await runModel(routed, feeds);
  const at = routed.graph.outputs.findIndex(({ name }) => name === "logits");
  expectClose("routed logits", outputs[at], wanted, tolerances.exact);
}

async function checkCombinations(item: OracleCase): Promise<void> {
  for (const { name, type, made } of combinationsOf(item)) {
    const file = join(item.folder, `combined-${name}.safetensors`);
    // What is dropped at random depends on the order of modules in PyTorch: there PEFT's own tensors are taken.
    const tensors = /^dare/.test(type) ? readTensors(file) : made.tensors;
    await checkLogits(item, `combined by ${name}`, { ...made, tensors }, readArrays(file).get("logits"));
  }
}

/** What we make of the two adapters of a case, by each of the recorded types. */
export function combinationsOf({
  folder,
}: OracleCase): { readonly name: string; readonly type: CombinationType; readonly made: CombinedAdapter }[] {
  const { done } = z
    .looseObject({ done: z.record(z.string(), recordSchema) })
    .parse(JSON.parse(readFileSync(join(folder, "combined.json"), "utf8")));
  return Object.entries(done).map(([name, record]) => {
    const { combination_type: type, density, svd_rank, majority_sign_method, weights } = record;
    const [first = 0, second = 0] = weights;
    const made = combineAdapters(
      [
        { folder: join(folder, "first"), weight: first },
        { folder: join(folder, "second"), weight: second },
      ],
      combinationSchema.parse({ type, density, svd_rank, majority_sign_method }),
    );
    return { name, type, made };
  });
}

async function checkLogits(
  item: OracleCase,
  what: string,
  adapter: Adapter,
  wanted: NDArray | undefined,
): Promise<void> {
  expectClose(what, await logitsOfAdapter(item, what, adapter), wanted, tolerances.exact);
}

/** Logits of batch0 with an adapter in memory. */
export async function logitsOfAdapter(
  item: OracleCase,
  name: string,
  { method, options, tensors }: Adapter,
): Promise<NDArray> {
  const compiled = compileGraphs(
    readModel(item.modelFile),
    { method: { name: method, options: { ...options } }, modulesToSave: [], task: taskOf(item.model) },
    { adapter: { file: name, tensors } },
  );
  const io = readArrays(join(oracleRoot, "models", item.model, "io.safetensors"));
  const session = await GraphSession.open(compiled.graphs.eval);
  try {
    return resultOf(await session.run(batchOf(io, "batch0"), startingState(compiled, "eval")), "logits");
  } finally {
    await session.close();
  }
}
