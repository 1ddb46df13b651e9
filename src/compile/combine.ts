/** Makes one adapter folder out of several, as PEFT's `add_weighted_adapter` does; no model is needed. */
import { bindAdapter, requireAdapter } from "../../passes/adapt.ts";
import { adapters } from "../../passes/adapters/index.ts";
import {
  type AnyCombination,
  type CombinationRequest,
  type CombinationType,
  type CombineContext,
  type CombinedPart,
  combinationSchema,
  kindOf,
} from "../adapt/combination.ts";
import type { BoundAdapter } from "../adapt/define.ts";
import { keyPrefix } from "../adapt/parameters.ts";
import { TorchGenerator } from "../adapt/torch-random.ts";
import { peftErrors } from "../diagnostics/peft.ts";
import type { Tensor } from "../ir/tensor.ts";
import { fromTensor, type NDArray, toTensor } from "../ops/ndarray.ts";
import { resolveOptions } from "../pass/options.ts";
import { combineTargets } from "./combine-targets.ts";
import { writePeftFolder } from "./export-peft.ts";
import { type PeftFolder, readPeftFolder } from "./peft-folder.ts";

/** An adapter folder and how much it counts. */
export interface WeightedAdapter {
  readonly folder: string;
  /** 1 where absent; negative weights take an adapter's effect away. */
  readonly weight?: number;
}

/** How adapters are combined; names and defaults are PEFT's. */
export type CombineOptions = Partial<CombinationRequest>;

/** The combined adapter, in memory. */
export interface CombinedAdapter {
  readonly method: string;
  readonly type: CombinationType;
  readonly options: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Writes a folder that PEFT loads. */
  write(folder: string): Promise<void>;
}

interface Given extends PeftFolder {
  readonly folder: string;
  readonly weight: number;
}

/**
 * Combines adapters of one method into one.
 *
 * @example
 * await combineAdapters([{ folder: "a", weight: 0.7 }, { folder: "b", weight: 0.3 }], { type: "ties", density: 0.5 }).write("ab");
 *
 * @throws DiagnosticError `E_PEFT_*`, `E_COMBINE_*`, `E_BAD_OPTION`.
 */
export function combineAdapters(
  given: readonly [WeightedAdapter, ...WeightedAdapter[]],
  options: CombineOptions = {},
): CombinedAdapter {
  resolveOptions("combine", combinationSchema, { ...options });
  const request = combinationSchema.parse(options);
  const open = ({ folder, weight = 1 }: WeightedAdapter): Given => ({
    ...readPeftFolder(folder),
    folder,
    weight,
  });
  const [head, ...rest] = given;
  const first = open(head);
  const inputs = [first, ...rest.map(open)];
  const other = inputs.find(({ method }) => method !== first.method);
  if (other !== undefined)
    throw peftErrors.E_COMBINE_METHODS_DIFFER(other.folder, other.method, first.method);
  const { combination, options: schema } = requireAdapter(first.method);
  for (const input of inputs) resolveOptions(input.folder, schema, input.options);
  if (combination === undefined) {
    const known = adapters.filter((each) => each.combination !== undefined).map(({ name }) => name);
    throw peftErrors.E_COMBINE_METHOD(first.folder, first.method, known);
  }
  const type = chooseType(first.method, combination, request, inputs.length);
  const own = combination.options(
    inputs.map((input) => input.options),
    { type, svd_rank: request.svd_rank },
  );
  if (typeof own === "string") throw peftErrors.E_COMBINE_REFUSED(first.folder, undefined, own);
  const modules = modulesOf(inputs, combination);
  const adapter = bindAdapter(first.method, {
    ...first.options,
    ...own,
    ...combineTargets(inputs, [...modules.keys()]),
  });
  const made = combineModules(modules, combination, contextOf(type, request, adapter));
  if ("reason" in made) throw peftErrors.E_COMBINE_REFUSED(first.folder, made.path, made.reason);
  const tensors = new Map([...uncombined(inputs, combination), ...made.tensors]);
  return {
    method: first.method,
    type,
    options: adapter.options,
    tensors,
    write: (folder) => writeCombined(folder, adapter, tensors, inputs),
  };
}

/** What a combination computes with; the generator is one for all modules, as PyTorch's is. */
export function contextOf(
  type: CombinationType,
  request: CombinationRequest,
  adapter: Pick<BoundAdapter, "options">,
): CombineContext<unknown> {
  const { prune, elects } = kindOf(type);
  const generator = new TorchGenerator(request.seed);
  return {
    type,
    clamp: request.svd_clamp,
    result: adapter.options,
    rule: {
      density: request.density ?? 1,
      ...(prune === undefined ? {} : { prune }),
      ...(elects === true ? { elect: request.majority_sign_method } : {}),
      draw: () => generator.uniform(),
    },
  };
}

