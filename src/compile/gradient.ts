/** `gradient`: reverse-mode differentiation as a plain model, with the upstream gradients as inputs. */
import { differentiate, type Seed } from "../autodiff/differentiate.ts";
import { lostPathFinder } from "../autodiff/lost-path.ts";
import { labelOf } from "../autodiff/path.ts";
import { nearNames } from "../diagnostics/define.ts";
import { gradientErrors } from "../diagnostics/gradient.ts";
import { cloneModel } from "../ir/clone.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model } from "../ir/model.ts";
import { assignNames } from "../ir/names.ts";
import { inPhase } from "../ir/phase.ts";
import { formatType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { verifyModel } from "../ir/verify.ts";
import { OpBuilder } from "../ops/builder.ts";
import { takesGradient } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";
import { type Instrumentation, runPasses } from "./passes.ts";
import { pinInitializers, unpinInitializers } from "./pin.ts";

/** What to differentiate, and by what. */
export interface GradientRequest {
  /** Names of outputs; every float output unless given. */
  readonly of?: readonly string[] | undefined;
  /** Names of inputs or initializers; every float input that gradients may flow into unless given. */
  readonly wrt?: readonly string[] | undefined;
}

/** A gradient model, with the names that were given to its new inputs and outputs. */
export interface GradientModel {
  readonly model: Model;
  /** Input of the upstream gradient, by output. */
  readonly upstream: Readonly<Record<string, string>>;
  /** Output of the gradient, by input or initializer. */
  readonly gradients: Readonly<Record<string, string>>;
}

/**
 * The gradient of a model: the original inputs and, for each output of `of`, its upstream gradient `grad.<output>`; the
 * original outputs and, for each of `wrt`, the sum of vector-Jacobian products `grad.<input>`, zeros where nothing
 * depends on it. A name that is taken gets one more `grad.` in front. The model itself is not changed.
 *
 * @throws DiagnosticError `E_GRADIENT_*` for names and types, `E_NO_GRADIENT`, `E_UNKNOWN_OPERATOR` and `E_UNKNOWN_TYPE`
 * for ways that have no gradient.
 */
export function makeGradient(
  source: Model,
  request: GradientRequest = {},
  watch: Instrumentation = {},
): GradientModel {
  const model = cloneModel(source);
  const { graph } = model;
  runPasses(model, "inline-functions,upgrade-opset,lift-constants,infer-shapes,time-first", watch);
  const outputs = chooseOutputs(graph, request.of);
  const chosen = chooseVariables(graph, request.wrt);
  const pinned = pinInitializers(graph, chosen);
  const variables = chosen.map((value) => pinned.get(value) ?? value);
  runPasses(model, "canonicalize,fold,fold-shapes,canonicalize,cse,dce", watch);

  const taken = new Set([...graph.inputs, ...graph.outputs, ...graph.initializers].map(({ name }) => name));
  const upstream: Record<string, string> = {};
  const seeds = outputs.map((name): Seed => {
    const value = outputNamed(graph, name);
    const gradient = graph.addInput({ name: freeName(name, taken), type: value.type });
    upstream[name] = gradient.name;
    return { value, gradient };
  });
  const gradients = inPhase(graph, "backward", () => {
    const found = differentiate(graph, seeds, variables, model.opset);
    return addGradients(graph, { outputs, variables, found, opset: model.opset, taken });
  });
  runPasses(model, "canonicalize,fold,cse,dce", watch);
  unpinInitializers(graph, pinned.values());
  model.irVersion = Math.min(Math.max(model.irVersion, 10), 13);
  assignNames(model, { nodes: true });
  verifyModel(model);
  return { model, upstream, gradients };
}

interface Found {
  readonly outputs: readonly string[];
  readonly variables: readonly Value[];
  readonly found: readonly (Value | undefined)[];
  readonly opset: number;
  readonly taken: Set<string>;
}

/** Adds an output for the gradient of each variable; gives their names. */
function addGradients(
  graph: Graph,
  { outputs, variables, found, opset, taken }: Found,
): Record<string, string> {
  const b = new OpBuilder({ graph }, opset);
  const names: Record<string, string> = {};
  const targets = outputs.map((name) => outputNamed(graph, name));
  const findLost = lostPathFinder(graph, targets);
  variables.forEach((variable, i) => {
    const { name } = variable;
    const gradient = found[i];
    const lost = findLost(variable, gradient);
    if (lost !== undefined) {
      throw gradientErrors.E_GRADIENT_INTEGERS(labelOf(lost.node), lost.target.name, name, lost.path);
    }
    const value = gradient ?? b.zerosLike(variable);
    // An output of its own even where two variables share a gradient, or where it is an input.
    const shared = value.producer === undefined || [...value.uses].some((use) => use.kind === "output");
    const output = shared ? b.op("Identity", [value]) : value;
    output.name = freeName(name, taken);
    names[name] = output.name;
    graph.addOutput(output);
  });
  return names;
}

function chooseOutputs(graph: Graph, names: readonly string[] | undefined): string[] {
  const all = graph.outputs.map(({ name }) => name);
  if (names === undefined || names.length === 0) {
    const floats = graph.outputs.filter(isFloatTensor);
    if (floats.length > 0) return floats.map(({ name }) => name);
    throw gradientErrors.E_GRADIENT_NOTHING("--of", "output", graph.outputs.map(describe));
  }
  for (const name of names) {
    const output = graph.outputs.find((candidate) => candidate.name === name);
    if (output === undefined) throw gradientErrors.E_GRADIENT_OUTPUT(name, all, nearNames(name, all));
    if (!isFloatTensor(output)) throw gradientErrors.E_GRADIENT_TYPE("--of", name, formatType(output.type));
  }
  return [...new Set(names)];
}

function chooseVariables(graph: Graph, names: readonly string[] | undefined): Value[] {
  if (names === undefined || names.length === 0) {
    const floats = graph.inputs.filter((input) => isFloatTensor(input) && !takesNone(input));
    if (floats.length > 0) return floats;
    throw gradientErrors.E_GRADIENT_NOTHING("--wrt", "input", graph.inputs.map(describe));
  }
  const candidates = [...graph.inputs, ...graph.initializers];
  return [...new Set(names)].map((name) => {
    const value = candidates.find((candidate) => candidate.name === name);
    if (value === undefined) {
      const near = nearNames(
        name,
        candidates.map((candidate) => candidate.name),
      );
      throw gradientErrors.E_GRADIENT_INPUT(
        name,
        graph.inputs.map((input) => input.name),
        near,
      );
    }
    if (!isFloatTensor(value)) throw gradientErrors.E_GRADIENT_TYPE("--wrt", name, formatType(value.type));
    return value;
  });
}

/** Whether no reader of an input lets gradients into it: sizes, places, and what PyTorch takes for constant. */
function takesNone(input: Value): boolean {
  if (!input.isUsed) return false;
  return [...input.uses].every((use) => use.kind === "operand" && !takesGradient(opOf(use.node), use.index));
}

/** The output of a name, looked up anew: passes may have put another value in its place. */
function outputNamed(graph: Graph, name: string): Value {
  const output = graph.outputs.find((candidate) => candidate.name === name);
  if (output === undefined)
    throw gradientErrors.E_GRADIENT_OUTPUT(
      name,
      graph.outputs.map((each) => each.name),
      [],
    );
  return output;
}

function isFloatTensor(value: Value): boolean {
  return value.tensorType !== undefined && isFloat(value.tensorType.dtype);
}

function describe({ name, type }: Value): string {
  return `${name}: ${formatType(type)}`;
}

/** `grad.<name>`, with more `grad.` in front while that is taken. */
function freeName(name: string, taken: Set<string>): string {
  let free = `grad.${name}`;
  while (taken.has(free)) free = `grad.${free}`;
  taken.add(free);
  return free;
}
