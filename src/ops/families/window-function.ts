/** Windows of signal processing: HannWindow, HammingWindow, BlackmanWindow. */
import { unknownDim } from "../../ir/dim.ts";
import { dtypeFromCode } from "../../ir/dtype.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp, zero } from "../define.ts";
import { contentOf } from "../kernels/content.ts";
import { fromNumbers } from "../ndarray.ts";
import { int } from "../params.ts";
import type { Op } from "../record.ts";

/** A window that is a sum of cosines with these weights, of which every second is subtracted. */
function defineWindow(type: string, weights: readonly number[]): Op {
  return defineOp({
    type,
    versions: [17],
    inputs: ["size"],
    outputs: ["y"],
    attributes: { periodic: int(1), output_datatype: int(1) },
    infer: ({ in: { size }, attrs }) => {
      const dtype = dtypeFromCode(attrs.output_datatype) ?? "float32";
      return [tensorType(dtype, [contentOf(size)?.[0] ?? unknownDim()])];
    },
    evaluate: ({ in: { size }, attrs: { periodic, output_datatype }, exact }) => {
      const length = size.toNumbers()[0] ?? 0;
      const step = (2 * Math.PI) / (periodic === 1 ? length : length - 1);
      const values = Array.from({ length }, (_, at) =>
        weights.reduce(
          (sum, weight, k) => sum + (k % 2 === 0 ? weight : -weight) * Math.cos(k * step * at),
          0,
        ),
      );
      return [fromNumbers(dtypeFromCode(output_datatype) ?? "float32", [length], values, exact)];
    },
    precision: "exact",
    gradient: zero("the window depends on a size alone, which is a whole number"),
    hostInputs: ["size"],
  });
}

export const HannWindow = defineWindow("HannWindow", [0.5, 0.5]);
export const HammingWindow = defineWindow("HammingWindow", [25 / 46, 21 / 46]);
export const BlackmanWindow = defineWindow("BlackmanWindow", [0.42, 0.5, 0.08]);
