/** Models of opsets that the runtime does not load: brought back to the newest that it does, or refused by name. */
import { describe, expect, test } from "vitest";
import { floatAttribute } from "../../src/ir/attribute.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { newestOpset } from "../../src/ops/versions.ts";
import { difference } from "../harness/compare.ts";
import { loweredCase } from "../harness/lower.ts";
import { buildCase, evaluateCase, type OpCase } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";

const half = { shape: [], dtype: "float16" } as const;
const signs = { shape: [6], values: [5, -5, 5, -5, 0, 7.5] };
const divisors = { shape: [6], values: [3, 3, -3, -3, 2, -2.5] };

const cases: readonly OpCase[] = [
  { op: "Mod", inputs: [signs, divisors] },
  {
    op: "Mod",
    inputs: [
      { ...signs, dtype: "float64" },
      { ...divisors, dtype: "float64" },
    ],
  },
  { op: "Mod", inputs: [signs, divisors], attributes: { fmod: 1 } },
  {
    op: "Mod",
    inputs: [
      { shape: [3], dtype: "int64", values: [5, -5, 4] },
      { shape: [], dtype: "int64", values: [3] },
    ],
  },
  { op: "Celu", inputs: [{ shape: [2, 3] }] },
  { op: "Celu", inputs: [{ shape: [2, 3], dtype: "float64" }], attributes: { alpha: floatAttribute(0.5) } },
  { op: "Celu", inputs: [{ shape: [2, 3], dtype: "float16" }] },
  { op: "SpaceToDepth", inputs: [{ shape: [1, 2, 4, 6] }], attributes: { blocksize: 2 } },
  { op: "Range", inputs: [1, 4, 0.5].map((value) => ({ ...half, values: [value] })) },
  {
    op: "BitShift",
    inputs: [1, 2].map((value) => ({ shape: [1], dtype: "uint8", values: [value] })),
    attributes: { direction: "LEFT" },
  },
  { op: "Exp", inputs: [{ shape: [3] }] },
];

test.each(
  cases.map(
    (spec) =>
      [
        `${spec.op} of ${spec.inputs[0]?.dtype ?? "float32"} ${JSON.stringify(spec.attributes ?? {})}`,
        spec,
      ] as const,
  ),
)("%s means the same", async (_, spec) => {
  const wanted = evaluateCase(buildCase({ ...spec, opset: 28 }, "static"));
  const { model, feeds } = loweredCase(spec);
  const got = await runModel(model, feeds);
  wanted.forEach((expected, index) => {
    const actual = got[index];
    if (actual === undefined) throw new Error(`output ${index} is missing`);
    expect(difference(actual, expected, runtimeTolerance(expected.dtype))).toBeUndefined();
  });
});

test("SpaceToDepth in mode CRD is undone by DepthToSpace in that mode", async () => {
  const { model, feeds } = loweredCase({
    op: "SpaceToDepth",
    inputs: [{ shape: [2, 3, 4, 6] }],
    attributes: { blocksize: 2, mode: "CRD" },
  });
  const [result] = await runModel(model, feeds);
  const [x] = feeds.values();
  if (result === undefined || x === undefined) throw new Error("there is no result");
  const back = buildCase(
    { op: "DepthToSpace", inputs: [{ shape: [...result.shape] }], attributes: { blocksize: 2, mode: "CRD" } },
    "static",
  );
  const [input] = back.feeds.keys();
  if (input === undefined) throw new Error("there is no input");
  const [again] = evaluateGraph(back.model.graph, new Map([[input, result]]), { opset: 20 });
  expect(again?.toNumbers()).toEqual(x.toNumbers());
});

test("bfloat16 goes through float32 where older versions do not take it", () => {
  const spec: OpCase = {
    op: "Einsum",
    inputs: [
      { shape: [2, 3], dtype: "bfloat16" },
      { shape: [3, 2], dtype: "bfloat16" },
    ],
    attributes: { equation: "ij,jk->ik" },
  };
  const lowered = loweredCase(spec);
  const types = [...lowered.model.graph.nodes()].map(
    ({ op, inputs }) => `${op} of ${inputs[0]?.tensorType?.dtype}`,
  );
  expect(types).toEqual(["Cast of bfloat16", "Cast of bfloat16", "Einsum of float32", "Cast of float32"]);
  const [wanted] = evaluateCase(buildCase(spec, "static"));
  const [got] = evaluateGraph(lowered.model.graph, lowered.feeds, { opset: newestOpset });
  expect(got?.toNumbers()).toEqual(wanted?.toNumbers());
  expect(got?.dtype).toBe("bfloat16");
});

describe("refused by name", () => {
  const pair = [1, 2].map((value) => ({ shape: [1], dtype: "int8" as const, values: [value] }));
  test.each([
    ["a signed shift", { op: "BitShift", inputs: pair, attributes: { direction: "RIGHT" } }, "int8"],
    [
      "a sum in low precision",
      { op: "Range", inputs: [half, half, half], attributes: { stash_type: 10 } },
      "stash_type",
    ],
  ] satisfies [string, OpCase, string][])("%s", (_, spec, got) => {
    expect(() => loweredCase(spec)).toThrow(
      expect.objectContaining({ code: "E_NEW_OPERATOR", message: expect.stringContaining(spec.op) }),
    );
    expect(() => loweredCase(spec)).toThrow(got);
  });
});
