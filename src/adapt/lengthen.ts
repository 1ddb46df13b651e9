/** Makes the inputs of a token stream longer by virtual tokens: masks, positions and shapes in the graph follow from them. */
import type { PromptSite } from "../analysis/token-streams.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { smallIntegers } from "../ir/constant.ts";
import { addDims, type Dim, dimsEqual, subDims, substituteDim, symbol, symbolsOf } from "../ir/dim.ts";
import type { Graph } from "../ir/graph.ts";
import { roleOf } from "../ir/role.ts";
import { formatType, tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { dtypeOf } from "../ops/facts.ts";

/**
 * Puts `count` positions before those of every input that has the stream's sequence axis: ids that nothing is known of, masks of
 * ones, token types of zero, positions from 0 on. All types in the graph are substituted accordingly.
 *
 * @param others the model's other streams, whose inputs keep their lengths.
 * @throws DiagnosticError `E_FIXED_LENGTH`, `E_INPUT_LENGTH`.
 */
export function lengthenStream(
  graph: Graph,
  stream: PromptSite,
  others: readonly PromptSite[],
  count: number,
  opset: number,
): void {
  const axis = axisOf(stream);
  const inputs = inputsOf(graph, axis, others);
  substituteTypes(graph, axis, addDims(symbol(axis), count));
  const b = new OpBuilder({ graph, before: graph.first }, opset);
  for (const input of inputs) {
    const readers = new Set(input.uses);
    const front = frontOf(b, stream, input, count);
    const rest = isPositions(stream, input) ? b.add(input, b.scalar(count, dtypeOf(input))) : input;
    const longer = b.concat([front, rest], 1);
    input.replaceUses(longer, (use) => !readers.has(use));
  }
}

/** Whether the second axis of a value counts the positions of a stream that was made longer. */
export function isLonger(value: Value, { sequence }: PromptSite, count: number): boolean {
  const dim = value.tensorType?.shape?.[1];
  return dim !== undefined && dimsEqual(subDims(dim, count), sequence);
}

/** Name of the sequence axis. */
function axisOf({ ids, sequence }: PromptSite): string {
  if (typeof sequence === "number") throw adaptErrors.E_FIXED_LENGTH(ids.name, String(sequence));
  const [name] = symbolsOf(sequence);
  if (name !== sequence.key) throw adaptErrors.E_FIXED_LENGTH(ids.name, sequence.key);
  return name;
}

/** Inputs that grow with the stream. */
function inputsOf(graph: Graph, axis: string, others: readonly PromptSite[]): readonly Value[] {
  const foreign = new Map(others.map((other) => [other.ids, other]));
  return graph.inputs.filter((input) => {
    if (roleOf(input) === "param" || input.initializer !== undefined) return false;
    const shape = input.tensorType?.shape ?? [];
    const places = shape.flatMap((dim, i) => (has(dim, axis) ? [i] : []));
    if (places.length === 0) return false;
    const fits = places.length === 1 && places[0] === 1 && shape.length === 2 && isAxis(shape[1], axis);
    if (!fits || foreign.has(input))
      throw adaptErrors.E_INPUT_LENGTH(input.name, formatType(input.type), axis);
    return true;
  });

  function has(dim: Dim, name: string): boolean {
    return typeof dim !== "number" && symbolsOf(dim).has(name);
  }
  function isAxis(dim: Dim | undefined, name: string): boolean {
    return typeof dim === "object" && dim.key === name;
  }
}

/** Types and known elements of everything computed, with the longer axis. */
function substituteTypes(graph: Graph, axis: string, longer: Dim): void {
  const lookup = (name: string): Dim | undefined => (name === axis ? longer : undefined);
  for (const node of graph.allNodes()) {
    for (const output of node.outputs) {
      if (output === null) continue;
      const type = output.tensorType;
      if (type?.shape !== undefined)
        output.type = tensorType(
          type.dtype,
          type.shape.map((dim) => substituteDim(dim, lookup)),
        );
      output.content = output.content?.map((dim) => substituteDim(dim, lookup));
    }
  }
}

function frontOf(b: OpBuilder, stream: PromptSite, input: Value, count: number): Value {
  const dtype = dtypeOf(input);
  const rows = b.unsqueeze(b.dim(input, 0), [0]);
  const shape = b.concat([rows, b.ints([count])], 0);
  if (isPositions(stream, input)) {
    const positions = b.ints(Array.from({ length: count }, (_, i) => i));
    return b.expand(b.cast(positions, dtype), shape);
  }
  const isId = input === stream.ids;
  const isType = stream.companions.some((companion) => companion.input === input);
  const value = isId ? unusedId(input) : isType ? 0 : 1;
  return b.expand(dtype === "bool" ? b.cast(b.int(value), "bool") : b.scalar(value, dtype), shape);
}

function isPositions(stream: PromptSite, input: Value): boolean {
  return (
    stream.companions.some((companion) => companion.input === input && companion.positions) ||
    /position/.test(input.name)
  );
}

/** The smallest id that the graph compares no ids with, as it does with that of padding. */
function unusedId(ids: Value): number {
  const compared = new Set<number>();
  const open: Value[] = [ids];
  for (const value of open) {
    for (const use of value.uses) {
      if (use.kind !== "operand") continue;
      if (use.node.op === "Cast" || use.node.op === "Identity") open.push(use.node.output());
      else if (/^(Equal|Sub)$/.test(use.node.op)) {
        const tensor = use.node.input(1 - use.index)?.initializer;
        for (const id of smallIntegers(tensor) ?? []) compared.add(id);
      }
    }
  }
  let id = 0;
  while (compared.has(id)) id += 1;
  return id;
}
