/** The weight of a linear layer or convolution seen as one matrix, outputs by all that one output reads. */
import type { ConvSite, LinearSite } from "../../../src/analysis/sites.ts";
import { countElements } from "../../../src/ir/shape.ts";

export type MatrixSite = LinearSite | ConvSite;

/** Outputs, inputs (per group) and elements of the window, 1 for linear layers. */
export function sizesOf(site: MatrixSite): { outputs: number; inputs: number; window: number } {
  if (site.kind === "linear") return { outputs: site.outFeatures, inputs: site.inFeatures, window: 1 };
  const window = countElements(site.kernel);
  return { outputs: site.outChannels, inputs: site.inChannels / site.groups, window };
}
