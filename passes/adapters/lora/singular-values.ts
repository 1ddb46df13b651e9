/** KaSA: the weight loses its smallest singular parts, and the update has trained singular values. */
import { weightElements } from "../../../src/adapt/base-weight.ts";
import { type Initializer, normal } from "../../../src/adapt/initializers.ts";
import type { LinearSite } from "../../../src/analysis/sites.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import { factorOf, type Params } from "../parts/factors.ts";
import { distanceFromIdentity } from "../parts/inverse.ts";
import { KeptByWeight } from "../parts/kept.ts";
import type { SingularParts } from "../parts/singular-parts.ts";
import { smallestParts } from "../parts/svd.ts";
import { deltaOf, takenSpecs, updateOf } from "./factors.ts";
import { type Options, scalingOf } from "./options.ts";
import type { LoraVariant } from "./variant.ts";

const kept = new KeptByWeight<SingularParts>();

/** The `r` smallest singular parts of the weight over the scaling, as factors. */
function smallestOf(site: LinearSite, o: Options): { A: Initializer; B: Initializer } {
  const { outFeatures, inFeatures } = site;
  const parts = kept.for(site, String(o.r), () =>
    smallestParts(weightElements(site), outFeatures, inFeatures, o.r),
  );
  return {
    A: () => Float32Array.from(parts().right),
    B: () => Float32Array.from(parts().left, (v, at) => (v * (parts().values[at % o.r] ?? 0)) / scalingOf(o)),
  };
}

/** B diag(values), in place of B. */
function scaled(params: Params, b: OpBuilder): Params {
  return { ...params, B: b.mul(factorOf(params, "B"), factorOf(params, "values")) };
}

/** beta |values|^2 + gamma (|B^T B - I| + |A A^T - I|), Frobenius norms (Wang et al. 2024, equations 9 to 11). */
function regularizer(params: Params, { r, kasa_config: config }: Options, b: OpBuilder): Value {
  const [A, B] = [factorOf(params, "A"), factorOf(params, "B")];
  const squares = b.reduceSumSquare(factorOf(params, "values"), undefined, false);
  const ofA = distanceFromIdentity(b.matmul(A, b.transpose(A, [1, 0])), r, b);
  const ofB = distanceFromIdentity(b.matmul(b.transpose(B, [1, 0]), B), r, b);
  return b.add(b.mul(squares, config?.beta ?? 0), b.mul(b.add(ofA, ofB), config?.gamma ?? 0));
}

export const singularValues: LoraVariant = {
  option: "kasa_config",
  isAsked: (o) => o.kasa_config !== null,
  kinds: ["linear"],
  accepts: (site, o) => {
    if (site.kind !== "linear") return true;
    const all = Math.min(site.inFeatures, site.outFeatures);
    if (o.lora_bias) return "lora_bias and kasa_config exclude each other";
    if (typeof o.init_lora_weights === "string" && o.init_lora_weights !== "gaussian")
      return `kasa_config takes parts off the weight itself, which init_lora_weights ${o.init_lora_weights} starts from`;
    if (o.lora_alpha === 0) return "kasa_config needs a lora_alpha other than 0";
    return o.r < all || `kasa_config takes ${o.r} of its ${all} singular parts away, and one has to be left`;
  },
  parameters: (plain, site, o) => {
    if (site.kind !== "linear") return plain;
    const { A, B } = smallestOf(site, o);
    const taken = takenSpecs(
      { shape: [o.r, site.inFeatures], init: A },
      { shape: [site.outFeatures, o.r], init: B },
    );
    return { ...plain, values: { key: "lora_diag", shape: [o.r], init: normal(1) }, ...taken };
  },
  build: ({ site, x, y, params, options: o, b, dropout, addToLoss }) => {
    if (o.auxiliary_loss) addToLoss(regularizer(params, o, b));
    return b.add(y, updateOf(site, dropout(x, o.lora_dropout), scaled(params, b), o, b));
  },
  merge: ({ site, weight, params, options: o, b }) => ({
    weight: b.add(weight, deltaOf(site, scaled(params, b), o, b)),
  }),
};
