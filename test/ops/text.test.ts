/** Types of operators on text. */
import { expect, test } from "vitest";
import type { AttributeLike } from "../../src/ir/attribute.ts";
import { Graph } from "../../src/ir/graph.ts";
import { Model } from "../../src/ir/model.ts";
import { formatType, tensorType } from "../../src/ir/type.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { NDArray } from "../../src/ops/ndarray.ts";
import { runModel } from "../harness/runtime.ts";

test("StringConcat broadcasts, RegexFullMatch gives truth values", () => {
  const graph = new Graph();
  const b = new OpBuilder({ graph }, 20);
  const x = graph.addInput({ name: "x", type: tensorType("string", [2, 1]) });
  const y = graph.addInput({ name: "y", type: tensorType("string", [3]) });
  const joined = b.op("StringConcat", [x, y]);
  expect(formatType(joined.type)).toBe("string[2, 3]");
  expect(formatType(b.op("RegexFullMatch", [joined], { pattern: "a.*" }).type)).toBe("bool[2, 3]");
});

const strings = (...value: string[]): AttributeLike => ({ kind: "strings", value });

test("StringNormalizer and StringSplit know what lengths depend on text", () => {
  const graph = new Graph();
  const b = new OpBuilder({ graph }, 20);
  const x = graph.addInput({ name: "x", type: tensorType("string", [1, 4]) });
  const upper = b.op("StringNormalizer", [x], { case_change_action: "UPPER" });
  expect(formatType(upper.type)).toBe("string[1, 4]");
  const kept = b.op("StringNormalizer", [x], { stopwords: strings("a") }).tensorType?.shape;
  expect(kept?.[0]).toBe(1);
  expect(kept?.[1]).not.toBe(4);
  const [pieces, counts] = b.ops("StringSplit", [x], { delimiter: "," }, 2);
  expect(pieces?.tensorType?.shape?.slice(0, 2)).toEqual([1, 4]);
  expect(pieces?.tensorType?.shape?.length).toBe(3);
  expect(formatType(counts?.type)).toBe("int64[1, 4]");
});

const text = (values: string[]): NDArray => new NDArray("string", [values.length], values);
const vectorizer = {
  max_gram_length: 2,
  max_skip_count: 0,
  min_gram_length: 1,
  mode: "TF",
  ngram_counts: [0, 2],
  ngram_indexes: [0, 1, 3],
  pool_strings: strings("a", "b", "a", "c"),
};

test.each([
  ["StringNormalizer", 10, { case_change_action: "UPPER", locale: "C", stopwords: strings("b") }, 1],
  ["StringNormalizer", 10, { case_change_action: "NONE" }, 1],
  ["StringSplit", 20, { delimiter: "-" }, 2],
  ["TfIdfVectorizer", 9, vectorizer, 1],
] as const)("%s of opset %i has the type that the runtime gives", async (op, opset, attributes, outputs) => {
  const model = new Model({ irVersion: 10, opsets: [["", opset]] });
  const x = model.graph.addInput({ name: "x", type: tensorType("string", [4]) });
  const b = new OpBuilder({ graph: model.graph }, opset);
  for (const value of b.ops(op, [x], attributes, outputs)) model.graph.addOutput(value);
  const results = await runModel(model, new Map([[x, text(["a-x", "b", "c", "a"])]]));
  results.forEach(({ dtype, shape }, index) => {
    const type = model.graph.outputs[index]?.tensorType;
    expect(type?.dtype).toBe(dtype);
    expect(type?.shape?.length).toBe(shape.length);
    type?.shape?.forEach((dim, axis) => {
      if (typeof dim === "number") expect(dim).toBe(shape[axis]);
    });
  });
});
