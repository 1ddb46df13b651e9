/** The window of a convolution, for convolutions beside it. */
import type { ConvSite } from "../../../src/analysis/sites.ts";

/** Attributes of the base layer but for its groups. PEFT's LoRA crashes on dilated layers; here they keep their dilation. */
export function windowOf({ node }: ConvSite): Record<string, readonly number[] | string | undefined> {
  return {
    strides: node.ints("strides", undefined),
    pads: node.ints("pads", undefined),
    dilations: node.ints("dilations", undefined),
    auto_pad: node.string("auto_pad", undefined),
  };
}
