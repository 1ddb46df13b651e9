/** OSF: trains the small singular values of a frozen weight with their vectors, at right angles to the large ones. */
import { z } from "zod";
import { weightElements } from "../../src/adapt/base-weight.ts";
import { defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { type Initializer, normal } from "../../src/adapt/initializers.ts";
import { compilePattern } from "../../src/adapt/pattern.ts";
import { byPattern, targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { detach } from "../../src/ops/detach.ts";
import { KeptByWeight } from "./parts/kept.ts";
import type { SingularParts } from "./parts/singular-parts.ts";
import { singularParts } from "./parts/svd.ts";

const { target_modules, modules_to_save } = targetOptions;
const rank = z.number().positive();

const options = z.strictObject({
  effective_rank: rank
    .nullable()
    .default(null)
    .describe("singular values that are kept: a number, or a part of all where below 1; null: half of them"),
  rank_pattern: byPattern(rank)
    .nullable()
    .default(null)
    .describe("effective_rank by regular expressions of which the first to be found in the path counts"),
  init_weights: z
    .boolean()
    .nullable()
    .default(true)
    .describe("true: what is trained starts as it is in the weight; false: normal"),
  target_modules,
  modules_to_save,
});

type Options = z.output<typeof options>;
type Params = Readonly<Record<"U" | "S" | "V" | "highU" | "highS" | "highV", Value>>;

const decomposed = new KeptByWeight<SingularParts>();

/** Kept singular values of a module. */
function keptOf({ inFeatures, outFeatures }: LinearSite, { effective_rank: wish }: Options): number {
  const all = Math.min(inFeatures, outFeatures);
  if (wish === null) return Math.floor(all / 2);
  return Math.min(all, Math.floor(wish < 1 ? all * wish : wish));
}

/** The same tensor, whose gradient loses what lies in the span of the given orthonormal columns (or rows, at the right). */
function atRightAngles(x: Value, span: Value, side: "left" | "right", b: OpBuilder): Value {
  const still = detach(b, x);
  const change = b.sub(x, still);
  const turned = b.transpose(span, [1, 0]);
  const within =
    side === "left" ? b.matmul(span, b.matmul(turned, change)) : b.matmul(b.matmul(change, turned), span);
  return b.add(still, b.sub(change, within));
}

function weightOf({ U, S, V, highU, highS, highV }: Params, b: OpBuilder): Value {
  const kept = b.matmul(b.mul(highU, highS), highV);
  const left = atRightAngles(U, highU, "left", b);
  const right = atRightAngles(V, highV, "right", b);
  return b.add(kept, b.matmul(b.mul(left, S), right));
}

export default defineAdapter({
  name: "osf",
  peftType: "OSF",
  summary: "Trains the small singular values and vectors of frozen linear weights",
  formula:
    "y = (U_k S_k V_k + U S V) x + b, with the k largest singular values frozen; gradients of U and V lose what lies in U_k and V_k",
  paper:
    "Nayak et al. 2025, Sculpting Subspaces: Constrained Full Fine-Tuning in LLMs for Continual Learning, https://arxiv.org/abs/2504.07097",
  options,
  peftConfig: { target_svd_config: null },
  sites: ["linear"],
  optionsFor: (o, path) => {
    const found = Object.entries(o.rank_pattern ?? {}).find(([key]) => compilePattern(key, "{}").test(path));
    return found === undefined ? o : { ...o, effective_rank: found[1] };
  },
  accepts: (site, o) => {
    const all = Math.min(site.inFeatures, site.outFeatures);
    const kept = keptOf(site, o);
    return kept > 0 && kept < all
      ? true
      : `effective_rank keeps ${kept} of its ${all} singular values; some have to be kept, and some trained`;
  },
  identityAtStart: (o) => o.init_weights !== false,
  detaches: () => "the parts of the trained vectors along the frozen ones, which training must not change",
  parameters: (site, o) => {
    const { inFeatures, outFeatures } = site;
    const all = Math.min(inFeatures, outFeatures);
    const kept = keptOf(site, o);
    const parts = decomposed.for(site, "", () =>
      singularParts(weightElements(site), outFeatures, inFeatures, all),
    );
    const columns =
      (from: number, to: number): Initializer =>
      () =>
        Float32Array.from({ length: outFeatures * (to - from) }, (_, i) => {
          const width = to - from;
          return parts().left[Math.floor(i / width) * all + from + (i % width)] ?? 0;
        });
    const values =
      (from: number, to: number): Initializer =>
      () =>
        Float32Array.from(parts().values.subarray(from, to));
    const rows =
      (from: number, to: number): Initializer =>
      () =>
        Float32Array.from(parts().right.subarray(from * inFeatures, to * inFeatures));
    const start = (own: Initializer): Initializer => (o.init_weights === false ? normal(1) : own);
    const frozen = (key: string, shape: readonly number[], init: Initializer): ParameterSpec => ({
      key,
      shape,
      init,
      trainable: false,
      saved: false,
    });
    return {
      U: { key: "osf_svd_params.U_low", shape: [outFeatures, all - kept], init: start(columns(kept, all)) },
      S: { key: "osf_svd_params.S_low", shape: [all - kept], init: start(values(kept, all)) },
      V: { key: "osf_svd_params.V_low", shape: [all - kept, inFeatures], init: start(rows(kept, all)) },
      highU: frozen("osf_U_high", [outFeatures, kept], columns(0, kept)),
      highS: frozen("osf_S_high", [kept], values(0, kept)),
      highV: frozen("osf_V_high", [kept, inFeatures], rows(0, kept)),
    };
  },
  build: ({ x, base, params, b }) => base(x, { weight: weightOf(params, b) }),
  merge: ({ params, b }) => ({ weight: weightOf(params, b) }),
  unmerge: "merging puts other values in the place of those of the base model, which are not kept",
});
