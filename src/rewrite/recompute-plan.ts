/** Chooses what is computed again so that a step fits into a given memory, at the least cost. */
import { type AxisSizes, bindAxes } from "../analysis/bind-axes.ts";
import { flopsOf } from "../analysis/flops.ts";
import { footprint } from "../analysis/footprint.ts";
import { bytesOf } from "../analysis/memory.ts";
import { findSegments } from "../analysis/segments.ts";
import { trainingErrors } from "../diagnostics/training.ts";
import { cloneModel } from "../ir/clone.ts";
import { type DType, isFloat, isInteger } from "../ir/dtype.ts";
import type { Model } from "../ir/model.ts";
import type { Node } from "../ir/node.ts";
import { withRole } from "../ir/role.ts";
import { OpBuilder } from "../ops/builder.ts";
import { type Extent, planRecomputations, recompute } from "./recompute.ts";

/** What is done with each segment but the last, in order: how much of it is computed again, if anything. */
export type Choice = readonly (Extent | undefined)[];

/** A choice with what it is expected to lead to. */
export interface Prediction {
  readonly choice: Choice;
  /** Bytes by which resident memory grows in a step. */
  readonly growth: number;
  /** Time of a step as a multiple of what it takes without computing anything twice. */
  readonly time: number;
}

/**
 * Element-wise work is bound by memory: in the time of one element a core does this many operations of a product (80 GFLOP/s
 * against 1.6 elements per nanosecond, on processors with AVX2).
 */
const flopsPerElement = 50;

/** Applies a choice in place. Gives the number of nodes that run twice. */
export function applyChoice(model: Model, choice: Choice): number {
  const { graph, opset } = model;
  const segments = findSegments(graph).slice(0, -1);
  const plans = {
    all: planRecomputations(graph, segments, "all"),
    cheap: planRecomputations(graph, segments, "cheap"),
  };
  const chosen = segments.flatMap((_, i) => {
    const extent = choice[i];
    return (extent && plans[extent][i]) ?? [];
  });
  if (chosen.length === 0) return 0;
  const [input] = withRole(graph.inputs, "batch").filter(({ tensorType }) => isNumber(tensorType?.dtype));
  if (input === undefined) return 0;
  // Always true, in a way that nobody can work out before the batch is there.
  const b = new OpBuilder({ graph, before: graph.first }, opset);
  const largest = b.cast(b.op("ReduceMax", [b.cast(input, "float32")], { keepdims: 0 }), "int64");
  const condition = b.op("Equal", [largest, largest]);
  for (const plan of chosen) recompute(graph, plan, condition, opset);
  return chosen.reduce((sum, { nodes }) => sum + nodes.length, 0);
}

function isNumber(dtype: DType | undefined): boolean {
  return dtype !== undefined && (isFloat(dtype) || isInteger(dtype));
}

/** The choice that computes again all that can be. */
export function everything(model: Model): Choice {
  return findSegments(model.graph)
    .slice(0, -1)
    .map(() => "all");
}

/**
 * The cheapest choice that fits: of all segments, each kept, computed again in part or whole, those whose kept values must go for the
 * budget (a knapsack, solved exactly to a thousandth of the budget), confirmed by a replay of the runtime's requests and
 * repeated with what the replay missed it by.
 *
 * @throws DiagnosticError `E_MEMORY_BUDGET` with the least that is possible.
 */
