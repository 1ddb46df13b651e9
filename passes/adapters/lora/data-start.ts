/** LoRA's starts from data: what is gathered for each of them, and the factors that it gives. */
import { weightElements } from "../../../src/adapt/base-weight.ts";
import type { DataResult, DataStart, Gathered } from "../../../src/adapt/data-start.ts";
import { seedFor } from "../../../src/adapt/initializers.ts";
import { keyOf } from "../../../src/adapt/parameters.ts";
import { TorchGenerator } from "../../../src/adapt/torch-random.ts";
import type { LayerSite } from "../../../src/analysis/sites.ts";
import { adaptErrors } from "../../../src/diagnostics/adapt.ts";
import { inlineTensor } from "../../../src/ir/constant.ts";
import type { Tensor } from "../../../src/ir/tensor.ts";
import { Covariance, orientedFactors } from "../init/covariance.ts";
import { gradientFactors } from "../init/gradient.ts";
import { Components, countedRows } from "../init/inputs.ts";
import { singularParts } from "../parts/svd.ts";
import { plainSpecs } from "./factors.ts";
import { type Options, scalingOf } from "./options.ts";
import { type Module, shareRanks } from "./shared-ranks.ts";
import { isFromData } from "./starts.ts";

type Factors = Readonly<Partial<Record<string, Float32Array<ArrayBuffer>>>>;

