/** If, Loop, Scan: types through bodies, evaluation against the runtime, and gradients where the length is known. */
import { describe, expect, test } from "vitest";
import { isFloat } from "../../src/ir/dtype.ts";
import { formatType } from "../../src/ir/type.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { dtypeOf } from "../../src/ops/facts.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";
import { checkGradient, checkRuntime } from "../harness/check-op.ts";
import { difference } from "../harness/compare.ts";
import { gradientCase } from "../harness/gradient.ts";
import type { BuiltCase } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";

interface Row {
  readonly name: string;
  readonly text: string;
  readonly types: readonly string[];
  readonly feeds: readonly NDArray[];
}

const header = '<ir_version: 10, opset_import: ["" : 20]>';
const floats = (shape: readonly number[], ...values: readonly number[]): NDArray =>
  fromNumbers("float32", shape, values);
const int = (value: number): NDArray => fromNumbers("int64", [], [value]);
const flag = (value: number): NDArray => fromNumbers("bool", [], [value]);

const rows: readonly Row[] = [
  ...[0, 1].map((truth) => ({
    name: `If, ${truth}`,
    text: `f (bool c, float[n, 2] x) => (float[k, 2] y, float[n, 2] z) {
      y, z = If (c) <
        then_branch = yes () => (float[n, 2] a, float[n, 2] b) { a = Neg (x) b = Exp (x) },
        else_branch = no () => (float[m, 2] d, float[n, 2] e) { d = Concat <axis = 0> (x, x) e = Identity (x) }
      >
    }`,
    types: ["float32[?, 2]", "float32[n, 2]"],
    feeds: [flag(truth), floats([1, 2], 0.5, -1)],
  })),
  {
    name: "Loop that counts",
    text: `f (int64 count, float[n, 2] x) => (float[n, 2] y, float[t, n, 2] all) {
      yes = Constant <value = bool {1}> ()
      y, all = Loop (count, yes, x) <
        body = step (int64 i, bool go, float[n, 2] s) => (bool on, float[n, 2] next, float[n, 2] out) {
          on = Identity (go)
          k = CastLike (i, s)
          next = Add (s, k)
          out = Mul (next, x)
        }
      >
    }`,
    types: ["float32[n, 2]", "float32[?, n, 2]"],
    feeds: [int(3), floats([1, 2], 1, 2)],
  },
  {
    name: "Loop with a constant count and no condition",
    text: `f (float[n] x) => (float[n] y, float[k, n] all) {
      count = Constant <value_int = 4> ()
      y, all = Loop (count, , x) <
        body = step (int64 i, bool go, float[n] s) => (bool on, float[n] next, float[n] out) {
          on = Constant <value = bool {1}> ()
          next = Neg (s)
          out = Identity (s)
        }
      >
    }`,
    types: ["float32[n]", "float32[4, n]"],
    feeds: [floats([2], 1, 2)],
  },
  {
    name: "Loop that stops itself, over a value that grows",
    text: `f (float[2] x) => (float[k] y) {
      most = Constant <value_int = 10> ()
      yes = Constant <value = bool {1}> ()
      y = Loop (most, yes, x) <
        body = step (int64 i, bool go, s) => (bool on, next) {
          next = Concat <axis = 0> (s, x)
          three = Constant <value_int = 3> ()
          on = Less (i, three)
        }
      >
    }`,
    types: ["float32[?]"],
    feeds: [floats([2], 1, 2)],
  },
  {
    name: "Loop that never runs",
    text: `f (float[2] x) => (float[2] y, float[k, 2] all) {
      none = Constant <value_int = 0> ()
      yes = Constant <value = bool {1}> ()
      y, all = Loop (none, yes, x) <
        body = step (int64 i, bool go, float[2] s) => (bool on, float[2] next, float[2] out) {
          on = Identity (go)
          next = Neg (s)
          out = Neg (s)
        }
      >
    }`,
    types: ["float32[2]", "float32[0, 2]"],
    feeds: [floats([2], 1, 2)],
  },
  {
    name: "Scan",
    text: `f (float[2] s0, float[t, 2] xs) => (float[2] s, float[t, 2] ys) {
      s, ys = Scan <num_scan_inputs = 1, body = step (float[2] a, float[2] x) => (float[2] b, float[2] y) {
        b = Add (a, x)
        y = Mul (b, x)
      }> (s0, xs)
    }`,
    types: ["float32[2]", "float32[t, 2]"],
    feeds: [floats([2], 1, 2), floats([3, 2], 1, 2, 3, 4, 5, 6)],
  },
  {
    name: "Scan backwards along the last axis",
    text: `f (float s0, float[2, t] xs) => (float s, float[2, t] ys) {
      s, ys = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_input_directions = [1],
        scan_output_axes = [-1], scan_output_directions = [1],
        body = step (float a, float[2] x) => (float b, float[2] y) {
          axes = Constant <value_ints = [0]> ()
          sum = ReduceSum <keepdims = 0> (x, axes)
          b = Add (a, sum)
          y = Mul (b, x)
        }> (s0, xs)
    }`,
    types: ["float32[]", "float32[2, t]"],
    feeds: [floats([], 1), floats([2, 3], 1, 2, 3, 4, 5, 6)],
  },
];

