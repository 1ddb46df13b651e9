/** Prompts and prefixes: what is refused, what the inputs become, and the models that hold a prompt inside. */
import { describe, expect, it } from "vitest";
import { compileGraphs } from "../../src/compile/compile.ts";
import type { CompileRequest } from "../../src/compile/request.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { roleFact, virtualOf, withRole } from "../../src/ir/role.ts";
import { formatType } from "../../src/ir/type.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromNumbers } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";
import { GraphSession, resultOf, startingState } from "../oracle/graph-session.ts";

/** A language model of two tokens: the score of each position is the sum of its embedding and its position's. */
function toy(ids = "int64[B,S] ids", more = "", body = "t = Identity (ids)"): string {
  return `f (${ids}, int64[B,S] position_ids${more}) => (float[B,S,2] logits)
  <float[5,2] "tok.weight" = {1, 0, 2, 0, 3, 0, 4, 0, 5, 0}, float[9,2] "wpe.weight" = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9}> {
    ${body}
    a = Gather ("tok.weight", ids)
    p = Gather ("wpe.weight", position_ids)
    logits = Add (a, p)
  }`;
}

function request(method: string, options: Readonly<Record<string, unknown>>): CompileRequest {
  return { method: { name: method, options: { ...options } }, task: "causal-lm" };
}

function codeOf(build: () => unknown): string | undefined {
  try {
    build();
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics[0]?.code;
    throw error;
  }
  return undefined;
}

const prompt = request("prompt-tuning", { num_virtual_tokens: 3 });

describe("virtual tokens", () => {
  it("make inputs longer: positions go on behind those of the virtual tokens, labels of these are ignored", async () => {
    const compiled = compileGraphs(parseModel(toy()), prompt);
    const { graph } = compiled.graphs.eval;
    const [logits] = withRole(graph.outputs, "logits");
    expect(logits && [formatType(logits.type), virtualOf(logits)]).toEqual(["float32[B, S + 3, 2]", 3]);
    const [labels] = withRole(graph.inputs, "label");
    expect(labels && formatType(labels.type)).toBe("int64[B, S]");
    const session = await GraphSession.open(compiled.graphs.eval);
    const batch = new Map([
      ["ids", fromNumbers("int64", [1, 2], [4, 2])],
      ["position_ids", fromNumbers("int64", [1, 2], [0, 1])],
      ["labels", fromNumbers("int64", [1, 2], [1, 0])],
    ]);
    const results = await session.run(batch, startingState(compiled, "eval"));
    await session.close();
    const rows = resultOf(results, "logits").numbers;
    // Virtual tokens have positions 0 to 2, real ones 3 and 4.
    expect(Array.from(rows.slice(6))).toEqual([5, 4, 3, 5]);
    const start = compiled.state.tensors.get("prompt_embeddings");
    expect(start?.dims).toEqual([3, 2]);
    expect(resultOf(results, "metric", "tokens").numbers[0]).toBe(2);
  });

  it("leave room among the positions", () => {
    expect(compileGraphs(parseModel(toy()), prompt).plan.maxPositions).toBe(6);
  });

  it("have ids that the graph compares none with, such as that of padding", () => {
    const body = `zero = Constant <value = int64 {0}> ()
      t = Equal (ids, zero)`;
    const { graph } = compileGraphs(
      parseModel(toy("int64[B,S] ids", "", body).replace("=> (", "=> (bool[B,S] t, ")),
      prompt,
    ).graphs.eval;
    const expands = [...graph.nodes()].filter(({ op }) => op === "Expand");
    const values = expands.map((node) => Number(node.input(0)?.initializer?.bytes()[0] ?? -1));
    expect(values).toContain(1);
  });

  it("start at rows of the table", () => {
    const { state } = compileGraphs(
      parseModel(toy()),
      request("prompt-tuning", { num_virtual_tokens: 4, prompt_tuning_init: "SAMPLE_VOCAB" }),
    );
    const start = state.tensors.get("prompt_embeddings");
    const numbers = Array.from(new Float32Array(start?.bytes().slice().buffer ?? new ArrayBuffer(0)));
    expect(numbers.length).toBe(8);
    numbers.forEach((value, i) => expect(i % 2 === 0 ? value >= 1 && value <= 5 : value === 0).toBe(true));
  });
});

