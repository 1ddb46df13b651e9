/** Lets the chosen method rewrite the modules that its options target. */
import { z } from "zod";
import { attachTo } from "../src/adapt/attach.ts";
import type { Adapter, BoundAdapter } from "../src/adapt/define.ts";
import { bareKeyPrefix, keyPrefix } from "../src/adapt/parameters.ts";
import { allSites, choosePlaces } from "../src/adapt/places.ts";
import { adapterNames, findAdapter } from "../src/adapt/registry.ts";
import { findBaseParameters, tieOutputs, trainBaseParameters } from "../src/adapt/saved.ts";
import { basePath } from "../src/adapt/select.ts";
import { targetOptions } from "../src/adapt/targets.ts";
import { findHead, findSites } from "../src/analysis/sites.ts";
import { adaptErrors } from "../src/diagnostics/adapt.ts";
import { nearNames } from "../src/diagnostics/define.ts";
import type { Model } from "../src/ir/model.ts";
import { definePass } from "../src/pass/define.ts";
import { type GivenOptions, resolveOptions } from "../src/pass/options.ts";
import { Dropout } from "../src/training/dropout.ts";
import { logitsOutput } from "../src/training/tasks.ts";
import { adapters } from "./adapters/index.ts";

const sharedOptions = z.looseObject({
  ...targetOptions,
  bias: z.union([z.enum(["none", "all"]), z.string().endsWith("_only")]).default("none"),
});

export default definePass({
  name: "adapt",
  summary: "Attach a fine-tuning method to the modules it targets",
  options: z.strictObject({
    method: z.string().default("lora").describe("name of the method"),
    options: z.string().default("{}").describe("the method's options under PEFT's names, as JSON"),
    training: z.boolean().default(true).describe("build what only training needs, such as dropout"),
    seed: z.int().default(0).describe("seed of the starting values"),
    name: z.string().default("the model").describe("what messages call the model"),
  }),
  statistics: { sites: "modules adapted", parameters: "trainable tensors added" },
  run: (model, { options, stat, remark }) => {
    const adapter = bindAdapter(options.method, JSON.parse(options.options));
    const shared = sharedOptions.parse(adapter.options);
    const { graph, opset } = model;
    const before = graph.inputs.length;
    const sites = findSites(graph);
    const logits = logitsOutput(graph);
    const head = logits === undefined ? undefined : findHead(sites, logits);
    const chosen = choosePlaces(graph, adapter, shared, { sites, head, model: options.name });
    for (const text of chosen.remarks) remark(text);
    const found = findBaseParameters(graph, sites);
    const parameters = adapter.tied === "both" ? tieOutputs(found, sites) : found;
    const { bias } = shared;
    const whole = trainBaseParameters(graph, parameters, {
      modules: shared.modules_to_save ?? [],
      bias: bias === "none" || bias === "all" ? bias : "adapted",
      adapted: new Set(chosen.sites.map(basePath)),
      whole: (parameter) => adapter.trainsWhole(parameter),
      prefix: adapter.structure?.bare === true ? bareKeyPrefix : keyPrefix,
      opset,
    });
    if (adapter.sites.length === 0 && whole.length === 0)
      throw adaptErrors.E_NO_PARAMETERS(
        adapter.name,
        parameters.map(({ module, name }) => `${module}.${name}`),
      );
    const dropout = new Dropout();
    attachTo(graph, adapter, chosen, {
      opset,
      seed: options.seed,
      ...(options.training
        ? { dropout: (b, x, p) => dropout.apply(b, x, p), noise: (b, kind, like) => dropout[kind](b, like) }
        : {}),
    });
    stat("sites", allSites(chosen).length);
    stat("parameters", countNew(model, before));
    return true;
  },
});

function countNew({ graph }: Model, before: number): number {
  return graph.inputs.length - before;
}

/** Finds a method. @throws DiagnosticError `E_METHOD_UNKNOWN`. */
export function requireAdapter(name: string): Adapter {
  const adapter = findAdapter(name, adapters);
  if (adapter !== undefined) return adapter;
  const names = adapterNames(adapters);
  const near = nearNames(name, names);
  throw adaptErrors.E_METHOD_UNKNOWN(name, near.length > 0 ? near : names);
}

/**
 * Finds a method and parses its options.
 *
 * @throws DiagnosticError `E_METHOD_UNKNOWN`, `E_UNKNOWN_OPTION`, or `E_BAD_OPTION` naming option, bound and value.
 */
export function bindAdapter(name: string, options: GivenOptions): BoundAdapter {
  const adapter = requireAdapter(name);
  return adapter.bind(resolveOptions(`method "${name}"`, adapter.options, options));
}
