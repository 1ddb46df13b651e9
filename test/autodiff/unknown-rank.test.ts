/** Values whose rank is known at run time alone: what is element-wise, reshaped or reduced has a gradient nevertheless. */
import { describe } from "vitest";
import { checkText } from "./check-text.ts";

const unknown = (
  body: string,
) => `f (float[a, b] x, int64[k] s${body.includes("w)") || body.includes("w,") ? ", float[b] w" : ""}) => (float y) {
  r = Reshape (x, s)
  ${body}
}`;

const bodies: readonly (readonly [string, string])[] = [
  ["squares", "q = Mul (r, r) y = ReduceSum <keepdims = 0> (q)"],
  ["functions of one element", "p = Sin (r) q = Exp (p) y = ReduceSum <keepdims = 0> (q)"],
  [
    "operands that are broadcast",
    "d = Sin (r) p = Mul (d, w) q = Sub (w, p) c = Sin (q) y = ReduceSum <keepdims = 0> (c)",
  ],
  ["quotients and powers", "p = Exp (r) q = Div (w, p) d = Pow (p, q) y = ReduceSum <keepdims = 0> (d)"],
  [
    "the larger and the smaller",
    "p = Max (r, w) q = Min (p, r, w) d = Mul (p, q) y = ReduceSum <keepdims = 0> (d)",
  ],
  [
    "a choice",
    "z = Sin (r) g = Greater (z, w) q = Where (g, r, w) d = Mul (q, r) y = ReduceSum <keepdims = 0> (d)",
  ],
  [
    "sums and means of several",
    "p = Sum (r, w, r) q = Mean (p, w) d = Mul (p, q) y = ReduceSum <keepdims = 0> (d)",
  ],
  ["a mean", "q = Mul (r, r) y = ReduceMean <keepdims = 0> (q)"],
  ["a norm", "y = ReduceL2 <keepdims = 0> (r)"],
  ["a logarithm of a sum", "y = ReduceLogSumExp <keepdims = 0> (r)"],
  ["the largest", "q = Sin (r) y = ReduceMax <keepdims = 0> (q)"],
  ["a product", "q = Sin (r) y = ReduceProd <keepdims = 0> (q)"],
  ["axes that stay", "q = Mul (r, r) p = ReduceSum (q) e = Mul (p, r) y = ReduceSum <keepdims = 0> (e)"],
  [
    "another shape",
    "d = Sin (r) c = Shape (x) q = Reshape (d, c) p = Mul (q, x) y = ReduceSum <keepdims = 0> (p)",
  ],
  [
    "a larger shape",
    "c = Constant <value_ints = [2, 1, 1, 1]> () q = Expand (r, c) p = Mul (q, r) y = ReduceSum <keepdims = 0> (p)",
  ],
  [
    "axes of one",
    "c = Constant <value_ints = [0]> () q = Unsqueeze (r, c) p = Sin (q) d = Squeeze (p, c) y = ReduceSum <keepdims = 0> (d)",
  ],
  ["a cast", "d = Cast <to = 11> (r) p = Mul (d, d) q = Cast <to = 1> (p) y = ReduceSum <keepdims = 0> (q)"],
];

describe("behind a Reshape", () => {
  for (const [name, body] of bodies) {
    checkText(
      name,
      { text: unknown(body), sizes: { a: 2, b: 2, k: 3 }, values: { s: [2, 1, 2] } },
      { once: "first is enough" },
    );
  }
});

const axes = (body: string) => `f (float[2, 3, 2] x, int64[k] s) => (float y) { ${body} }`;

describe("reduced over axes that are known at run time", () => {
  for (const op of ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceLogSumExp", "ReduceProd"]) {
    checkText(
      op,
      {
        text: axes(
          `q = Sin (x) p = ${op} <keepdims = 0> (q, s) d = Mul (p, p) y = ReduceSum <keepdims = 0> (d)`,
        ),
        sizes: { k: 2 },
        values: { s: [2, 0] },
      },
      { once: "first is enough" },
    );
  }
});

describe("results of an If", () => {
  for (const truth of [0, 1]) {
    checkText(
      `condition ${truth}`,
      {
        text: `f (bool c, float[1, n] x) => (float y) {
          r = If (c) <
            then_branch = yes () => (float[m] a) { i = Constant <value_ints = [0]> () a = Squeeze (x, i) },
            else_branch = no () => (float[p, q] d) { d = Sin (x) }
          >
          e = Mul (r, r)
          y = ReduceSum <keepdims = 0> (e)
        }`,
        sizes: { n: 3 },
        values: { c: [truth] },
      },
      { once: "first is enough" },
    );
  }
});
