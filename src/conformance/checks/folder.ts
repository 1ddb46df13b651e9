/** Adapter folders in PEFT's layout: what is written is read back, and written again the same to the byte. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkpointTensors } from "../../compile/checkpoint-tensors.ts";
import { type Compiled, compileGraphs } from "../../compile/compile.ts";
import { writePeftFolder } from "../../compile/export-peft.ts";
import { peftFiles, readPeftFolder } from "../../compile/peft-folder.ts";
import { runConstantGraph } from "../../compile/run-constant.ts";
import { DiagnosticError } from "../../diagnostics/define.ts";
import { type Check, ConformanceError, require } from "../check.ts";
import { parseProbe } from "../probes.ts";
import { compileSubject, randomPoint, still, tensorsAt } from "../subject.ts";

export const folderRoundTrip: Check = {
  name: "comes back from an adapter folder to the byte",
  per: "site",
  run: async (subject) => {
    const root = mkdtempSync(join(tmpdir(), "peft-conformance-"));
    try {
      const compiled = compileSubject(subject, still);
      const trained = tensorsAt(compiled, randomPoint(compiled));
      const write = async (name: string, tensors: typeof trained, { plan }: Compiled): Promise<string> => {
        const folder = join(root, name);
        const saved = await checkpointTensors(plan.adapter, tensors, runConstantGraph);
        await writePeftFolder(folder, { adapter: plan.adapter, taskType: undefined, tensors: saved });
        return folder;
      };
      const { toPeft, fromPeft } = compiled.plan.adapter.unportable;
      if (toPeft !== undefined) {
        await write("refused", trained, compiled).then(
          () => {
            throw new ConformanceError(`it is written, although the method says: ${toPeft}`);
          },
          (error: unknown) => requireCode(error, "E_ADAPTER_UNPORTABLE"),
        );
        return toPeft;
      }
      const first = await write("first", trained, compiled).catch((error: unknown) => {
        // Tensors themselves may be such that folders cannot carry them.
        return { refused: requireCode(error, "E_ADAPTER_UNPORTABLE") };
      });
      if (typeof first !== "string") return first.refused;
      const peft = readPeftFolder(first, [subject.method]);
      const request = { method: { name: subject.method.name, options: peft.options }, modulesToSave: [] };
      const reopen = (): ReturnType<typeof compileSubject> =>
        compileGraphs(parseProbe(subject.probe), request, {
          ...still.how,
          adapter: { file: peft.file, tensors: peft.tensors },
        });
      if (fromPeft !== undefined) return fromPeft;
      const again = reopenOrReason(reopen);
      if (typeof again === "string") return again;
      const kept = new Map([...again.state.tensors].filter(([key]) => !key.includes("/")));
      const second = await write("second", kept, again);
      for (const file of Object.values(peftFiles)) {
        const [one, two] = [first, second].map((folder) => readFileSync(join(folder, file)));
        require(one !== undefined &&
          two !== undefined &&
          one.equals(two), `${file} is another one after it was read and written`);
      }
      return undefined;
    } finally {
      rmSync(root, { recursive: true });
    }
  },
};

/** A checkpoint of what a network makes cannot be trained on, and says so. */
function reopenOrReason(
  reopen: () => ReturnType<typeof compileSubject>,
): ReturnType<typeof compileSubject> | string {
  try {
    return reopen();
  } catch (error) {
    return requireCode(error, "E_CHECKPOINT_UNSAVED");
  }
}

function requireCode(error: unknown, code: string): string {
  if (error instanceof DiagnosticError && error.code === code) return error.diagnostics[0].message;
  throw error;
}
