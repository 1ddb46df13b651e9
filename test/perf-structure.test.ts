/** What benchmarks measured, kept by structure: node counts, and work that must not come back. */
import { beforeAll, describe, expect, test } from "vitest";
import { samples } from "../scripts/sample-models.ts";
import { compileGraphs } from "../src/compile/compile.ts";
import { optimizationNames } from "../src/compile/optimizations.ts";
import type { CompileRequest } from "../src/compile/request.ts";
import { constantOf } from "../src/ir/constant.ts";
import type { Graph } from "../src/ir/graph.ts";
import type { Node } from "../src/ir/node.ts";
import type { Value } from "../src/ir/value.ts";
import { readModel } from "../src/onnx/read.ts";

const decoder = "fixtures/models/stories260k/model.onnx";
const classifier = "fixtures/oracles/models/bert/model.onnx";

function trainGraph(file: string, targets: readonly string[], request: Partial<CompileRequest> = {}): Graph {
  const method = { name: "lora", options: { r: 8, target_modules: [...targets] } };
  return compileGraphs(readModel(file), { method, ...request }).graphs.train.graph;
}

const nodesOf = (graph: Graph, ...ops: string[]): Node[] =>
  [...graph.allNodes()].filter(({ op }) => ops.includes(op));

/** What is done for each part of a batch. */
const partOf = (graph: Graph): Graph => nodesOf(graph, "Loop")[0]?.subgraphs()[0] ?? graph;

const lastAxes = (value: Value | undefined): readonly unknown[] =>
  value?.tensorType?.shape?.slice(-2).map((dim) => (typeof dim === "number" ? dim : String(dim))) ?? [];

describe("a decoder's step", () => {
  let tuned: Graph;
  let plain: Graph;

  beforeAll(() => {
    const targets = ["q_proj", "k_proj", "v_proj", "o_proj"];
    tuned = trainGraph(decoder, targets);
    plain = trainGraph(decoder, targets, { disable: [...optimizationNames] });
  });

  test("has no more nodes than it had when it was last measured", () => {
    expect([...tuned.allNodes()].length).toBeLessThanOrEqual(1850);
    expect(nodesOf(plain, "Loop")).toEqual([]);
    expect(plain.size).toBeLessThanOrEqual(1320);
  });

  test("never turns a frozen weight", () => {
    const turned = nodesOf(tuned, "Transpose").filter((node) => constantOf(node.input(0)) !== undefined);
    expect(turned.map(({ name }) => name)).toEqual([]);
  });

  test("holds no scores of all rows by all columns", () => {
    const whole = (graph: Graph) => nodesOf(graph, "Softmax").map((node) => lastAxes(node.output(0)));
    expect(whole(plain)).toContainEqual(["seq", "seq"]);
    expect(whole(tuned)).not.toContainEqual(["seq", "seq"]);
    expect(whole(tuned)).toHaveLength(4 * whole(plain).length);
  });

  test("reads each normalized input once for the A's of queries, keys and values", () => {
    const thin = nodesOf(tuned, "MatMul").filter((node) => lastAxes(node.output(0)).at(-1) === 24);
    expect(thin).toHaveLength(5);
  });

  test("computes each root of a mean of squares once", () => {
    const norms = 11;
    const update = nodesOf(tuned, "Sqrt").filter((node) => lastAxes(node.input(0)).length < 2).length;
    expect(nodesOf(tuned, "Sqrt").length - update).toBe(norms);
  });

  test("updates all modules by as many nodes as one", () => {
    const one = compileGraphs(readModel(decoder), {
      method: { name: "lora", options: { target_modules: "model.layers.0.self_attn.q_proj" } },
    }).graphs.apply.graph.size;
    const all = compileGraphs(readModel(decoder), {
      method: { name: "lora", options: { target_modules: "all-linear" } },
    }).graphs.apply.graph.size;
    expect(all).toBe(one);
  });
});

describe("a step with a large vocabulary", () => {
  const step = (disable: CompileRequest["disable"]): Graph =>
    compileGraphs(samples.attention.build(), {
      method: { name: "lora", options: { r: 2, target_modules: ["q_proj"] } },
      modulesToSave: [],
      disable,
    }).graphs.train.graph;
  const scores = (nodes: Iterable<Node>): string[] =>
    [...nodes].flatMap(({ op, outputs }) =>
      outputs.some((value) => value !== null && lastAxes(value).at(-1) === 4096) ? [op] : [],
    );

  test("holds no scores of all rows by all classes, forward or backward", () => {
    const tuned = step([]);
    expect(scores(partOf(step(["chunk-head"])).nodes())).toContain("LogSoftmax");
    expect(scores(partOf(tuned).nodes())).toEqual([]);
    expect(scores(tuned.allNodes())).toEqual(["MatMul", "LogSoftmax", "Exp", "ScatterElements"]);
  });

  test("computes scores once, and the gradient of what they are made from with them", () => {
    const [chunk] = nodesOf(step([]), "Scan").flatMap((node) => node.subgraphs());
    expect(chunk && nodesOf(chunk, "MatMul", "Gemm")).toHaveLength(2);
  });
});

describe("a classifier's step", () => {
  const products = (graph: Graph) => nodesOf(graph, "MatMul", "Gemm").length;

  test("computes the last block's rows for the first token alone", () => {
    const isCut = (graph: Graph) =>
      nodesOf(graph, "LayerNormalization").some((node) => node.output(0).tensorType?.shape?.[1] === 1);
    expect(isCut(trainGraph(classifier, ["query", "value"]))).toBe(true);
    expect(isCut(trainGraph(classifier, ["query", "value"], { disable: ["sink-selections"] }))).toBe(false);
  });

  test("adds by products, not after them", () => {
    const [tuned, plain] = [
      trainGraph(classifier, ["query", "value"]),
      trainGraph(classifier, ["query", "value"], { disable: ["shorten"] }),
    ];
    expect(nodesOf(tuned, "Add").length).toBeLessThan(nodesOf(plain, "Add").length);
    expect(products(tuned)).toBeLessThanOrEqual(products(plain));
  });
});