export function fitBudget(model: Model, budget: number, sizes: AxisSizes): Prediction {
  const options = segmentOptions(model, sizes);
  const stepCost = costOf(bound(model, sizes).graph.nodes());
  const predict = (choice: Choice): Prediction => {
    const copy = cloneModel(model);
    applyChoice(copy, choice);
    const extra = choice.reduce((sum, extent, i) => sum + (options[i]?.of(extent).cost ?? 0), 0);
    return { choice, growth: footprint(bound(copy, sizes).graph).use.taken, time: 1 + extra / stepCost };
  };
  const none = predict(options.map(() => undefined));
  if (none.growth <= budget) return none;
  const most = predict(options.map(() => "all"));
  if (most.growth > budget)
    throw trainingErrors.E_MEMORY_BUDGET(budget, Math.min(most.growth, none.growth), sizes.batch, sizes.seq);
  let best = most;
  let wanted = none.growth - budget;
  for (let round = 0; round < 8; round++) {
    const choice = knapsack(options, wanted);
    if (choice === undefined) break;
    const found = predict(choice);
    if (found.growth <= budget) {
      if (found.time < best.time) best = found;
      break;
    }
    wanted += Math.max(found.growth - budget, 0.01 * budget);
  }
  return best;
}

interface Weight {
  readonly cost: number;
  readonly saved: number;
}

interface SegmentOptions {
  readonly of: (extent: Extent | undefined) => Weight;
}

/** Cost and bytes saved for each segment and extent. */
function segmentOptions(model: Model, sizes: AxisSizes): SegmentOptions[] {
  const { graph } = bound(model, sizes);
  const segments = findSegments(graph).slice(0, -1);
  const plans = {
    all: planRecomputations(graph, segments, "all"),
    cheap: planRecomputations(graph, segments, "cheap"),
  };
  const weigh = (extent: Extent, i: number): Weight => {
    const plan = plans[extent][i];
    if (plan === undefined) return { cost: 0, saved: 0 };
    const again = new Set(plan.nodes);
    // What the copies start from has to be kept now, where it was not before.
    const start = new Set(plan.nodes.flatMap((node) => node.inputs.filter((input) => input !== null)));
    const kept = [...start].filter(
      ({ producer, uses }) =>
        producer !== undefined &&
        !again.has(producer) &&
        ![...uses].some((use) => use.kind === "operand" && plan.backward.includes(use.node)),
    );
    const sum = (values: Iterable<Parameters<typeof bytesOf>[0]>): number =>
      [...values].reduce((bytes, value) => bytes + (bytesOf(value) ?? 0), 0);
    return { cost: costOf(plan.nodes), saved: Math.max(0, sum(plan.replaced) - sum(kept)) };
  };
  return segments.map((_, i) => {
    const [all, cheap] = [weigh("all", i), weigh("cheap", i)];
    return { of: (extent) => (extent === "all" ? all : extent === "cheap" ? cheap : { cost: 0, saved: 0 }) };
  });
}

function costOf(nodes: Iterable<Node>): number {
  let cost = 0;
  for (const node of nodes) {
    const flops = flopsOf(node);
    cost += typeof flops === "number" ? flops : 0;
    for (const output of node.outputs)
      cost += output === null ? 0 : (flopsPerElement * (bytesOf(output) ?? 0)) / 4;
  }
  return cost;
}

const buckets = 1000;

/** For each segment an extent, such that at least `wanted` bytes are saved at the least cost; undefined where that cannot be. */
function knapsack(options: readonly SegmentOptions[], wanted: number): Choice | undefined {
  const unit = Math.max(1, wanted / buckets);
  // Least cost to save so many units or more, with the choice that does it.
  let best: { cost: number; choice: (Extent | undefined)[] }[] = [{ cost: 0, choice: [] }];
  for (const { of } of options) {
    const next: typeof best = [];
    best.forEach(({ cost, choice }, units) => {
      for (const extent of [undefined, "cheap", "all"] as const) {
        const { cost: more, saved } = of(extent);
        if (extent !== undefined && saved === 0) continue;
        const at = Math.min(buckets, units + Math.floor(saved / unit));
        const known = next[at];
        if (known === undefined || cost + more < known.cost)
          next[at] = { cost: cost + more, choice: [...choice, extent] };
      }
    });
    best = next;
  }
  return best[buckets]?.choice;
}

function bound(model: Model, sizes: AxisSizes): Model {
  const copy = cloneModel(model);
  bindAxes(copy, sizes);
  return copy;
}
