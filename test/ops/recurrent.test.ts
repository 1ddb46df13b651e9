/** RNN, GRU and LSTM: every attribute that changes the formula, every operand that may be left out. */
import { describe, expect, test } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { type AttributeLike, floatAttribute } from "../../src/ir/attribute.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { permuteAxes } from "../../src/ops/kernels/rearrange.ts";
import { type CheckOptions, checkOp } from "../harness/check-op.ts";
import { difference } from "../harness/compare.ts";
import { buildCase, evaluateCase, type OpCase, type OperandSpec } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";

const [batch, input, hidden] = [2, 3, 2] as const;
const gates = { RNN: 1, GRU: 3, LSTM: 4 } as const;
type Kind = keyof typeof gates;
const kinds = ["RNN", "GRU", "LSTM"] as const;
const texts = (...value: readonly string[]): AttributeLike => ({ kind: "strings", value });
const floats = (...value: readonly number[]): AttributeLike => ({ kind: "floats", value });

/** What a case is made of beyond the operands that every node has. */
interface Parts {
  readonly attributes?: Readonly<Record<string, AttributeLike>>;
  readonly seq?: number;
  readonly lengths?: readonly number[];
  readonly bias?: boolean;
  readonly states?: boolean;
  readonly peepholes?: boolean;
  readonly opset?: number;
  readonly dtype?: "float32" | "float64";
  readonly reads?: readonly number[];
}

function caseOf(op: Kind, parts: Parts = {}): OpCase {
  const { attributes = {}, seq = 3, lengths, bias = true, states = false, peepholes = false, dtype } = parts;
  const directions = attributes.direction === "bidirectional" ? 2 : 1;
  const rows = gates[op] * hidden;
  const first = attributes.layout === 1;
  const operand = (...shape: readonly number[]): OperandSpec => ({
    shape,
    range: [-1, 1],
    ...(dtype && { dtype }),
  });
  const state = first ? operand(batch, directions, hidden) : operand(directions, batch, hidden);
  return {
    op,
    opset: parts.opset ?? 22,
    attributes: { hidden_size: hidden, ...attributes },
    inputs: [
      first ? operand(batch, seq, input) : operand(seq, batch, input),
      operand(directions, rows, input),
      operand(directions, rows, hidden),
      bias ? operand(directions, 2 * rows) : null,
      lengths === undefined ? null : { shape: [batch], dtype: "int32", values: lengths, constant: true },
      states ? state : null,
      ...(op === "LSTM" ? [states ? state : null, peepholes ? operand(directions, 3 * hidden) : null] : []),
    ],
    outputs: op === "LSTM" ? 3 : 2,
    ...(parts.reads && { reads: parts.reads }),
  };
}

const check = (description: string, op: Kind, parts: Parts, options: CheckOptions = {}): void =>
  checkOp(description, caseOf(op, parts), options);

const layout = { noRuntime: "the runtime has no kernel for layout 1" };
for (const op of kinds) {
  for (const direction of ["forward", "reverse", "bidirectional"]) {
    check(`${direction}, nothing optional`, op, { attributes: { direction }, bias: false });
    check(`${direction}, rows of different lengths`, op, {
      attributes: { direction },
      lengths: [2, 3],
      states: true,
      peepholes: true,
    });
    check(
      `${direction}, batch first`,
      op,
      { attributes: { direction, layout: 1 }, lengths: [3, 1], states: true },
      layout,
    );
  }
  check(
    "sizes with names of their own",
    op,
    { attributes: { direction: "bidirectional" }, lengths: [1, 3], states: true },
    { namings: ["separate"] },
  );
  check("one step", op, { seq: 1, states: true });
  check("gradient of the gradient", op, { states: true }, { namings: ["shared"], twice: true });
  check("a row without steps", op, { lengths: [0, 2], states: true });
  check("clip", op, { attributes: { clip: floatAttribute(0.4) }, states: true });
  check(
    "float64",
    op,
    { states: true, dtype: "float64" },
    { noRuntime: "its kernels for float64 refuse to run" },
  );
  check("opset 7", op, { states: true, opset: 7 }, { noGradient: "rules speak opset 20" });
  const results = op === "LSTM" ? [0, 1, 2] : [0, 1];
  for (const read of results) check(`result ${read} alone`, op, { states: true, reads: [read] });
}

check("linear before reset", "GRU", { attributes: { linear_before_reset: 1 }, states: true });
check("linear before reset, no bias", "GRU", {
  attributes: { linear_before_reset: 1, direction: "bidirectional", clip: floatAttribute(0.5) },
  bias: false,
});
check("peepholes", "LSTM", { peepholes: true, bias: false });
check("input and forget gates coupled", "LSTM", {
  attributes: { input_forget: 1 },
  states: true,
  peepholes: true,
});