function chooseType(
  method: string,
  { types }: AnyCombination,
  request: CombinationRequest,
  count: number,
): CombinationType {
  // Of one adapter only a multiple can be made.
  const usual = count === 1 && types.includes("linear") ? "linear" : types[0];
  const type = request.type ?? usual ?? "linear";
  if (!types.includes(type)) throw peftErrors.E_COMBINE_TYPE(method, type, types);
  const { prune, on } = kindOf(type);
  if (prune !== undefined && request.density === undefined)
    throw peftErrors.E_COMBINE_OPTION("density", type, "a number above 0, and at most 1", "nothing");
  const idle = {
    density: prune === undefined ? request.density : undefined,
    svd_rank: on === "update" ? undefined : request.svd_rank,
    svd_clamp: on === "update" ? undefined : request.svd_clamp,
  };
  for (const [option, value] of Object.entries(idle))
    if (value !== undefined) throw peftErrors.E_COMBINE_OPTION(option, type, "nothing", String(value));
  return type;
}

/** One adapter's part of a module, not read yet. */
type StoredPart = Omit<CombinedPart<unknown>, "tensors"> & { readonly tensors: Record<string, Tensor> };

type Modules = ReadonlyMap<string, readonly StoredPart[]>;

/** Parts of each module, from the adapters that have it, in the order of their keys. */
export function modulesOf(
  inputs: readonly Pick<Given, "tensors" | "weight" | "options">[],
  combination: AnyCombination,
): Modules {
  const modules = new Map<string, StoredPart[]>();
  for (const { tensors, weight, options } of inputs) {
    const own = new Map<string, Record<string, Tensor>>();
    for (const [key, tensor] of tensors) {
      const place = placeOf(key, combination);
      if (place === undefined) continue;
      own.set(place.path, { ...own.get(place.path), [place.key]: tensor });
    }
    for (const [path, parts] of own)
      modules.set(path, [...(modules.get(path) ?? []), { weight, options, tensors: parts }]);
  }
  return modules;
}

function placeOf(key: string, { keys }: AnyCombination): { path: string; key: string } | undefined {
  const end = keys.find((name) => key.endsWith(`.${name}`));
  if (end === undefined || !key.startsWith(keyPrefix)) return undefined;
  return { path: key.slice(keyPrefix.length, -end.length - 1), key: end };
}

/** Tensors by key; the module where its parts do not fit together, and why. */
export function combineModules(
  modules: Modules,
  combination: AnyCombination,
  context: CombineContext<unknown>,
): { readonly tensors: ReadonlyMap<string, Tensor> } | { readonly path: string; readonly reason: string } {
  const tensors = new Map<string, Tensor>();
  for (const [path, stored] of modules) {
    const parts = stored.map((part) => ({ ...part, tensors: arraysOf(part.tensors) }));
    const made = combination.module(path, parts, context);
    if (typeof made === "string") return { path, reason: made };
    for (const [end, array] of Object.entries(made)) {
      const key = `${keyPrefix}${path}.${end}`;
      tensors.set(key, toTensor(array, key));
    }
  }
  return { tensors };
}

function arraysOf(tensors: Readonly<Record<string, Tensor>>): Record<string, NDArray> {
  return Object.fromEntries(Object.entries(tensors).map(([key, tensor]) => [key, fromTensor(tensor)]));
}

/** Tensors that are no part of an update, such as a head that was trained whole: those of one adapter, or the same in all. */
function uncombined(inputs: readonly Given[], combination: AnyCombination): Map<string, Tensor> {
  const found = new Map<string, { readonly tensor: Tensor; readonly folder: string }>();
  for (const { tensors, folder } of inputs) {
    for (const [key, tensor] of tensors) {
      if (placeOf(key, combination) !== undefined) continue;
      const known = found.get(key);
      if (known !== undefined && !Buffer.from(known.tensor.bytes()).equals(tensor.bytes()))
        throw peftErrors.E_COMBINE_OVERLAP(folder, key, known.folder);
      found.set(key, { tensor, folder });
    }
  }
  return new Map([...found].map(([key, { tensor }]) => [key, tensor]));
}

async function writeCombined(
  folder: string,
  adapter: BoundAdapter,
  tensors: ReadonlyMap<string, Tensor>,
  inputs: readonly Given[],
): Promise<void> {
  const transposed = inputs.some(({ config }) => config.fan_in_fan_out === true);
  const base = inputs[0]?.config.base_model_name_or_path;
  await writePeftFolder(folder, {
    adapter,
    taskType: inputs[0]?.taskType ?? undefined,
    tensors,
    facts: {
      config: {
        ...(transposed ? { fan_in_fan_out: true } : {}),
        ...(typeof base === "string" ? { base_model_name_or_path: base } : {}),
      },
      aliases: {},
    },
  });
}
