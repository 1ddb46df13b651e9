/** Lily: low-rank updates whose second factors are mixed of a few that modules of one name share. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, kaimingUniform } from "../../src/adapt/initializers.ts";
import { basePath } from "../../src/adapt/select.ts";
import { checkLayers, isAllLinear, targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";

const options = z
  .strictObject({
    r: z.int().min(1).default(32).describe("rank of the update"),
    stride_A: z
      .int()
      .min(1)
      .default(1)
      .describe("modules of one name that follow each other and share one A"),
    num_B: z.int().min(1).default(2).describe("factors B that all modules of one name share"),
    scaling: z.number().default(1).describe("factor of the update"),
    init_weights: z.boolean().default(true).describe("true: B starts at 0; false: all random"),
    ...targetOptions,
  })
  .check(checkLayers)
  .check(({ value, issues }) => {
    if (!isAllLinear(value.target_modules)) return;
    const message = "expected names or an expression, since modules share by the name that targets them";
    issues.push({ code: "custom", path: ["target_modules"], message, input: value.target_modules });
  });

type Options = z.output<typeof options>;

/** Modules that share with one: those that the same name targets, with weights of the same size, in execution order. */
function groupOf(site: LinearSite, o: Options, sites: readonly LinearSite[]): string[] {
  const kindOf = (each: LinearSite): string => {
    const { target_modules: targets } = o;
    const path = basePath(each);
    const names = Array.isArray(targets) ? targets.filter((name) => path.endsWith(name)) : [];
    const longest = names.reduce((best, name) => (name.length > best.length ? name : best), "");
    return `${longest} ${each.outFeatures} ${each.inFeatures}`;
  };
  const own = kindOf(site);
  return [...new Set(sites.filter((each) => kindOf(each) === own).map(basePath))];
}

export default defineAdapter({
  name: "lily",
  peftType: "LILY",
  summary: "Adds low-rank updates whose factors modules of one name share and mix by a router",
  formula: "y = W x + b + scaling (sum_e p_e B_e) A x, with p the mean over all tokens of softmax(R A x)",
  paper:
    "Zhong et al. 2024, Low-Rank Interconnected Adaptation across Layers, https://arxiv.org/abs/2407.09946",
  options,
  peftConfig: {},
  sites: ["linear"],
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o, sites) => {
    const group = groupOf(site, o, sites);
    const place = group.indexOf(basePath(site));
    const [first = basePath(site)] = group;
    const leader = group[place - (place % o.stride_A)] ?? first;
    return {
      A: {
        key: "lily_A.weight",
        shape: [o.r, site.inFeatures],
        init: kaimingUniform(),
        owner: leader,
        repeated: true,
      },
      B: {
        key: "lily_B.weight",
        shape: [o.num_B * o.r, site.outFeatures],
        init: o.init_weights ? filled(0) : kaimingUniform(),
        owner: first,
        repeated: true,
      },
      router: { key: "lily_router.weight", shape: [o.num_B, o.r], init: kaimingUniform() },
    };
  },
  build: ({ site, x, y, params: { A, B, router }, options: o, b }) => {
    const inner = b.matmul(x, b.transpose(A, [1, 0]));
    const chosen = b.op("Softmax", [b.matmul(inner, b.transpose(router, [1, 0]))], { axis: -1 });
    const shares = b.reduceMean(b.reshape(chosen, [-1, o.num_B]), [0], true);
    const experts = b.reshape(B, [o.num_B, o.r * site.outFeatures]);
    const up = b.reshape(b.matmul(shares, experts), [o.r, site.outFeatures]);
    return b.add(y, b.mul(b.matmul(inner, up), o.scaling));
  },
  mixesRows: "shares are the mean of the router's over all tokens of a batch",
  merge: () => "its shares depend on the tokens of a batch",
});
