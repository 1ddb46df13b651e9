/** Runs encoded models on arrays by name. */
import { InferenceSession } from "onnxruntime-node";
import type { NDArray } from "../../src/ops/ndarray.ts";
import { fromRuntime, toRuntime } from "../harness/runtime.ts";

/** Why something was not run, or ran to an error. */
export class NotRun extends Error {}

/** Thrown where there is nothing to check. */
export class Skipped extends Error {}

/** Element types that the binding can hand out. */
const boundaryTypes: ReadonlySet<string> = new Set([
  ...["float32", "float64", "float16", "bool", "string"],
  ...["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"],
]);

const beyondRuntime =
  /takes no|not supported|Unsupported data type|the runtime gave|Could not find an impl|NOT_IMPLEMENTED|Failed to find kernel|not a registered function/;

/** Outputs in order, as {@link runBytes}. @throws Skipped where the types are not those that the runtime computes with. */
export async function runIfPossible(
  bytes: Uint8Array,
  feeds: ReadonlyMap<string, NDArray>,
): Promise<NDArray[]> {
  try {
    return await runBytes(bytes, feeds);
  } catch (error) {
    if (error instanceof NotRun && beyondRuntime.test(error.message))
      throw new Skipped(`the rewritten model is not run: ${error.message}`);
    throw error;
  }
}

/** Outputs in order. @throws NotRun where the runtime does not take the model, the operands or the results. */
export async function runBytes(bytes: Uint8Array, feeds: ReadonlyMap<string, NDArray>): Promise<NDArray[]> {
  try {
    const session = await InferenceSession.create(bytes, { logSeverityLevel: 4, intraOpNumThreads: 1 });
    try {
      // Packed types crash the binding, which makes arrays of whole bytes.
      for (const output of session.outputMetadata) {
        if (output.isTensor && !boundaryTypes.has(output.type))
          throw new NotRun(`the runtime gave ${output.type}`);
      }
      const given = [...feeds].filter(([name]) => session.inputNames.includes(name));
      const results = await session.run(
        Object.fromEntries(given.map(([name, array]) => [name, toRuntime(array)])),
      );
      return session.outputNames.map((name) => {
        const tensor = results[name];
        if (tensor === undefined) throw new Error(`no "${name}"`);
        return fromRuntime(tensor);
      });
    } finally {
      await session.release();
    }
  } catch (error) {
    throw new NotRun(error instanceof Error ? error.message : String(error));
  }
}
