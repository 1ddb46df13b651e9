/** Every operator that ONNX defines has a record, with the versions of its schema and an answer about its gradient. */
import { expect, test } from "vitest";
import { gradientAnswer } from "../../src/ops/gradient-answer.ts";
import { lookupOp } from "../../src/ops/registry.ts";
import { schemaVersions } from "../../src/ops/schema-versions.ts";
import { newestOpset } from "../../src/ops/versions.ts";
import { holdsFloats, type OperatorFacts, operators } from "./operator-list.ts";

/** Operators that take and give floats and yet have no gradient, each with the fact that it follows from. */
const undifferentiable: Readonly<Record<string, string>> = {
  Bernoulli: "a draw",
  BitCast: "bits",
  "ai.onnx.ml.CastMap": "a map, whose gradient no operator could write",
  "ai.onnx.ml.DictVectorizer": "a map, whose gradient no operator could write",
  "ai.onnx.ml.ZipMap": "a map, whose gradient no operator could read",
  "ai.onnx.preview.training.Adagrad": "a step of training",
  "ai.onnx.preview.training.Adam": "a step of training",
  "ai.onnx.preview.training.Gradient": "it speaks of nodes elsewhere",
  "ai.onnx.preview.training.Momentum": "a step of training",
};

const named = operators.map((facts) => [qualifiedName(facts), facts] as const);

function qualifiedName({ domain, name }: OperatorFacts): string {
  return domain === "" ? name : `${domain}.${name}`;
}

test.each(named)("%s has a record with the versions of its schema", (_, { domain, ...facts }) => {
  const op = lookupOp(domain, facts.name);
  expect(op?.versions).toEqual(facts.versions.map(({ since }) => since));
});

test("the table of versions is that of ONNX", () => {
  for (const { domain, name, versions } of operators) {
    if (domain === "") expect(schemaVersions(name), name).toEqual(versions.map(({ since }) => since));
  }
});

test.each(named)("%s gives no gradient only where there is none", (name, { domain, ...facts }) => {
  const op = lookupOp(domain, facts.name);
  if (op === undefined) return;
  const answer = gradientAnswer(op);
  if (answer !== "yes") expect(op.gradient.reason?.length ?? 0).toBeGreaterThan(10);
  if (answer !== "none") {
    expect(undifferentiable, `${name} has a gradient now`).not.toHaveProperty([name]);
    return;
  }
  const carries = facts.versions.some(
    ({ inputs, outputs, attributes }) =>
      (holdsFloats(inputs) || Object.values(attributes).some((kind) => kind.startsWith("graph"))) &&
      holdsFloats(outputs),
  );
  expect(carries, `${name} takes and gives floats`).toBe(name in undifferentiable);
});

/** Results that records let go unread although the schema does not; what a file leaves out has no name anyway. */
const lenient = new Set(["TopK"]);

/** Reads its attributes itself, since which of them is there decides the type. */
const irregular = new Set(["Constant"]);

test.each(named)("%s takes and gives what its schema says", (name, { domain, ...facts }) => {
  const op = lookupOp(domain, facts.name);
  if (op === undefined) return;
  // What is newer than anything we emit is rewritten when it is read.
  const latest = facts.versions.findLast(({ since }) => since <= newestOpset) ?? facts.versions.at(-1);
  expect(op.inputs.map(multiplicity)).toEqual(latest?.inputs.map(multiplicity));
  if (!lenient.has(name)) expect(op.outputs.map(multiplicity)).toEqual(latest?.outputs.map(multiplicity));
  if (!irregular.has(name)) {
    expect(Object.keys(op.attributes).sort()).toEqual(Object.keys(latest?.attributes ?? {}).sort());
  }
});

function multiplicity({ optional, variadic }: { optional: boolean; variadic: boolean }): string {
  return variadic ? "any number" : optional ? "optional" : "one";
}
