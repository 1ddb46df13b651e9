/** Attention blocks and token streams: found in both exporters' files, and not where something else looks like one. */
import { describe, expect, it } from "vitest";
import { findAttention } from "../../src/analysis/attention-sites.ts";
import { findSites } from "../../src/analysis/sites.ts";
import { findStreams } from "../../src/analysis/token-streams.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { preparePipeline } from "../../src/compile/prepare.ts";
import type { Model } from "../../src/ir/model.ts";
import { readModel } from "../../src/onnx/read.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { parseModel } from "../../src/text/parse.ts";

function structureOf({ graph }: Model) {
  const sites = findSites(graph);
  const streams = findStreams(graph, sites);
  return { streams, ...findAttention(graph, sites, streams) };
}

function opened(model: string, exported: string) {
  const read = readModel(`fixtures/oracles/models/${model}/${exported}`);
  runPasses(read, preparePipeline);
  return structureOf(read);
}

function parsed(text: string) {
  const model = parseModel(text);
  inferModel(model);
  return structureOf(model);
}

describe.each(["model.onnx", "model-dynamo.onnx"])("structure of %s", (exported) => {
  it("finds the blocks of a decoder with fewer heads of keys", () => {
    const { streams, sites, rejected } = opened("llama", exported);
    expect(streams.map(({ path, ids, count }) => [path, ids.name, count])).toEqual([
      ["model.embed_tokens", "input_ids", 1],
    ]);
    expect(
      sites.map(({ path, heads, keyHeads, headDim, fused }) => [path, heads, keyHeads, headDim, fused]),
    ).toEqual([
      ["model.layers.0.self_attn", 4, 2, 8, false],
      ["model.layers.1.self_attn", 4, 2, 8, false],
    ]);
    expect(sites.every(({ stream }) => stream === streams[0])).toBe(true);
    expect(sites[0]?.output?.path).toBe("model.layers.0.self_attn.o_proj");
    expect(rejected).toEqual([]);
  });

  it("takes keys and values apart where one module makes them with the queries", () => {
    const [first] = opened("gpt2", exported).sites;
    expect(first?.fused).toBe(true);
    expect(first?.keyProjection).toMatchObject({ start: 32, size: 32 });
    expect(first?.valueProjection).toMatchObject({ start: 64, size: 32 });
  });

  it("takes the table of words, not of types, and knows what is summed with it", () => {
    const { streams } = opened("bert", exported);
    expect(streams.map(({ path }) => path)).toEqual(["bert.embeddings.word_embeddings"]);
    expect(streams[0]?.companions.map(({ input, positions }) => [input.name, positions])).toEqual([
      ["token_type_ids", false],
    ]);
  });

  it("puts the decoder's stream last and keeps attention across streams apart", () => {
    const { streams, sites } = opened("t5", exported);
    expect(streams.map(({ ids, index, count }) => [ids.name, index, count])).toEqual([
      ["input_ids", 0, 2],
      ["decoder_input_ids", 1, 2],
    ]);
    const ofStream = (index: number | undefined): number =>
      sites.filter(({ stream }) => stream?.index === index).length;
    expect([ofStream(0), ofStream(1), ofStream(undefined)]).toEqual([2, 2, 2]);
  });

  it("finds no stream where no table is indexed by an input", () => {
    const { streams, sites } = opened("vit", exported);
    expect(streams).toEqual([]);
    expect(sites.length).toBeGreaterThan(0);
    expect(sites.every(({ stream }) => stream === undefined)).toBe(true);
  });
});

describe("structure of small graphs", () => {
  it("takes a factor that the table's own module applies into the stream", () => {
    const { streams } = parsed(`f (int64[B,S] ids) => (float[B,S,2] y)
    <float[3,2] "embed.weight" = {1, 2, 3, 4, 5, 6}, float scale = {2}> {
      ["/embed/Gather"] e = Gather ("embed.weight", ids)
      ["/embed/Mul"] y = Mul (e, scale)
    }`);
    expect(streams[0]?.tokens.name).toBe("y");
  });

  it("does not take a table of positions for one of tokens, however long", () => {
    const { streams } = parsed(`f (int64[B,S] ids, int64[B,S] position_ids) => (float[B,S,1] y)
    <float[2,1] "tok.weight" = {1, 2}, float[4,1] "wpe.weight" = {1, 2, 3, 4}> {
      a = Gather ("tok.weight", ids)
      p = Gather ("wpe.weight", position_ids)
      y = Add (a, p)
    }`);
    expect(streams.map(({ ids }) => ids.name)).toEqual(["ids"]);
    expect(streams[0]?.companions).toMatchObject([{ positions: true }]);
  });

  it("says why a Softmax is no attention", () => {
    const { sites, rejected } = parsed(`f (float[2,3] x) => (float[2,3] y) {
      y = Softmax (x)
    }`);
    expect(sites).toEqual([]);
    expect(rejected.map(({ reason }) => reason)).toEqual(["no product of queries and keys makes its scores"]);
  });

  it("opens heads that are counted with the batch in one axis", () => {
    const { sites, rejected } =
      parsed(`f (float[B,2,S,4] q, float[B,2,S,4] k, float[B,2,S,4] v) => (float[M,S,4] y)
    <float scale = {0.5}> {
      s = Shape <start = 2, end = 3> (q)
      minus = Constant <value_ints = [-1]> ()
      four = Constant <value_ints = [4]> ()
      three = Concat <axis = 0> (minus, s, four)
      a = Reshape (q, three)
      b = Reshape (k, three)
      c = Reshape (v, three)
      t = Transpose <perm = [0, 2, 1]> (b)
      raw = MatMul (a, t)
      scores = Mul (raw, scale)
      weights = Softmax <axis = -1> (scores)
      y = MatMul (weights, c)
    }`);
    expect(rejected).toEqual([]);
    expect(sites).toMatchObject([{ heads: 2, keyHeads: 2, headDim: 4, key: { value: { name: "k" } } }]);
  });

  it("knows the operator of its own", () => {
    const { sites } = parsed(`<opset_import: ["" : 23]>
    f (float[1,4,S,8] q, float[1,2,S,8] k, float[1,2,S,8] v) => (float[1,4,S,8] y) {
      y = Attention (q, k, v)
    }`);
    expect(sites).toMatchObject([{ heads: 4, keyHeads: 2, headDim: 8 }]);
  });
});
