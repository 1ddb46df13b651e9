/** Attributes of operators over sliding windows. */
import { amounts, counts, int, ints, text } from "../params.ts";

const windowParams = {
  auto_pad: text("NOTSET"),
  kernel_shape: ints(counts),
  pads: ints(amounts),
  strides: ints(counts),
  dilations: ints(counts),
};

/** Those of convolutions, of floats and of whole numbers. */
export const convolutionParams = { ...windowParams, group: int(1, counts) };

/** Those of pools. */
export const poolParams = { ...windowParams, ceil_mode: int(0) };
