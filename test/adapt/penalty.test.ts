/** Terms of the loss leave the graph's outputs when they are taken, and nothing else does. */
import { describe, expect, it } from "vitest";
import { markPenalty, takePenalties } from "../../src/adapt/penalty.ts";
import { parseModel } from "../../src/text/parse.ts";

describe("takePenalties", () => {
  it("takes marked outputs alone, once", () => {
    const { graph } = parseModel(`f (float[2] x) => (float[2] y, float[2] term) {
      y = Neg (x)
      term = Abs (x)
    }`);
    const term = graph.outputs.find(({ name }) => name === "term");
    if (term === undefined) throw new Error("no output term");
    expect(takePenalties(graph)).toEqual([]);
    markPenalty(term);
    expect(takePenalties(graph)).toEqual([term]);
    expect(graph.outputs.map(({ name }) => name)).toEqual(["y"]);
    expect(takePenalties(graph)).toEqual([]);
  });
});
