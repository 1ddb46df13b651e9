/** What every variant of LoRA shares: the factors A and B of each kind of module, and what they make. */

import { weightShape } from "../../../src/adapt/base-weight.ts";
import type { ParameterSpec } from "../../../src/adapt/define.ts";
import { filled, type Initializer, kaimingUniform } from "../../../src/adapt/initializers.ts";
import type { LayerSite } from "../../../src/analysis/sites.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import { factorOf, type Params } from "../parts/factors.ts";
import { windowOf } from "../parts/window.ts";
import { type Options, scalingOf } from "./options.ts";
import { startOf } from "./starts.ts";

export type Specs = Readonly<Record<string, ParameterSpec>>;

/** Tensors of plain LoRA, and what the weight loses where A and B start with parts of it. */
export function plainSpecs(site: LayerSite, o: Options): Specs {
  const [a, b] = shapesOf(site, o.r);
  const isTable = site.kind === "embedding";
  const [prefix, end] = isTable ? ["lora_embedding_", ""] : ["lora_", ".weight"];
  const start = startOf(site, o);
  const factor = scalingOf(o);
  const A = { key: `${prefix}A${end}`, shape: a, init: start.A, group: `${prefix}A`, factor };
  const B = { key: `${prefix}B${end}`, shape: b, init: start.B, group: `${prefix}B`, factor };
  return {
    A,
    B: start.trainsB ? B : { ...B, trainable: false },
    ...(o.lora_bias ? { bias: biasSpec(site, o) } : {}),
    ...(start.isTaken ? takenSpecs(A, B) : {}),
    ...(start.base === undefined ? {} : { base: baseSpec(site, start.base) }),
  };
}

/** Factors of what is taken off the weight, scaled like B A. They are constants that PEFT's checkpoints do not hold. */
export function takenSpecs(
  A: Pick<ParameterSpec, "shape" | "init">,
  B: Pick<ParameterSpec, "shape" | "init">,
): Record<"takenA" | "takenB", ParameterSpec> {
  const frozen = { trainable: false, saved: false };
  return {
    takenA: { ...frozen, key: "lora_A.taken", shape: A.shape, init: A.init },
    takenB: { ...frozen, key: "lora_B.taken", shape: B.shape, init: B.init },
  };
}

/** A weight in place of the module's own. */
function baseSpec(site: LayerSite, init: Initializer): ParameterSpec {
  return { key: "lora_base.taken", shape: weightShape(site), init, trainable: false, saved: false };
}

/** s (B A x + bias of B), with `x` after dropout. */
export function updateOf(site: LayerSite, x: Value, params: Params, o: Options, b: OpBuilder): Value {
  const s = scalingOf(o);
  const bias = params.bias === undefined ? undefined : b.mul(params.bias, s);
  const [A, B] = [factorOf(params, "A"), factorOf(params, "B")];
  switch (site.kind) {
    case "linear": {
      const down = b.matmul(x, b.transpose(A, [1, 0]));
      const up = b.matmul(down, b.mul(b.transpose(B, [1, 0]), s));
      return bias === undefined ? up : b.add(up, bias);
    }
    case "conv": {
      // A has the base layer's window and no groups; B is a 1x1 convolution with the base layer's groups.
      const down = b.op("Conv", [x, A], windowOf(site));
      return b.op("Conv", [down, b.mul(B, s), bias ?? null], { group: site.groups });
    }
    case "embedding":
      return b.matmul(b.gather(b.transpose(A, [1, 0]), x), b.mul(b.transpose(B, [1, 0]), s));
  }
}

/** s B A in the layout of the weight. */
export function deltaOf(site: LayerSite, params: Params, o: Options, b: OpBuilder): Value {
  const s = scalingOf(o);
  const [A, B] = [factorOf(params, "A"), factorOf(params, "B")];
  if (site.kind === "linear") return b.mul(b.matmul(B, A), s);
  if (site.kind === "embedding") return b.mul(b.transpose(b.matmul(B, A), [1, 0]), s);
  const product = b.matmul(b.reshape(B, [site.outChannels, o.r]), b.reshape(A, [o.r, -1]));
  return b.mul(b.reshape(product, [site.outChannels, site.inChannels, ...site.kernel]), s);
}

function biasSpec(site: LayerSite, o: Options): ParameterSpec {
  const size = site.kind === "linear" ? site.outFeatures : site.kind === "conv" ? site.outChannels : 0;
  // PyTorch's default of a bias, like that of the weight, depends on what one output reads.
  const fan = site.kind === "conv" ? o.r / site.groups : o.r;
  const init = o.init_lora_weights === false ? kaimingUniform(fan) : filled(0);
  return { key: "lora_B.bias", shape: [size], init, group: "lora_B" };
}

function shapesOf(site: LayerSite, r: number): [readonly number[], readonly number[]] {
  switch (site.kind) {
    case "linear":
      return [
        [r, site.inFeatures],
        [site.outFeatures, r],
      ];
    case "conv":
      return [
        [r, site.inChannels, ...site.kernel],
        [site.outChannels, r / site.groups, ...site.kernel.map(() => 1)],
      ];
    case "embedding":
      return [
        [r, site.rows],
        [site.width, r],
      ];
  }
}
