/** Folds adapters into the weights of the original model, which keeps its graph, opset and precision. */

import { weightElements, weightShape } from "../adapt/base-weight.ts";
import { sharesOf } from "../adapt/companions.ts";
import type { BoundAdapter, ParameterSpec } from "../adapt/define.ts";
import { keyOf, keyPrefix } from "../adapt/parameters.ts";
import type { BaseParameter } from "../adapt/saved.ts";
import { basePath, ownerPath } from "../adapt/select.ts";
import type { Site, SiteParameter } from "../analysis/sites.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { InternalError } from "../diagnostics/define.ts";
import { inlineTensor } from "../ir/constant.ts";
import { isFloat } from "../ir/dtype.ts";
import { Graph } from "../ir/graph.ts";
import { Model } from "../ir/model.ts";
import { Node } from "../ir/node.ts";
import { rowsOf } from "../ir/rows.ts";
import { Tensor } from "../ir/tensor.ts";
import { transposedTensor } from "../ir/transposed.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { convertTensor } from "../ops/convert-tensor.ts";
import { PackedWeights } from "./packed-weights.ts";
import { RequantizedWeights, type RoundingLoss, requireLayout } from "./requantize.ts";

/** A small graph that computes the merged weights of one site, and where its results go. */
export interface MergeJob {
  readonly site: Site;
  /** Constants in, `weight` and `bias` (those that change) out, in PyTorch's layout. */
  readonly model: Model;
}

/**
 * Makes the job of each adapted site. Sites with the same path share parameters and weight, so each path has one job.
 *
 * @param tensors trained tensors by checkpoint key.
 * @param requantize whether quantised weights are merged into, too.
 * @param reverse the weights are merged ones, and what they were is computed.
 * @throws DiagnosticError `E_MERGE_REFUSED`, `E_UNMERGE_REFUSED`, `E_MERGE_QUANTIZED`, `E_REQUANTIZE`, `E_CHECKPOINT_KEY_MISSING`.
 */
export function mergeJobs(
  adapter: BoundAdapter,
  sites: readonly Site[],
  tensors: ReadonlyMap<string, Tensor>,
  opset: number,
  { requantize = false, reverse = false }: { readonly requantize?: boolean; readonly reverse?: boolean } = {},
): MergeJob[] {
  const seen = new Set<string>();
  return sharesOf(adapter, sites, tensors).flatMap(({ adapter: owner, sites: linked }) => {
    const shared = keysOf(owner.shared(linked), undefined);
    return linked.flatMap((site) => {
      const path = basePath(site);
      if (seen.has(path)) return [];
      seen.add(path);
      const own = keysOf(owner.parameters(site, linked), ownerPath(site));
      const { quantized } = site.weight;
      if (quantized !== undefined && !requantize)
        throw adaptErrors.E_MERGE_QUANTIZED(site.path, quantized.description);
      if (quantized !== undefined) requireLayout(site, quantized);
      return [mergeJob(owner, site, [...shared, ...own], tensors, { opset, reverse })];
    });
  });
}

type Keys = readonly (readonly [name: string, key: string])[];

function keysOf(specs: Readonly<Record<string, ParameterSpec>>, path: string | undefined): Keys {
  return Object.entries(specs).map(([name, spec]) => [name, keyOf(spec, path)]);
}

function mergeJob(
  adapter: BoundAdapter,
  site: Site,
  keys: Keys,
  tensors: ReadonlyMap<string, Tensor>,
  { opset, reverse }: { readonly opset: number; readonly reverse: boolean },
): MergeJob {
  const model = new Model({ opsets: [["", opset]], graph: new Graph("merge") });
  const { graph } = model;
  const b = new OpBuilder({ graph }, opset);
  const params = Object.fromEntries(
    keys.map(([name, key]) => {
      const tensor = tensors.get(key);
      if (tensor === undefined) throw adaptErrors.E_CHECKPOINT_KEY_MISSING("the trained state", key, []);
      return [name, isFloat(tensor.dtype) ? inFloat32(b, tensor, key) : b.constant(tensor, key)];
    }),
  );
  const weightKey = `${keyPrefix}${basePath(site)}.base_layer.weight`;
  const base =
    site.weight.quantized === undefined ? torchTensor(site.weight, tensors, weightKey) : floatWeight(site);
  const weight = inFloat32(b, base, "base.weight");
  const biasKey = `${keyPrefix}${basePath(site)}.base_layer.bias`;
  const bias =
    site.bias === undefined ? undefined : inFloat32(b, torchTensor(site.bias, tensors, biasKey), "base.bias");
  const given = { site, weight, bias, params, b };
  const merged = reverse ? adapter.unmerge(given) : adapter.merge(given);
  if (typeof merged === "string")
    throw reverse
      ? adaptErrors.E_UNMERGE_REFUSED(site.path, adapter.name, merged)
      : adaptErrors.E_MERGE_REFUSED(site.path, adapter.name, merged);
  const outputs = [
    ["weight", merged.weight],
    ["bias", merged.bias],
  ] as const;
  for (const [name, value] of outputs) if (value !== undefined) addNamedOutput(graph, b, name, value);
  return { site, model };
}

function addNamedOutput(graph: Graph, b: OpBuilder, name: string, value: Value): void {
  const output = b.op("Identity", [value]);
  output.name = name;
  graph.addOutput(output);
}

function inFloat32(b: OpBuilder, tensor: Tensor, name: string): Value {
  return b.cast(b.constant(tensor, name), "float32");
}

