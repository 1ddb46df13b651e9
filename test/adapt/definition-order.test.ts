/** Order of definition, as UniLoRA and TinyLoRA number modules, from the names that exporters leave. */
import { describe, expect, it } from "vitest";
import { definitionOrder } from "../../src/adapt/definition-order.ts";
import { findSites, type Site } from "../../src/analysis/sites.ts";
import { readModel } from "../../src/onnx/read.ts";

const folder = "fixtures/oracles/models";

/** Linear modules of the first block of BERT, with some initializers moved to the front or renamed. */
function bertSites(front: readonly string[], renamed: readonly string[] = []): Site[] {
  const { graph } = readModel(`${folder}/bert/model.onnx`);
  const values = [...graph.initializers];
  const first = values.filter(({ name }) => front.some((end) => name.endsWith(end)));
  graph.initializers.clear();
  for (const value of [...first, ...values.filter((each) => !first.includes(each))])
    graph.initializers.add(value);
  for (const value of values) if (renamed.some((end) => value.name.endsWith(end))) value.name = "onnx::Add_1";
  return findSites(graph).filter(
    ({ kind, path }) => kind === "linear" && path.includes("layer.0.attention.self"),
  );
}

const paths = (names: readonly string[]): string[] =>
  names.map((name) => `bert.encoder.layer.0.attention.self.${name}`);

describe("order of definition", () => {
  it("is that of named initializers", () => {
    expect(definitionOrder(bertSites([]), "it")).toEqual(paths(["query", "key", "value"]));
    // As OPT has it: keys before queries, though queries run first.
    expect(definitionOrder(bertSites(["self.key.bias", "self.value.bias"]), "it")).toEqual(
      paths(["key", "value", "query"]),
    );
  });

  it("is that of execution where no module has a name, or those that have one agree", () => {
    const { graph } = readModel(`${folder}/llama/model.onnx`);
    const linear = findSites(graph).filter(({ kind }) => kind === "linear");
    expect(definitionOrder(linear, "it")).toEqual(linear.map(({ path }) => path));
    expect(definitionOrder(bertSites([], ["self.key.bias"]), "it")).toEqual(paths(["query", "key", "value"]));
  });

  it("is refused where names disagree with execution and one is missing", () => {
    const sites = bertSites(["self.value.bias"], ["self.key.bias"]);
    expect(() => definitionOrder(sites, "it")).toThrow(/^E_MODULE_ORDER .*do_constant_folding=False/s);
  });
});
