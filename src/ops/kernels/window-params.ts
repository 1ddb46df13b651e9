/** Attributes of operators over sliding windows. */
import { int, ints, text } from "../params.ts";

const windowParams = {
  auto_pad: text("NOTSET"),
  kernel_shape: ints(),
  pads: ints(),
  strides: ints(),
  dilations: ints(),
};

/** Those of convolutions, of floats and of whole numbers. */
export const convolutionParams = { ...windowParams, group: int(1) };

/** Those of pools. */
export const poolParams = { ...windowParams, ceil_mode: int(0) };