/** What quantised numbers mean, in PyTorch's layout. */
function floatWeight(site: Site): Tensor {
  const elements = weightElements(site);
  return inlineTensor("float32", weightShape(site), new Uint8Array(elements.buffer));
}

/** A base parameter in PyTorch's layout; its trained value where it was trained itself. */
function torchTensor(part: SiteParameter, tensors: ReadonlyMap<string, Tensor>, key: string): Tensor {
  const trained = tensors.get(key);
  if (trained !== undefined) return trained;
  const tensor = part.value.initializer;
  if (tensor === undefined) throw new InternalError(`"${part.value.name}" has no data`);
  const whole = part.storedAs === "transposed" ? transposedTensor(tensor) : tensor;
  return part.rows === undefined ? whole : rowsOf(whole, part.rows);
}

/** A new value of a base parameter, in PyTorch's layout. */
export interface NewWeight {
  readonly parameter: Pick<BaseParameter, "value" | "storedAs" | "uses">;
  readonly tensor: Tensor;
}

/** What merging writes: results of jobs at their sites, and trained base parameters at theirs and at those tied to them. */
export function newWeights(
  parameters: readonly BaseParameter[],
  results: ReadonlyMap<Site, ReadonlyMap<string, Tensor>>,
  tensors: ReadonlyMap<string, Tensor>,
  onLoss: (loss: RoundingLoss) => void = () => undefined,
): NewWeight[] {
  const byName = new Map<string, BaseParameter>();
  const changes = new Map<string, Tensor>();
  for (const parameter of parameters) {
    const { module, name, tied = [] } = parameter;
    const trained =
      tensors.get(`${keyPrefix}${module}.${name}`) ?? tensors.get(`${keyPrefix}${module}.base_layer.${name}`);
    for (const each of [parameter, ...tied]) {
      byName.set(`${each.module}.${each.name}`, each);
      if (trained !== undefined) changes.set(`${each.module}.${each.name}`, trained);
    }
  }
  const rounded = new RequantizedWeights();
  for (const [site, outputs] of results) {
    for (const [name, tensor] of outputs) {
      const part = name === "bias" ? site.bias : site.weight;
      if (name === "weight" && part?.quantized !== undefined) {
        rounded.add(site, part.quantized, tensor);
        continue;
      }
      // A Conv1D's own layout is (in, out), while jobs yield (out, in).
      const own =
        site.kind === "linear" && site.conv1d && name === "weight" ? transposedTensor(tensor) : tensor;
      changes.set(`${basePath(site)}.${name}`, own);
    }
  }
  const packed = new PackedWeights();
  const whole = [...changes].flatMap(([name, tensor]): NewWeight[] => {
    const parameter = byName.get(name);
    if (parameter === undefined) throw new InternalError(`parameter "${name}" is not in the model`);
    if (parameter.rows === undefined) return [{ parameter, tensor }];
    packed.add(parameter, parameter.rows, tensor);
    return [];
  });
  const numbers = rounded.all().map(({ parameter: { value, reader, operand }, tensor, loss }): NewWeight => {
    const use = reader.useAt(operand);
    if (use === undefined) throw new InternalError(`"${value.name}" has no reader`);
    onLoss(loss);
    return { parameter: { value, storedAs: "torch", uses: [use] }, tensor };
  });
  return [...whole, ...packed.all(), ...numbers];
}

/**
 * Puts new weights into the graph in the file's own layout and type. A weight that other modules read too stays for
 * them: this module gets a copy of its own.
 */
export function replaceWeights(graph: Graph, weights: readonly NewWeight[]): void {
  for (const { parameter, tensor } of weights) {
    const { value, storedAs, uses } = parameter;
    const stored = storedAs === "transposed" ? transposedTensor(tensor) : tensor;
    const old = value.initializer;
    if (old === undefined) throw new InternalError(`"${value.name}" has no data`);
    const typed = convertTensor(stored, old.dtype);
    const replacement = new Tensor(typed.dtype, old.dims, typed.source, { name: old.name });
    const shared = [...value.uses].some((use) => !uses.includes(use) && !leadsOnlyTo(use, uses));
    if (!shared) {
      value.initializer = replacement;
      continue;
    }
    const copy = graph.addInitializer(replacement, `${value.name}.merged`);
    for (const use of uses) retarget(graph, use, value, copy);
  }
}

type Uses = BaseParameter["uses"];

/** Whether a Transpose or Identity hands the weight to nobody but the given readers. */
function leadsOnlyTo(use: Uses[number], uses: Uses): boolean {
  if (use.kind !== "operand" || use.node.outputs.length !== 1) return false;
  const readers = [...use.node.output().uses];
  return readers.length > 0 && readers.every((reader) => uses.includes(reader));
}

/** Lets one reader read the copy, through copies of the Transposes that stand in between. */
function retarget(graph: Graph, use: Uses[number], from: Value, to: Value): void {
  if (use.kind === "output") {
    use.graph.setOutput(use.index, to);
    return;
  }
  const chain: Node[] = [];
  for (let at = use.node.input(use.index); at !== undefined && at !== from; at = at.producer?.input(0)) {
    if (at.producer !== undefined) chain.unshift(at.producer);
  }
  let current = to;
  for (const node of chain) {
    const copy = new Node({
      op: node.op,
      domain: node.domain,
      // Scales of quantised numbers stand beside them.
      inputs: [current, ...node.inputs.slice(1)],
      attributes: Object.fromEntries(node.attributes),
    });
    graph.insert(copy, use.node);
    current = copy.output();
    current.type = node.output().type;
  }
  use.node.setInput(use.index, current);
}
