/** MelWeightMatrix: triangles that gather the bins of a spectrum into bands of the mel scale. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { addDims, floorDivDims, unknownDim } from "../../ir/dim.ts";
import { dtypeFromCode } from "../../ir/dtype.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp, zero } from "../define.ts";
import { contentOf } from "../kernels/content.ts";
import { countUp } from "../kernels/rearrange.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { int } from "../params.ts";

export const MelWeightMatrix = defineOp({
  type: "MelWeightMatrix",
  versions: [17],
  inputs: ["bands", "length", "rate", "lowest", "highest"],
  outputs: ["y"],
  attributes: { output_datatype: int(1) },
  infer: ({ in: { bands, length }, attrs }) => {
    const [columns, size] = [contentOf(bands)?.[0] ?? unknownDim(), contentOf(length)?.[0]];
    const rows = size === undefined ? unknownDim() : addDims(floorDivDims(size, 2), 1);
    return [tensorType(dtypeFromCode(attrs.output_datatype) ?? "float32", [rows, columns])];
  },
  evaluate: ({ node, in: operands, attrs, exact }) => {
    const number = (x: NDArray): number => x.toNumbers()[0] ?? 0;
    const [bands, length] = [number(operands.bands), number(operands.length)];
    const [lowest, highest] = [number(operands.lowest), number(operands.highest)];
    const edges = edgesOf({ bands, length, rate: number(operands.rate), lowest, highest });
    const rows = Math.floor(length / 2) + 1;
    const outside = edges.find((edge) => edge < 0 || edge >= rows);
    if (outside !== undefined)
      throw operatorErrors.E_BAD_OPERAND(node, "highest", `bins from 0 to ${rows - 1}`, `bin ${outside}`);
    const values = new Float64Array(rows * bands);
    for (let band = 0; band < bands; band++) {
      const [left = 0, center = 0, right = 0] = edges.slice(band, band + 3);
      for (let row = left; row <= center; row++)
        values[row * bands + band] = center === left ? 1 : (row - left) / (center - left);
      for (let row = center; row < right; row++)
        values[row * bands + band] = (right - row) / (right - center);
    }
    const dtype = dtypeFromCode(attrs.output_datatype) ?? "float32";
    return [fromNumbers(dtype, [rows, bands], values, exact)];
  },
  precision: "exact",
  gradient: zero("the triangles lie on whole bins, which jump with the edges"),
  hostInputs: ["bands", "length", "rate", "lowest", "highest"],
});

/** Bins of the corners of all triangles: equal steps on the scale `2595 log10(1 + f/700)`. */
function edgesOf(options: {
  readonly bands: number;
  readonly length: number;
  readonly rate: number;
  readonly lowest: number;
  readonly highest: number;
}): number[] {
  const { bands, length, rate, lowest, highest } = options;
  const toMel = (hertz: number): number => 2595 * Math.log10(1 + hertz / 700);
  const count = bands + 2;
  const step = (toMel(highest) - toMel(lowest)) / count;
  return countUp(count).map((at) => {
    const hertz = 700 * (10 ** ((at * step + toMel(lowest)) / 2595) - 1);
    return Math.floor(((length + 1) * hertz) / rate);
  });
}
