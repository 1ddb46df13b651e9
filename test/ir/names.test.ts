/** The namer: which names become unique, and which stay as they are. */
import { expect, it } from "vitest";
import { assignNames } from "../../src/ir/names.ts";
import { parseModel } from "../../src/text/parse.ts";

const text = `f (float[2] x) => (float[2] y) {
  ["a"] t = Exp (x)
  ["a"] u = Neg (t)
  v = Abs (u)
  y = Sqrt (v)
}`;

it("makes equal node names different, since the runtime refuses them, and leaves nodes without one", () => {
  const model = parseModel(text);
  assignNames(model);
  expect([...model.graph.nodes()].map(({ name }) => name)).toEqual(["a", "a_1", "", ""]);
});

it("names every node when asked to", () => {
  const model = parseModel(text);
  assignNames(model, { nodes: true });
  expect([...model.graph.nodes()].map(({ name }) => name)).toEqual(["a", "a_1", "Abs", "Sqrt"]);
});
