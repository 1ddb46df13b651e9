/** Parts of the base model that are trained whole: modules_to_save, and biases under the `bias` option. */
import { parseParameterName } from "../analysis/module-path.ts";
import { parametersOf, type Site, type StoredAs } from "../analysis/sites.ts";
import { linkTied } from "../analysis/tied-sites.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { InternalError } from "../diagnostics/define.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import { setRole } from "../ir/role.ts";
import { rowsOf } from "../ir/rows.ts";
import { transposedTensor } from "../ir/transposed.ts";
import { tensorType } from "../ir/type.ts";
import type { Use, Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { convertTensor } from "../ops/convert-tensor.ts";
import { keyPrefix } from "./parameters.ts";
import { basePath, isInsideSaved } from "./select.ts";

/** A parameter of the base model under its PyTorch name. */
export interface BaseParameter {
  readonly module: string;
  /** `weight` or `bias`, or whatever the module calls it. */
  readonly name: string;
  readonly value: Value;
  readonly storedAs: StoredAs;
  /** Whether the file holds it as quantised numbers, which cannot be trained. */
  readonly quantized: boolean;
  /** Operands that read it on behalf of this module; for tied weights, not those of the other modules. */
  readonly uses: readonly Use[];
  /** Rows, in PyTorch's layout, where the value holds several modules. */
  readonly rows?: { readonly start: number; readonly size: number };
  /** The same weight as other modules have it, which follows this one; none where absent. */
  readonly tied?: readonly BaseParameter[];
}

/** Every float parameter whose module is known: those of sites first, then whatever else is named like one. */
export function findBaseParameters(graph: Graph, sites: readonly Site[]): BaseParameter[] {
  const found = new Map<string, BaseParameter>();
  const claimed = new Set<Use>();
  const add = (parameter: BaseParameter): void => {
    const key = `${parameter.module}.${parameter.name}`;
    const known = found.get(key);
    found.set(key, known === undefined ? parameter : { ...known, uses: [...known.uses, ...parameter.uses] });
    for (const use of parameter.uses) claimed.add(use);
  };
  for (const site of sites) {
    for (const [name, part] of parametersOf(site)) {
      const use = part.reader.useAt(part.operand);
      if (use === undefined) throw new InternalError(`site "${site.path}" does not read its ${name}`);
      const storedAs = isConv1d(site) && name === "weight" ? "torch" : part.storedAs;
      const quantized = part.quantized !== undefined;
      const rows = part.rows === undefined ? {} : { rows: part.rows };
      add({ module: basePath(site), name, value: part.value, storedAs, quantized, uses: [use], ...rows });
    }
  }
  for (const value of graph.initializers) {
    const name = parseParameterName(value.name);
    const dtype = value.initializer?.dtype;
    if (name === undefined || dtype === undefined || !isFloat(dtype)) continue;
    const uses = [...value.uses].filter(
      (use) => !claimed.has(use) && !isClaimedThroughTranspose(use, claimed),
    );
    const own = {
      module: name.module,
      name: name.parameter,
      value,
      storedAs: "torch" as const,
      quantized: false,
    };
    if (uses.length > 0) add({ ...own, uses });
  }
  return [...found.values()];
}

/** The same parameters, where weights of output layers that are tied to a table are part of the table's. */
export function tieOutputs(parameters: readonly BaseParameter[], sites: readonly Site[]): BaseParameter[] {
  const tables = new Map<string, string>();
  for (const { tiedTo, ...site } of linkTied(sites))
    if (tiedTo !== undefined) tables.set(basePath(site), tiedTo);
  const tableOf = ({ module, name }: BaseParameter): string | undefined =>
    name === "weight" ? tables.get(module) : undefined;
  return parameters
    .filter((parameter) => tableOf(parameter) === undefined)
    .map((parameter) => {
      const tied = parameters.filter(
        (other) => parameter.name === other.name && tableOf(other) === parameter.module,
      );
      return tied.length === 0 ? parameter : { ...parameter, tied };
    });
}

/** Transformers' Conv1D keeps (in, out) under its own name, so its own layout is the stored one. */
function isConv1d(site: Site): boolean {
  return site.kind === "linear" && site.conv1d;
}

function isClaimedThroughTranspose(use: Use, claimed: ReadonlySet<Use>): boolean {
  if (use.kind !== "operand" || (use.node.op !== "Transpose" && use.node.op !== "Identity")) return false;
  const readers = [...use.node.output().uses];
  return readers.length > 0 && readers.every((reader) => claimed.has(reader));
}

/** What is to be trained beside the adapter. */
export interface SavedOptions {
  readonly modules: readonly string[];
  readonly bias: "none" | "all" | "adapted";
  /** Parameters that the method itself trains whole; none where absent. */
  readonly whole?: (parameter: BaseParameter) => boolean;
  /** Base paths of adapted sites: their biases get the infix `base_layer`. */
  readonly adapted: ReadonlySet<string>;
  /** What keys begin with; that of wrapped models where absent. */
  readonly prefix?: string;
  readonly opset: number;
}

/**
 * Turns the chosen parameters into trainable inputs. Gives their checkpoint keys.
 *
 * @throws DiagnosticError `E_SAVED_QUANTIZED` where the file holds one of them as quantised numbers.
 */
export function trainBaseParameters(
  graph: Graph,
  parameters: readonly BaseParameter[],
  options: SavedOptions,
): string[] {
  const keys: string[] = [];
  const parts = new Map<Value, TrainedPart[]>();
  for (const parameter of parameters) {
    const key = trainedKey(parameter, options);
    if (key === undefined) continue;
    const input = addTrainable(graph, parameter, key);
    keys.push(key);
    const { value, rows } = parameter;
    if (rows === undefined)
      for (const each of [parameter, ...(parameter.tied ?? [])]) replaceBy(graph, () => input, each, options);
    else parts.set(value, [...(parts.get(value) ?? []), { parameter, rows, input }]);
  }
  for (const list of parts.values()) replaceRows(graph, list, options);
  return keys;
}

function trainedKey(
  parameter: BaseParameter,
  { modules, bias, adapted, whole, prefix = keyPrefix }: SavedOptions,
): string | undefined {
  const { module, name, tied = [] } = parameter;
  if ([parameter, ...tied].some((each) => isInsideSaved(modules, each.module)) || whole?.(parameter) === true)
    return `${prefix}${module}.${name}`;
  if (name !== "bias" || bias === "none") return undefined;
  if (adapted.has(module)) return `${prefix}${module}.base_layer.bias`;
  return bias === "all" ? `${prefix}${module}.bias` : undefined;
}

/** The input that takes the parameter's place, in PyTorch's layout. */
function addTrainable(graph: Graph, parameter: BaseParameter, key: string): Value {
  const { value, storedAs, quantized, rows, module, name } = parameter;
  const stored = value.initializer;
  if (quantized) throw adaptErrors.E_SAVED_QUANTIZED(`${module}.${name}`, stored?.dtype ?? "unknown");
  if (stored === undefined) throw new InternalError(`parameter "${value.name}" has no data`);
  const whole = convertTensor(storedAs === "transposed" ? transposedTensor(stored) : stored, "float32");
  const initial = rows === undefined ? whole : rowsOf(whole, rows);
  const type = tensorType("float32", initial.dims);
  const input = graph.addInput({ name: key, type, initializer: initial });
  setRole(input, "param", { key, group: "base" });
  return input;
}

/** Lets every operand that reads a parameter read another value, made where it is read. */
function replaceBy(
  graph: Graph,
  value: (b: OpBuilder) => Value,
  parameter: Pick<BaseParameter, "value" | "storedAs" | "uses">,
  { opset }: SavedOptions,
): void {
  for (const use of parameter.uses) {
    if (use.kind === "output") {
      use.graph.setOutput(use.index, value(new OpBuilder({ graph }, opset)));
      continue;
    }
    const b = new OpBuilder({ graph, before: use.node }, opset);
    b.source = use.node;
    use.node.setInput(use.index, orient(b, value(b), parameter, use));
  }
}

/** A trained part of a parameter that several modules share. */
interface TrainedPart {
  readonly parameter: BaseParameter;
  readonly rows: NonNullable<BaseParameter["rows"]>;
  readonly input: Value;
}

/** Lets the readers of a shared parameter read its trained rows among the others, which stay as they are. */
function replaceRows(graph: Graph, parts: readonly TrainedPart[], options: SavedOptions): void {
  const [first] = parts;
  if (first === undefined) return;
  const { value, storedAs } = first.parameter;
  const uses = [...new Set(parts.flatMap(({ parameter }) => parameter.uses))];
  const ordered = parts.toSorted((left, right) => left.rows.start - right.rows.start);
  const together = (b: OpBuilder): Value => {
    const whole = storedAs === "transposed" ? b.transpose(value, [1, 0]) : value;
    const end = whole.tensorType?.shape?.[0];
    if (typeof end !== "number") throw new InternalError(`"${value.name}" has no known size`);
    const rowsBetween = (from: number, to: number): Value[] =>
      from === to ? [] : [b.slice(whole, { starts: [from], ends: [to], axes: [0] })];
    let done = 0;
    const pieces = ordered.flatMap(({ rows, input }) => {
      const before = rowsBetween(done, rows.start);
      done = rows.start + rows.size;
      return [...before, b.castLike(input, value)];
    });
    return b.concat([...pieces, ...rowsBetween(done, end)], 0);
  };
  replaceBy(graph, together, { value, storedAs, uses }, options);
}

/** The trainable value as the operand at hand wants it: transposed where stored layout and reader differ, in the file's type. */
function orient(
  b: OpBuilder,
  input: Value,
  { value, storedAs }: Pick<BaseParameter, "value" | "storedAs">,
  use: Extract<Use, { kind: "operand" }>,
): Value {
  let flips = storedAs === "transposed" ? 1 : 0;
  for (let at = use.node.input(use.index); at !== undefined && at !== value; at = at.producer?.input(0)) {
    if (at.producer?.op === "Transpose") flips += 1;
  }
  const oriented = flips % 2 === 0 ? input : b.transpose(input, [1, 0]);
  return b.cast(oriented, value.initializer?.dtype ?? "float32");
}
