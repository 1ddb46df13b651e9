/** Runs small graphs without inputs in ONNX Runtime: merged weights and other values that are computed once. */
import { InternalError } from "../diagnostics/define.ts";
import { inlineTensor } from "../ir/constant.ts";
import { dtypes } from "../ir/dtype.ts";
import type { Model } from "../ir/model.ts";
import type { Tensor } from "../ir/tensor.ts";
import { encodeModel } from "../onnx/write.ts";
import { openSession } from "../runtime/session.ts";

/** Gives the outputs by name. Frozen weights are read from their own files. */
export async function runConstantGraph(model: Model): Promise<Map<string, Tensor>> {
  const session = await openSession(encodeModel(model), {
    name: `graph "${model.graph.name}"`,
    optimization: "disabled",
  });
  try {
    const results = await session.run({});
    return new Map(
      Object.entries(results).map(([name, { dtype, shape, data }]) => {
        const type = dtypes.find((known) => known === dtype);
        if (type === undefined) throw new InternalError(`the runtime gave "${name}" as ${dtype}`);
        const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
        return [name, inlineTensor(type, shape, bytes, name)];
      }),
    );
  } finally {
    await session.close();
  }
}
