/** The frozen bias of a layer. */
import type { LayerSite } from "../../../src/analysis/sites.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";

/** The bias in a shape that broadcasts against what the layer yields; undefined where it has none. */
function biasOf(site: LayerSite, b: OpBuilder): Value | undefined {
  const bias = site.bias?.reader.input(site.bias.operand) ?? computedBias(site, b);
  if (bias === undefined || site.kind !== "conv") return bias;
  return b.reshape(bias, [-1, ...site.kernel.map(() => 1)]);
}

/** What the operator itself adds where that is no parameter of the file, such as a bias that the graph scales. */
function computedBias({ node }: LayerSite, b: OpBuilder): Value | undefined {
  const bias = node.domain === "" && (node.op === "Gemm" || node.op === "Conv") ? node.input(2) : undefined;
  const beta = node.op === "Gemm" ? node.float("beta", 1) : 1;
  return bias === undefined || beta === 1 ? bias : b.mul(bias, beta);
}

/** What a layer yields, without its bias. */
export function withoutBias(site: LayerSite, y: Value, b: OpBuilder): Value {
  const bias = biasOf(site, b);
  return bias === undefined ? y : b.sub(y, bias);
}

/** Adds the bias of a layer, where it has one. */
export function withBias(site: LayerSite, y: Value, b: OpBuilder): Value {
  const bias = biasOf(site, b);
  return bias === undefined ? y : b.add(y, bias);
}