const counts = { RNN: 1, GRU: 2, LSTM: 3 } as const;
const plain = ["Relu", "LeakyRelu", "HardSigmoid", "Elu", "Softsign", "Softplus", "Tanh", "Sigmoid"];
for (const op of kinds) {
  for (const name of plain) {
    const activations = texts(...new Array<string>(counts[op]).fill(name));
    check(`${name} with its defaults`, op, { attributes: { activations }, states: true });
  }
  for (const [name, alpha, beta] of [
    ["Affine", 0.7, 0.1],
    ["ScaledTanh", 0.8, 1.3],
    ["ThresholdedRelu", 0.3],
    ["HardSigmoid", 0.3, 0.4],
    ["LeakyRelu", 0.2],
    ["Elu", 0.6],
  ] as const) {
    const each = (value: number | undefined): AttributeLike =>
      floats(...(value === undefined ? [] : Array.from({ length: counts[op] }, (_, i) => value + i / 8)));
    const activations = texts(...new Array<string>(counts[op]).fill(name));
    const attributes = { activations, activation_alpha: each(alpha), activation_beta: each(beta) };
    check(`${name} with values`, op, { attributes, states: true });
  }
}
check("activations of both directions take their values in order", "LSTM", {
  attributes: {
    direction: "bidirectional",
    activations: texts("HardSigmoid", "Tanh", "LeakyRelu", "Sigmoid", "ScaledTanh", "Affine"),
    activation_alpha: floats(0.25, 0.1, 0.9, 1.1),
    activation_beta: floats(0.45, 0.8, 0.2),
  },
  states: true,
  peepholes: true,
});

describe("batches first", () => {
  test.each(kinds)("the runtime computes %s with its steps first", async (op) => {
    const attributes = { direction: "bidirectional", layout: 1 };
    const parts = { attributes, lengths: [3, 2], states: true, peepholes: true };
    const { model, feeds } = buildCase(caseOf(op, parts), "shared");
    const wanted = evaluateGraph(model.graph, feeds, { opset: 22 });
    runPasses(model, "time-first");
    const got = await runModel(model, feeds);
    expect(got.length).toBe(wanted.length);
    wanted.forEach((y, i) => {
      const actual = got[i];
      if (actual === undefined) throw new Error(`output ${i} is missing`);
      expect(difference(actual, y, runtimeTolerance("float32"))).toBeUndefined();
    });
  });
  test.each(kinds)("%s gives what batches second give", (op) => {
    const attributes = { direction: "bidirectional" };
    const parts = { lengths: [3, 2], states: true, peepholes: true };
    const last = buildCase(caseOf(op, { ...parts, attributes }), "static");
    const first = buildCase(caseOf(op, { ...parts, attributes: { ...attributes, layout: 1 } }), "static");
    // Inputs and first states change their axes; weights stay.
    [...last.feeds.values()].forEach((array, at) => {
      const input = first.model.graph.inputs[at];
      if (input === undefined) throw new Error("the cases have other operands");
      first.feeds.set(input, [0, 4, 5].includes(at) ? permuteAxes(array, [1, 0, 2]) : array);
    });
    const wanted = evaluateCase(last).map((y) => permuteAxes(y, y.rank === 4 ? [2, 0, 1, 3] : [1, 0, 2]));
    const got = evaluateCase(first);
    expect(got.map(({ shape }) => shape)).toEqual(wanted.map(({ shape }) => shape));
    expect(got.map((y) => y.toNumbers())).toEqual(wanted.map((y) => y.toNumbers()));
  });
});

test("what nobody differentiates stays the runtime's operator", () => {
  const { model, outputs } = buildCase(caseOf("LSTM"), "shared");
  const { graph } = model;
  const [y] = outputs;
  if (y === undefined) throw new Error("the network has no result");
  const w = graph.addInput({ type: y.type });
  const scaled = new OpBuilder({ graph }, 22).mul(y, w);
  const seed = { value: scaled, gradient: graph.addInput({ type: y.type }) };
  expect(differentiate(graph, [seed], [w], 22)).not.toContain(undefined);
  expect([...graph.nodes()].map(({ op }) => op)).toEqual(["LSTM", "Mul", "Mul"]);
});

describe("attributes that do not fit", () => {
  const refused: readonly (readonly [string, Kind, Readonly<Record<string, AttributeLike>>, RegExp])[] = [
    ["direction", "RNN", { direction: "sideways" }, /one of forward, reverse, bidirectional/],
    ["hidden_size", "GRU", { hidden_size: 5 }, /2, as in the weights/],
    ["activations", "LSTM", { activations: texts("Tanh") }, /3 names/],
    ["activations", "RNN", { activations: texts("Celu") }, /"Celu"/],
    ["activation_alpha", "RNN", { activations: texts("Affine") }, /a value for Affine/],
    ["activation_alpha", "RNN", { activations: texts("ThresholdedRelu") }, /a value for ThresholdedRelu/],
  ];
  test.each(refused)("%s of %s", (name, op, attributes, message) => {
    const run = () => evaluateCase(buildCase(caseOf(op, { attributes }), "static"));
    expect(run).toThrow(message);
    expect(run).toThrow(new RegExp(`E_BAD_ATTRIBUTE[\\s\\S]*"${name}"`));
  });
});
