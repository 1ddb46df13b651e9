/** A method on a probe: compiled as a user would compile it, at its start or at a random point of its parameters. */

import type { Adapter } from "../adapt/define.ts";
import { keyOf, keyPrefix } from "../adapt/parameters.ts";
import { basePath, ownerPath } from "../adapt/select.ts";
import { type Compiled, type CompileOptions, compileGraphs, type GraphName } from "../compile/compile.ts";
import type { CompileRequest } from "../compile/request.ts";
import { Random } from "../data/random.ts";
import { DiagnosticError, InternalError } from "../diagnostics/define.ts";
import { float32Tensor } from "../ir/constant.ts";
import type { Model } from "../ir/model.ts";
import { roleFact, roleOf } from "../ir/role.ts";
import type { Tensor } from "../ir/tensor.ts";
import { fromNumbers, fromTensor, NDArray } from "../ops/ndarray.ts";
import { describeOptions } from "../pass/describe-options.ts";
import type { GivenOptions } from "../pass/options.ts";
import { readSlices } from "../training/flatten.ts";
import type { Arrays } from "./fed-graph.ts";
import { type Probe, parseProbe } from "./probes.ts";

/** What a check is about. */
export interface Subject {
  readonly method: Adapter;
  readonly probe: Probe;
  /** Options beside the targets, as small as the probe asks for. */
  readonly options: GivenOptions;
}

/** What is asked for; `options` join the subject's own. */
export function requestOf(
  { method, probe, options: own }: Subject,
  { options = {}, request = {} }: CompileChange = {},
): CompileRequest {
  return {
    method: { name: method.name, options: { ...targetsOf(method, probe), ...own, ...options } },
    modulesToSave: [],
    optimizer: { name: "adamw", options: { lr: 1e-2 } },
    ...request,
  };
}

export function compileSubject(subject: Subject, change: CompileChange = {}): Compiled {
  return compileGraphs(parseProbe(subject.probe), requestOf(subject, change), change.how);
}

export interface CompileChange {
  readonly options?: GivenOptions;
  readonly request?: CompileRequest;
  readonly how?: CompileOptions;
}

/** Trains without dropout and noise, as gradients are compared. */
export const still: CompileChange = { how: { still: true } };

function targetsOf(method: Adapter, { targets }: Probe): GivenOptions {
  return targets.length > 0 && "target_modules" in method.options.shape ? { target_modules: targets } : {};
}

/**
 * Options with which a method fits a probe: its defaults, or smaller whole numbers and shorter lists one by one.
 *
 * @returns the subject; a reason where the method refuses the probe whatever its options.
 */
export function fitSubject(method: Adapter, probe: Probe, given: GivenOptions = {}): Subject | string {
  let reason = "";
  for (const options of [{}, ...smallerOptions(method)]) {
    const subject = { method, probe, options: { ...options, ...given } };
    try {
      compileSubject(subject);
      return subject;
    } catch (error) {
      // A crash is for the checks to report.
      if (!(error instanceof DiagnosticError)) return subject;
      reason ||= error.diagnostics[0].message;
    }
  }
  return reason;
}

function* smallerOptions(method: Adapter): Generator<GivenOptions> {
  for (const { name, type } of describeOptions(method.options)) {
    if (/list of whole number/.test(type)) yield { [name]: [1, 2] };
    if (/^whole number/.test(type)) for (const size of [8, 4, 2, 1]) yield { [name]: size };
  }
}

/**
 * Keys of all tensors that the method declares as trained, with the biases that its option `bias` adds, and those parameters of the
 * base model that it says it trains.
 */
export function declaredKeys({ plan, parameterKeys }: Compiled): Set<string> {
  const { adapter, sites } = plan;
  const { bias = "none" } = adapter.options;
  const keys = new Set<string>();
  const add = (specs: ReturnType<typeof adapter.shared>, path?: string): void => {
    for (const spec of Object.values(specs)) if (spec.trainable !== false) keys.add(keyOf(spec, path));
  };
  add(adapter.shared(sites));
  for (const key of parameterKeys) {
    const [, module = "", name = ""] = /^(.*)\.([^.]+)$/.exec(key.slice(keyPrefix.length)) ?? [];
    if (key.startsWith(keyPrefix) && adapter.trainsWhole({ module, name })) keys.add(key);
  }
  for (const site of sites) {
    add(adapter.parameters(site, sites), ownerPath(site));
    if (bias !== "none" && "bias" in site && site.bias !== undefined)
      keys.add(`${keyPrefix}${basePath(site)}.base_layer.bias`);
  }
  return keys;
}

/** Starting values of the parameters of a graph, by input name. */
export function startOf(compiled: Compiled, name: GraphName): Map<string, NDArray> {
  const state = new Map<string, NDArray>();
  for (const input of compiled.graphs[name].graph.inputs) {
    const key = roleFact(input, "key");
    const type = input.tensorType;
    if (!carried.has(roleOf(input) ?? "") || key === undefined || type === undefined) continue;
    const scalar = compiled.state.scalars.get(key);
    if (scalar !== undefined) state.set(input.name, fromNumbers(type.dtype, [], [Number(scalar)]));
    else if (roleFact(input, "slices") === undefined)
      state.set(input.name, fromTensor(tensorOf(compiled, key)));
    else state.set(input.name, flat(readSlices(input).map((slice) => tensorOf(compiled, slice.key))));
  }
  return state;
}

const carried: ReadonlySet<string> = new Set(["param", "state", "scale"]);

function tensorOf({ state }: Compiled, key: string): Tensor {
  const tensor = state.tensors.get(key);
  if (tensor === undefined) throw new InternalError(`"${key}" has no starting value`);
  return tensor;
}

function flat(tensors: readonly Tensor[]): NDArray {
  const values = tensors.flatMap((tensor) => [...fromTensor(tensor).numbers]);
  return new NDArray("float32", [values.length], Float64Array.from(values));
}

/** The input that holds all parameters in one vector. */
export function flatInput({ graph }: Model): string {
  const input = graph.inputs.find((value) => roleOf(value) === "param");
  if (input === undefined) throw new Error("nothing is trained");
  return input.name;
}

/** A point off the start, where no factor of a product is zero; the same for every graph. */
export function randomPoint(compiled: Compiled, deviation = 0.1): Map<string, NDArray> {
  const random = new Random(11);
  const name = flatInput(compiled.graphs.grad);
  const start = startOf(compiled, "grad").get(name) ?? new NDArray("float32", [0], new Float64Array(0));
  const moved = start.numbers.map((value) => Math.fround(value + deviation * random.normal()));
  return new Map([[name, new NDArray("float32", start.shape, moved)]]);
}

/** Trained tensors by key at a point, and beside them what is not trained. */
export function tensorsAt(compiled: Compiled, point: Arrays): Map<string, Tensor> {
  const tensors = new Map([...compiled.state.tensors].filter(([key]) => !key.includes("/")));
  const input = compiled.graphs.grad.graph.inputs.find((value) => roleOf(value) === "param");
  const values = input === undefined ? undefined : point.get(input.name)?.numbers;
  if (input === undefined || values === undefined) throw new InternalError("the point has no parameters");
  for (const { key, offset, shape } of readSlices(input)) {
    const size = shape.reduce((product, dim) => product * dim, 1);
    tensors.set(key, float32Tensor([...values.slice(offset, offset + size)], shape));
  }
  return tensors;
}
