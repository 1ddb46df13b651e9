/** Resuming: steps after a checkpoint are those of a run that was never interrupted, bit for bit. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileGraphs } from "../../compile/compile.ts";
import { writeArtifact } from "../../compile/write-artifact.ts";
import { readModel } from "../../onnx/read.ts";
import { writeModel } from "../../onnx/write.ts";
import { Trainer } from "../../runtime/trainer.ts";
import { type Check, require } from "../check.ts";
import { batchOf, randomBatch } from "../fed-graph.ts";
import { parseProbe } from "../probes.ts";
import { requestOf } from "../subject.ts";

export const resumes: Check = {
  name: "resumes bit for bit",
  per: "method",
  run: async (subject) => {
    const root = mkdtempSync(join(tmpdir(), "peft-conformance-"));
    try {
      const [model, artifact] = [join(root, "model.onnx"), join(root, "model.peft")];
      await writeModel(parseProbe(subject.probe), model);
      const compiled = compileGraphs(readModel(model), requestOf(subject));
      await writeArtifact(compiled, artifact);
      const batches = [3, 4, 5, 6].map((seed) => batchOf(randomBatch(compiled.graphs.train, 4, seed)));
      const train = async (from: number, to: number): Promise<Map<string, string>> => {
        const trainer = await Trainer.open(artifact, { threads: 1 });
        for (const batch of batches.slice(from, to)) await trainer.step(batch);
        const state = new Map(
          [...trainer.state].map(([name, { data }]) => [
            name,
            Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex"),
          ]),
        );
        if (to < batches.length) await trainer.save();
        await trainer.close();
        return state;
      };
      const whole = await train(0, 4);
      await train(0, 2);
      const resumed = await train(2, 4);
      for (const [name, bytes] of whole)
        require(resumed.get(name) ===
          bytes, `"${name}" is another one where training was resumed after two of four steps`);
      return undefined;
    } finally {
      rmSync(root, { recursive: true });
    }
  },
};
