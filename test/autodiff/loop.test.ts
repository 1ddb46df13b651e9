/** Loop backwards: counts known before or at run time, conditions, carried and stacked values, captures. */
import { describe } from "vitest";
import { checkText } from "./check-text.ts";

const recurrence = `f (int64 count, float[b, 2] x, float[2, 2] w, float[2] bias) => (float[b, 2] y, float[k, b, 2] all) {
  yes = Constant <value = bool {1}> ()
  y, all = Loop (count, yes, x) <
    body = step (int64 i, bool go, float[b, 2] s) => (bool on, float[b, 2] next, float[b, 2] out) {
      on = Identity (go)
      p = MatMul (s, w)
      k = CastLike (i, s)
      q = Add (p, k)
      r = Add (q, bias)
      next = Tanh (r)
      out = Mul (next, s)
    }
  >
}`;

describe("counts", () => {
  for (const count of [3, 1, 0])
    checkText(`${count}, at run time`, { text: recurrence, sizes: { b: 2 }, values: { count: [count] } });
  for (const count of [3, 0])
    checkText(`${count}, as a constant`, {
      text: recurrence
        .replace("int64 count, ", "")
        .replace("{\n", `{\n  count = Constant <value_int = ${count}> ()\n`),
      sizes: { b: 2 },
    });
});

const doubling = (
  count: string,
  first: string,
): string => `f (int64 n, bool start, float[2] x, float[2] w) => (float[2] y) {
  limit = Constant <value_float = 4.0> ()
  y = Loop (${count}, ${first}, x) <
    body = step (int64 i, bool go, float[2] s) => (bool on, float[2] next) {
      p = Mul (s, w)
      next = Mul (p, s)
      size = ReduceL1 <keepdims = 0> (next)
      on = Less (size, limit)
    }
  >
}`;

describe("conditions", () => {
  const values = { n: [6], x: [1.1, 0.9], w: [1.3, 1.2] };
  checkText("while the body says so", {
    text: doubling("", "start").replace("int64 n, ", ""),
    values: { ...values, start: [1] },
  });
  checkText("with a count besides", { text: doubling("n", "start"), values: { ...values, start: [1] } });
  checkText("false from the start", { text: doubling("n", "start"), values: { ...values, start: [0] } });
  checkText("left out", {
    text: doubling("n", "").replace("bool start, ", ""),
    values,
  });
});

describe("what is carried", () => {
  checkText("whole numbers and truth values beside floats", {
    text: `f (int64 count, int64 n0, bool b0, float[2] x) => (float[2] y) {
      n, b, y = Loop (count, , n0, b0, x) <
        body = step (int64 i, bool go, int64 n, bool flag, float[2] s) => (bool on, int64 more, bool other, float[2] next) {
          on = Identity (go)
          more = Add (n, n)
          other = Not (flag)
          factor = CastLike (more, s)
          p = Sin (s)
          q = Mul (p, factor)
          next = Where (flag, q, s)
        }
      >
    }`,
    values: { count: [3], n0: [1], b0: [0] },
  });

  checkText("a value that the body resets", {
    text: `f (int64 count, float[2] x, float[2] z) => (float[2] y, float[2] w) {
      y, w = Loop (count, , x, z) <
        body = step (int64 i, bool go, float[2] s, float[2] t) => (bool on, float[2] next, float[2] after) {
          on = Identity (go)
          next = Mul (s, t)
          k = CastLike (i, s)
          shape = Shape (s)
          after = Expand (k, shape)
        }
      >
    }`,
    values: { count: [2] },
  });

  checkText("a result that nobody reads, and a stack that goes back alone", {
    text: `f (int64 count, float[2] x, float[2] w) => (float[k, 2] all) {
      y, all = Loop (count, , x) <
        body = step (int64 i, bool go, float[2] s) => (bool on, float[2] next, float[2] out) {
          on = Identity (go)
          next = Mul (s, w)
          out = Exp (next)
        }
      >
    }`,
    values: { count: [3] },
  });

  checkText("scalars of rank 0", {
    text: `f (int64 count, float x, float w) => (float y, float[k] all) {
      y, all = Loop (count, , x) <
        body = step (int64 i, bool go, float s) => (bool on, float next, float out) {
          on = Identity (go)
          next = Mul (s, w)
          out = Exp (next)
        }
      >
    }`,
    values: { count: [3] },
  });
});

describe("loops in loops", () => {
  checkText("of run-time counts", {
    text: `f (int64 count, float[2] x, float[2] w) => (float[2] y) {
      y = Loop (count, , x) <
        body = outer (int64 i, bool go, float[2] s) => (bool on, float[2] next) {
          on = Identity (go)
          next = Loop (i, , s) <
            body = inner (int64 j, bool keep, float[2] t) => (bool more, float[2] after) {
              more = Identity (keep)
              p = Mul (t, w)
              q = Mul (p, s)
              after = Sin (q)
            }
          >
        }
      >
    }`,
    values: { count: [3] },
  });

  checkText("a scan in a loop", {
    text: `f (int64 count, float[2] x, float[t, 2] w) => (float[2] y, float[k, t, 2] all) {
      y, all = Loop (count, , x) <
        body = outer (int64 i, bool go, float[2] s) => (bool on, float[2] next, float[t, 2] out) {
          on = Identity (go)
          next, out = Scan <num_scan_inputs = 1, body = inner (float[2] a, float[2] b) => (float[2] c, float[2] d) {
            e = Mul (a, b)
            c = Sin (e)
            d = Mul (c, s)
          }> (s, w)
        }
      >
    }`,
    sizes: { t: 2 },
    values: { count: [2] },
  });
});
