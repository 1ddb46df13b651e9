/** Noise of the training graph: of the right distribution, and a function of seed and stream alone. */
import { describe, expect, it } from "vitest";
import { Graph } from "../../src/ir/graph.ts";
import { withRole } from "../../src/ir/role.ts";
import { tensorType } from "../../src/ir/type.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { fromNumbers } from "../../src/ops/ndarray.ts";
import { Dropout } from "../../src/training/dropout.ts";

const count = 4000;

/** Two draws of a kind, one after the other, in the shape of an input. */
function draw(kind: "normal" | "uniform", seed: number): [number[], number[]] {
  const graph = new Graph("noise");
  const like = graph.addInput({ name: "like", type: tensorType("float32", [count]) });
  const b = new OpBuilder({ graph }, 20);
  const dropout = new Dropout();
  graph.addOutput(dropout[kind](b, like));
  graph.addOutput(dropout[kind](b, like));
  const [rng] = withRole(graph.inputs, "rng");
  if (rng === undefined) throw new Error("no seed");
  const feeds = new Map([
    [like, fromNumbers("float32", [count], new Array<number>(count).fill(0))],
    [rng, fromNumbers("uint64", [], [seed])],
  ]);
  const [first, second] = evaluateGraph(graph, feeds, { opset: 20 }).map((array) => array.toNumbers());
  return [first ?? [], second ?? []];
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

describe("noise", () => {
  it("is standard normal", () => {
    const [values] = draw("normal", 5);
    // Three standard errors of each moment.
    expect(Math.abs(mean(values))).toBeLessThan(3 / Math.sqrt(count));
    expect(Math.abs(mean(values.map((value) => value ** 2)) - 1)).toBeLessThan(3 * Math.sqrt(2 / count));
    const within = values.filter((value) => Math.abs(value) < 1).length / count;
    expect(Math.abs(within - 0.6827)).toBeLessThan(3 * Math.sqrt((0.6827 * 0.3173) / count));
  });

  it("is uniform in [0, 1)", () => {
    const [values] = draw("uniform", 5);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    expect(Math.abs(mean(values) - 0.5)).toBeLessThan(3 / Math.sqrt(12 * count));
  });

  it.each(["normal", "uniform"] as const)("%s repeats by seed and differs by draw", (kind) => {
    const [first, second] = draw(kind, 7);
    expect(draw(kind, 7)).toEqual([first, second]);
    expect(draw(kind, 8)[0]).not.toEqual(first);
    const product = mean(first.map((value, i) => (value - mean(first)) * ((second[i] ?? 0) - mean(second))));
    expect(Math.abs(product)).toBeLessThan(4 / Math.sqrt(count));
  });
});
