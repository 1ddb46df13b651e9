/** The weight of a linear layer or convolution seen as one matrix, outputs by all that one output reads. */
import type { ConvSite, LinearSite, Site } from "../../../src/analysis/sites.ts";
import { InternalError } from "../../../src/diagnostics/define.ts";

export function requireLinear(site: Site): LinearSite {
  if (site.kind !== "linear") throw new InternalError(`"${site.path}" is not linear`);
  return site;
}

export function requireMatrix(site: Site): LinearSite | ConvSite {
  if (site.kind === "linear" || site.kind === "conv") return site;
  throw new InternalError(`"${site.path}" is neither linear nor a convolution`);
}

/** Outputs, inputs (per group) and elements of the window, 1 for linear layers. */
export function sizesOf(anySite: Site): { outputs: number; inputs: number; window: number } {
  const site = requireMatrix(anySite);
  if (site.kind === "linear") return { outputs: site.outFeatures, inputs: site.inFeatures, window: 1 };
  const window = site.kernel.reduce((product, size) => product * size, 1);
  return { outputs: site.outChannels, inputs: site.inChannels / site.groups, window };
}

/** Shape of the weight in PyTorch's layout. */
export function weightShape(anySite: Site): readonly number[] {
  const site = requireMatrix(anySite);
  const { outputs, inputs } = sizesOf(site);
  return site.kind === "linear" ? [outputs, inputs] : [outputs, inputs, ...site.kernel];
}