/** What the starting values of linear modules need of data; undefined where they need none. */
export function dataStartOf(
  sites: readonly LayerSite[],
  o: Options,
  optionsFor: (path: string) => Options,
): DataStart | undefined {
  if (!isFromData(o)) return undefined;
  const byPath = new Map<string, Module>();
  for (const site of sites) {
    const path = site.path.replace(/#\d+$/, "");
    if (site.kind === "linear" && !byPath.has(path)) byPath.set(path, { site, path, o: optionsFor(path) });
  }
  const modules = [...byPath.values()];
  if (o.init_lora_weights === "eva") return fromInputs(modules, o);
  return o.init_lora_weights === "corda" ? fromCovariance(modules, o) : fromGradients(modules, o);
}

/** What a batch has for a module: one entry for each call of it. */
function entriesOf(batch: ReadonlyMap<string, Gathered>, path: string): Gathered[] {
  return [...batch].filter(([key]) => key.replace(/#\d+$/, "") === path).map(([, gathered]) => gathered);
}

/** Tensors of a module under their keys; what the weight loses are the factors themselves. */
function tensorsOf({ site, path, o }: Module, factors: Factors): [string, Tensor][] {
  return Object.entries(plainSpecs(site, o)).flatMap(([name, spec]): [string, Tensor][] => {
    const values = factors[name.replace(/^taken/, "")];
    if (values === undefined) return [];
    return [[keyOf(spec, path), inlineTensor("float32", spec.shape, new Uint8Array(values.buffer))]];
  });
}

function fromCovariance(modules: readonly Module[], { corda_config: config }: Options): DataStart {
  const sums = new Map(modules.map(({ path, site }) => [path, new Covariance(site.inFeatures)]));
  return {
    gathers: "inputs",
    passes: 1,
    add: (batch) => {
      for (const [path, sum] of sums) for (const gathered of entriesOf(batch, path)) sum.add(gathered);
    },
    isDone: () => false,
    finish: () => ({
      options: {},
      tensors: new Map(
        modules.flatMap((module) => {
          const { site, path, o } = module;
          const sum = sums.get(path);
          if (sum === undefined || sum.examples === 0)
            throw adaptErrors.E_START_DATA_SHORT(
              "corda",
              path,
              "no example",
              "examples that the module reads",
            );
          const factors = orientedFactors(
            weightElements(site),
            [site.outFeatures, site.inFeatures],
            sum.damped(),
            { r: o.r, scaling: scalingOf(o), largest: config?.corda_method !== "kpm" },
          );
          return tensorsOf(module, { ...factors });
        }),
      ),
    }),
  };
}

function fromGradients(modules: readonly Module[], { lora_ga_config: config }: Options): DataStart {
  const sums = new Map(
    modules.map(({ path, site }) => [path, new Float64Array(site.outFeatures * site.inFeatures)]),
  );
  let batches = 0;
  return {
    gathers: "gradients",
    passes: 1,
    add: (batch) => {
      batches += 1;
      for (const [path, sum] of sums)
        for (const { values } of entriesOf(batch, path))
          for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (values[i] ?? 0);
    },
    isDone: () => false,
    finish: () => ({
      options: {},
      tensors: new Map(
        modules.flatMap((module) => {
          const { site, path, o } = module;
          const { outFeatures: rows, inFeatures: columns } = site;
          const generator = new TorchGenerator(seedFor(0, path));
          const mean = (sums.get(path) ?? new Float64Array()).map((value) => value / batches);
          const factors = gradientFactors(mean, [rows, columns], {
            r: o.r,
            scaling: scalingOf(o),
            direction: config?.direction ?? "ArB2r",
            scale: config?.scale ?? "stable",
            gamma: config?.stable_gamma ?? 16,
            weightNorm: () => singularParts(weightElements(site), rows, columns, 1).values[0] ?? 0,
            draw: () => generator.uniform(),
          });
          return tensorsOf(module, { ...factors });
        }),
      ),
    }),
  };
}

/** Data are read again where directions have not settled. */
const passesOverInputs = 20;

function fromInputs(modules: readonly Module[], o: Options): DataStart {
  const {
    rho = 2,
    tau = 0.99,
    use_label_mask: masks = true,
    label_mask_value: label = -100,
  } = o.eva_config ?? {};
  // Modules that read the same share their components, as many as the most of them may have.
  const most = Math.max(...modules.map((module) => Math.round(module.o.r * rho)));
  const components = new Map<string, Components>();
  const link = (batch: ReadonlyMap<string, Gathered>): void => {
    const known = new Map<Gathered, Components>();
    for (const { path, site } of modules) {
      const [gathered] = entriesOf(batch, path);
      if (gathered === undefined) continue;
      const count = Math.min(most, site.inFeatures);
      const own = known.get(gathered) ?? new Components(count, tau);
      known.set(gathered, own);
      components.set(path, own);
    }
  };
  const ranks = (): Map<string, number> => shareRanks(modules, components, rho);
  return {
    gathers: "inputs",
    passes: passesOverInputs,
    ...(masks ? { ignoredLabel: label } : {}),
    add: (batch) => {
      if (components.size === 0) link(batch);
      const done = new Set<Components>();
      for (const { path } of modules) {
        const own = components.get(path);
        if (own === undefined || done.has(own)) continue;
        done.add(own);
        own.add(entriesOf(batch, path).flatMap(countedRows));
      }
    },
    isDone: () => {
      if ([...components.values()].some(({ directions }) => directions.length === 0)) return false;
      const shared = ranks();
      return modules.every(({ path }) =>
        (components.get(path)?.settled ?? []).slice(0, shared.get(path)).every((settled) => settled),
      );
    },
    finish: () => {
      for (const { path } of modules) components.get(path)?.requireSome("eva", path);
      return settledByInputs(modules, components, ranks(), o);
    },
  };
}

/** Ranks, scalings and targets that follow from the data; modules of rank 0 are not adapted. */
function settledByInputs(
  modules: readonly Module[],
  components: ReadonlyMap<string, Components>,
  ranks: ReadonlyMap<string, number>,
  o: Options,
): DataResult {
  const { whiten = false, adjust_scaling_factors: adjusts = true } = o.eva_config ?? {};
  const kept = modules.filter(({ path }) => (ranks.get(path) ?? 0) > 0);
  const settled = kept.map((module): Module => {
    const r = ranks.get(module.path) ?? 0;
    const lora_alpha = adjusts ? (module.o.lora_alpha * r) / module.o.r : module.o.lora_alpha;
    return { ...module, o: { ...module.o, r, lora_alpha } };
  });
  const tensors = settled.flatMap((module) => {
    const { directions = [], values = [] } = components.get(module.path) ?? {};
    const A = new Float32Array(module.o.r * module.site.inFeatures);
    directions.slice(0, module.o.r).forEach((row, i) => {
      const scale = whiten ? 1 / Math.sqrt(values[i] ?? 1) : 1;
      A.set(
        row.map((value) => value * scale),
        i * module.site.inFeatures,
      );
    });
    return tensorsOf(module, { A });
  });
  const differing = (of: "r" | "lora_alpha"): Record<string, number> =>
    Object.fromEntries(
      settled.filter((each) => each.o[of] !== o[of]).map(({ path, o: own }) => [path, own[of]]),
    );
  return {
    options: {
      target_modules: settled.map(({ path }) => path),
      exclude_modules: null,
      layers_to_transform: null,
      layers_pattern: null,
      rank_pattern: differing("r"),
      alpha_pattern: differing("lora_alpha"),
    },
    tensors: new Map(tensors),
  };
}
