/** The graphs in ONNX Runtime: legal in every precision, and close to what they mean. */
import type { CompileRequest } from "../../compile/request.ts";
import { verifyModel } from "../../ir/verify.ts";
import { type Check, distance, require } from "../check.ts";
import { evaluateExactly, randomBatch, resultOf, runInRuntime, scalarOf } from "../fed-graph.ts";
import { compileSubject, randomPoint, startOf, still } from "../subject.ts";

/** By precision: how far gradients may be from those in float64, relative to their norm, and losses. */
const tolerances = { fp32: 1e-3, fp16: 2e-2, bf16: 1e-1 } as const;

function check(precision: keyof typeof tolerances): Check {
  return {
    name: `computes in ${precision} what it means`,
    per: "site",
    run: async (subject) => {
      const exact = compileSubject(subject, still);
      const request: CompileRequest = {
        precision,
        ...(precision === "fp16" ? { scaling: { scale: 1 } } : {}),
      };
      const low = compileSubject(subject, { ...still, request });
      for (const model of Object.values(low.graphs)) verifyModel(model);
      const batch = randomBatch(exact.graphs.grad, 4, 3);
      // Near the start: far off it, activations saturate, and 16 bits hold little of what is left of their slopes.
      const point = randomPoint(exact, 0.02);
      const wanted = evaluateExactly(exact.graphs.grad, { batch, state: point });
      const state = new Map([...startOf(low, "grad"), ...point]);
      const got = await runInRuntime(low.graphs.grad, { batch, state });
      const [loss, own] = [wanted, got].map((results) =>
        scalarOf(resultOf(exact.graphs.grad, results, "loss")),
      );
      const most = tolerances[precision];
      require(loss !== undefined &&
        own !== undefined &&
        Math.abs(own - loss) <= most * Math.max(1, Math.abs(loss)), `its loss is ${own}, in float64 ${loss}`);
      const apart = distance(
        resultOf(low.graphs.grad, got, "grad"),
        resultOf(exact.graphs.grad, wanted, "grad"),
      );
      require(apart <= most, `its gradient is ${apart} from that in float64`);
      const trained = await runInRuntime(low.graphs.train, {
        batch,
        state: new Map([...startOf(low, "train"), ...point]),
      });
      require(Number.isFinite(
        scalarOf(resultOf(low.graphs.train, trained, "loss")),
      ), "a training step yields no finite loss");
      return undefined;
    },
  };
}

export const inFloat32 = check("fp32");
export const inFloat16 = check("fp16");
export const inBfloat16 = check("bf16");