describe.each(rows)("$name", ({ text, types, feeds }) => {
  const build = () => {
    const model = parseModel(`${header}\n${text}`);
    for (const output of model.graph.outputs) output.type = undefined;
    inferModel(model);
    return model;
  };
  const environment = (model: ReturnType<typeof build>) =>
    new Map(
      model.graph.inputs.flatMap((input, i) => (feeds[i] === undefined ? [] : [[input, feeds[i]] as const])),
    );

  test("types", () => {
    const found = build().graph.outputs.map(({ type }) => formatType(type).replaceAll(/\?\d+/g, "?"));
    expect(found).toEqual(types);
  });

  test("runtime agrees with the evaluator", async () => {
    const model = build();
    const wanted = evaluateGraph(model.graph, environment(model), { opset: 20 });
    const got = await runModel(model, environment(model));
    expect(got.length).toBe(wanted.length);
    got.forEach((actual, i) => {
      const expected = wanted[i];
      if (expected === undefined) throw new Error(`output ${i} is missing`);
      expect(difference(actual, expected, runtimeTolerance(expected.dtype))).toBeUndefined();
    });
  });
});

/** A case for the gradient checks: every float input is a variable. */
function caseOf(text: string, feeds: readonly NDArray[]): BuiltCase {
  const model = parseModel(`${header}\n${text}`);
  inferModel(model);
  const { graph } = model;
  const arrays = new Map(
    graph.inputs.flatMap((input, i) => (feeds[i] === undefined ? [] : [[input, feeds[i]] as const])),
  );
  const variables = graph.inputs.filter((input) => isFloat(dtypeOf(input)));
  return { model, opset: 20, feeds: arrays, variables, outputs: [...graph.outputs], sizes: new Map() };
}

const loop = (count: string): string => `f (float[2] x, float[2] w) => (float[2] y, float[k, 2] all) {
  count = ${count}
  yes = Constant <value = bool {1}> ()
  y, all = Loop (count, yes, x) <
    body = step (int64 i, bool go, float[2] s) => (bool on, float[2] next, float[2] out) {
      on = Identity (go)
      p = Mul (s, w)
      k = CastLike (i, s)
      next = Add (p, k)
      out = Exp (next)
    }
  >
}`;

const differentiated: readonly (readonly [string, string, readonly NDArray[]])[] = [
  [
    "Loop with a value that its body captures",
    loop("Constant <value_int = 3> ()"),
    [floats([2], 0.5, -1), floats([2], 0.3, 0.7)],
  ],
  [
    "Loop that never runs",
    loop("Constant <value_int = 0> ()"),
    [floats([2], 0.5, -1), floats([2], 0.3, 0.7)],
  ],
  [
    "Scan",
    `f (float[2] s0, float[3, 2] xs, float[2] w) => (float[2] s, float[3, 2] ys) {
      s, ys = Scan <num_scan_inputs = 1, scan_input_directions = [1], scan_output_directions = [1],
        body = step (float[2] a, float[2] x) => (float[2] b, float[2] y) {
          c = Mul (a, w)
          b = Add (c, x)
          y = Mul (b, x)
        }> (s0, xs)
    }`,
    [floats([2], 1, 2), floats([3, 2], 1, 0.2, 0.3, 0.4, 0.5, 0.6), floats([2], 0.3, 0.7)],
  ],
  [
    "Loop in a Loop",
    `f (float[2] x, float[2] w) => (float[2] y) {
      two = Constant <value_int = 2> ()
      y = Loop (two, , x) <
        body = outer (int64 i, bool go, float[2] s) => (bool on, float[2] next) {
          on = Identity (go)
          next = Loop (two, , s) <
            body = inner (int64 j, bool keep, float[2] t) => (bool more, float[2] after) {
              more = Identity (keep)
              p = Mul (t, w)
              after = Exp (p)
            }
          >
        }
      >
    }`,
    [floats([2], 0.5, -1), floats([2], 0.3, 0.7)],
  ],
];

describe.each(differentiated)("gradient of %s", (_, text, feeds) => {
  test("agrees with differences", () => {
    checkGradient(() => caseOf(text, feeds));
  });
  test("runtime agrees with the evaluator", async () => {
    await checkRuntime(gradientCase(caseOf(text, feeds)));
  });
});