describe("structures that are not there", () => {
  it.each([
    ["prompt-tuning", "vit", "E_NO_PROMPT"],
    ["prefix-tuning", "vit", "E_NO_ATTENTION"],
    ["prefix-tuning", "smallconv", "E_NO_ATTENTION"],
  ])("%s on %s is refused with %s", (method, model, code) => {
    const read = readModel(`fixtures/oracles/models/${model}/model.onnx`);
    expect(codeOf(() => compileGraphs(read, { method: { name: method, options: {} } }))).toBe(code);
  });

  it("refuses sequences of fixed length", () => {
    const fixed = toy().replaceAll("B,S", "2,7");
    expect(codeOf(() => compileGraphs(parseModel(fixed), prompt))).toBe("E_FIXED_LENGTH");
  });

  it("refuses inputs that have the sequence elsewhere", () => {
    const text = toy("int64[B,S] ids", ", float[B,S,S] mask", "t = Identity (mask)");
    expect(codeOf(() => compileGraphs(parseModel(text), prompt))).toBe("E_INPUT_LENGTH");
  });

  it("refuses options that say something else of the model", () => {
    const wrong = request("prompt-tuning", { num_virtual_tokens: 3, token_dim: 8 });
    expect(codeOf(() => compileGraphs(parseModel(toy()), wrong))).toBe("E_NO_PROMPT");
  });
});

describe("fields of a batch that a method reads", () => {
  it("are inputs with a bound", () => {
    const tasks = request("multitask-prompt-tuning", { num_virtual_tokens: 2, num_tasks: 3 });
    const { graph } = compileGraphs(parseModel(toy()), tasks).graphs.train;
    const input = graph.inputs.find(({ name }) => name === "task_ids");
    expect(input && [formatType(input.type), roleFact(input, "below")]).toEqual(["int64[B]", "3"]);
  });
});

describe("trained tokens", () => {
  const head = `f (int64[B,S] ids) => (float[B,S,3] logits)
  <float[3,2] "tok.weight" = {1, 2, 3, 4, 5, 6}, float[2,3] "head.weight" = {1, 3, 5, 2, 4, 6}> {
    e = Gather ("tok.weight", ids)
    logits = MatMul (e, "head.weight")
  }`;
  const tokens = (ids: readonly number[]): CompileRequest =>
    request("trainable-tokens", { token_indices: ids, target_modules: ["tok"] });

  it("take the output layer along that is tied to the table, under one key", () => {
    const { plan, parameterKeys } = compileGraphs(parseModel(head), tokens([2]));
    expect(plan.sites.map(({ path }) => path)).toEqual(["tok", "head"]);
    expect([...parameterKeys]).toEqual(["base_model.model.tok.trainable_tokens_delta"]);
  });

  it.each([[[3]], [[]]])("refuses ids %j", (ids) => {
    expect(codeOf(() => compileGraphs(parseModel(head), tokens(ids)))).toBe("E_SITE_REFUSED");
  });

  it("refuses a token twice", () => {
    expect(codeOf(() => compileGraphs(parseModel(head), tokens([1, 1])))).toBe("E_BAD_OPTION");
  });
});

describe("adaption prompts", () => {
  const llama = (options: Readonly<Record<string, unknown>>): (() => unknown) => {
    const read = readModel("fixtures/oracles/models/llama/model.onnx");
    return () => compileGraphs(read, request("adaption-prompt", options));
  };

  it("refuses more layers than there are", () => {
    expect(codeOf(llama({ adapter_layers: 3 }))).toBe("E_NO_ATTENTION");
  });

  it("refuses a name that no attention module has", () => {
    expect(codeOf(llama({ target_modules: "attn" }))).toBe("E_NO_ATTENTION");
  });

  it("leave a fresh model as it is, and take the last layers", () => {
    const read = readModel("fixtures/oracles/models/llama/model.onnx");
    const { plan } = compileGraphs(read, request("adaption-prompt", { adapter_len: 4 }));
    expect(plan.sites.map(({ path }) => path)).toEqual(["model.layers.1.self_attn"]);
    expect(plan.adapter.identityAtStart).toBe(true);
  });
});

describe("tokens trained beside LoRA", () => {
  const head = `f (int64[B,S] ids) => (float[B,S,3] logits)
  <float[3,2] "tok.weight" = {1, 2, 3, 4, 5, 6}, float[2,3] "head.weight" = {1, 3, 5, 2, 4, 7}> {
    e = Gather ("tok.weight", ids)
    logits = MatMul (e, "head.weight")
  }`;
  it.each([[[1]], [{ tok: [1] }]])("are those of the input's table or of a named one: %j", (indices) => {
    const { plan, parameterKeys } = compileGraphs(
      parseModel(head),
      request("lora", { r: 1, target_modules: ["head"], trainable_token_indices: indices }),
    );
    expect(plan.sites.map(({ path }) => path)).toEqual(["head", "tok"]);
    expect([...parameterKeys]).toContain("base_model.model.tok.token_adapter.trainable_tokens_delta");
  });
});
