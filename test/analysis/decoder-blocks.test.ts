/** Blocks of decoders: where they begin and end, and what is none. */
import { describe, expect, it } from "vitest";
import { findAttention } from "../../src/analysis/attention-sites.ts";
import { type BlockSite, findBlocks } from "../../src/analysis/decoder-blocks.ts";
import { findHead, findSites } from "../../src/analysis/sites.ts";
import { findStreams } from "../../src/analysis/token-streams.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { preparePipeline } from "../../src/compile/prepare.ts";
import { readModel } from "../../src/onnx/read.ts";
import { logitsOutput } from "../../src/training/tasks.ts";

function blocksOf(file: string): readonly BlockSite[] | string {
  const model = readModel(`fixtures/${file}`);
  runPasses(model, preparePipeline);
  const { graph } = model;
  const sites = findSites(graph);
  const streams = findStreams(graph, sites);
  const logits = logitsOutput(graph);
  const head = logits === undefined ? undefined : findHead(sites, logits);
  return findBlocks(graph, sites, streams.at(-1), findAttention(graph, sites, streams).sites, head);
}

describe("blocks of a decoder", () => {
  it.each([
    ["oracles/models/llama/model.onnx", "model.layers.", 2, true],
    ["oracles/models/llama/model-dynamo.onnx", "model.layers.", 2, true],
    ["oracles/models/gpt2/model.onnx", "transformer.h.", 2, false],
    ["oracles/models/gpt2/model-dynamo.onnx", "transformer.h.", 2, false],
    ["models/stories260k/model.onnx", "model.layers.", 5, true],
  ])("are found in %s, each behind the other", (file, start, count, plain) => {
    const blocks = blocksOf(file);
    if (typeof blocks === "string") throw new Error(blocks);
    expect(blocks.map(({ path }) => path)).toEqual(Array.from({ length: count }, (_, i) => `${start}${i}`));
    for (const [i, block] of blocks.entries()) {
      // A sum: what a block adds to the hidden states.
      expect(block.output.producer?.op).toBe("Add");
      expect(block.input).toBe(i === 0 ? block.stack.input : blocks[i - 1]?.output);
      expect(block.stack.ends[i]).toBe(block.output);
    }
    const [first] = blocks;
    expect(first?.stack.input === first?.stack.tokens).toBe(plain);
    expect(first?.stack.behind.map(({ kind }) => kind)).toEqual(["norm"]);
  });

  it("are not looked for where no tokens enter", () => {
    expect(blocksOf("oracles/models/vit/model.onnx")).toBe("no table of tokens is indexed by an input");
  });
});
