/** Sequences on the way of a gradient: made, changed, read, joined, and carried by loops. */
import { describe, expect, test } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.ts";
import { checkText } from "./check-text.ts";
import { buildText } from "./text-case.ts";

describe("elements", () => {
  for (const position of [0, 1, -1, -3])
    checkText(`read at ${position}`, {
      text: `f (float[n] x, float[2] y, float[n, 2] z, int64 at) => (float[k] r) {
        p = Sin (x)
        zs = Mul (z, z)
        axes = Constant <value_ints = [1]> ()
        q = ReduceSum <keepdims = 0> (zs, axes)
        s = SequenceConstruct (p, y, q)
        t = SequenceAt (s, at)
        flat = Constant <value_ints = [-1]> ()
        u = Reshape (t, flat)
        r = Exp (u)
      }`,
      sizes: { n: 2 },
      values: { at: [position] },
    });

  for (const position of ["", ", at"])
    for (const at of position === "" ? [0] : [0, 1, -1, -2])
      checkText(`inserted and erased${position} ${at}`, {
        text: `f (float[2] x, float[3] y, float[2] z, int64 at) => (float[k] r) {
          s = SequenceConstruct (x, y)
          t = SequenceInsert (s, z${position})
          u = SequenceErase (t)
          v = SequenceInsert (u, x)
          w = SequenceErase (v${position})
          j = ConcatFromSequence <axis = 0> (w)
          r = Sin (j)
        }`,
        values: { at: [at] },
      });

  checkText("one that is read twice, and passes on", {
    text: `f (float[n] x, float[n] y) => (float[n] r, float[k, n] all) {
      s = SequenceConstruct (x, y)
      zero = Constant <value_int = 0> ()
      a = SequenceAt (s, zero)
      b = SequenceAt (s, zero)
      r = Mul (a, b)
      j = ConcatFromSequence <axis = 0, new_axis = 1> (s)
      all = Sin (j)
    }`,
    sizes: { n: 2 },
  });
});

describe("slices along an axis", () => {
  const splits: readonly (readonly [string, string, number])[] = [
    ["one each", "SplitToSequence <axis = 1> (x)", 0],
    ["one each, without the axis", "SplitToSequence <axis = -1, keepdims = 0> (x)", 1],
    ["equal ones and a smaller last", "SplitToSequence <axis = 1> (x, two)", 0],
    ["as listed", "SplitToSequence <axis = -1> (x, listed)", 0],
    ["one each by a number, without the axis", "SplitToSequence <axis = 1, keepdims = 0> (x, single)", 1],
    ["as listed, whatever keepdims says", "SplitToSequence <axis = 1, keepdims = 0> (x, listed)", 0],
  ];
  for (const [name, split, added] of splits)
    for (const axis of [1, -1])
      checkText(`${name}, joined along ${axis}`, {
        text: `f (float[n, 3] x) => (float[n, k] r) {
          single = Constant <value_int = 1> ()
          two = Constant <value_int = 2> ()
          listed = Constant <value_ints = [1, 2]> ()
          s = ${split}
          j = ConcatFromSequence <axis = ${axis}, new_axis = ${added}> (s)
          r = Sin (j)
        }`,
        sizes: { n: 2 },
      });
});

describe("loops", () => {
  checkText("a sequence that grows, joined after", {
    text: `f (int64 count, float[n] x, float[n] w) => (float[k, n] r) {
      none = SequenceEmpty ()
      y, s = Loop (count, , x, none) <
        body = step (int64 i, bool go, float[n] a, seq(float[n]) t) => (bool on, float[n] next, seq(float[n]) more) {
          on = Identity (go)
          p = Mul (a, w)
          next = Sin (p)
          more = SequenceInsert (t, next)
        }
      >
      r = ConcatFromSequence <axis = 0, new_axis = 1> (s)
    }`,
    sizes: { n: 2 },
    values: { count: [3] },
  });

  checkText(
    "a sequence from outside, read by the iteration",
    {
      text: `f (float[t, n] x, float[n] w) => (float[n] y) {
      s = SplitToSequence <axis = 0, keepdims = 0> (x)
      count = SequenceLength (s)
      y = Loop (count, , w) <
        body = step (int64 i, bool go, float[n] a) => (bool on, float[n] next) {
          on = Identity (go)
          e = SequenceAt (s, i)
          p = Mul (a, e)
          next = Sin (p)
        }
      >
    }`,
      sizes: { n: 2, t: 3 },
    },
    { once: "the sum of sequences that it carries is read in each iteration" },
  );

  for (const count of [3, 0])
    checkText(`a carried value that grows, ${count} times`, {
      text: `f (int64 count, float[n] x, float[2] w) => (float[k] y) {
        y = Loop (count, , x) <
          body = step (int64 i, bool go, s) => (bool on, next) {
            on = Identity (go)
            t = Sin (s)
            next = Concat <axis = 0> (t, w)
          }
        >
      }`,
      sizes: { n: 2 },
      values: { count: [count] },
    });

  checkText("a carried value that grows and meets products", {
    text: `f (int64 count, float[n, 2] x, float[2, 2] w) => (float[k, 2] y) {
      y = Loop (count, , x) <
        body = step (int64 i, bool go, s) => (bool on, next) {
          on = Identity (go)
          t = MatMul (s, w)
          u = Tanh (t)
          next = Concat <axis = 0> (u, x)
        }
      >
    }`,
    sizes: { n: 1 },
    values: { count: [3] },
  });
});

describe("branches", () => {
  for (const truth of [1, 0])
    checkText(`a sequence that a branch makes, ${truth}`, {
      text: `f (bool c, float[n] x, float[n] w) => (float[k] r) {
        s = If (c) <
          then_branch = yes () => (seq(float[n]) a) { a = SequenceConstruct (x, w) },
          else_branch = no () => (seq(float[n]) d) { p = Mul (x, w) d = SequenceConstruct (p, x, w) }
        >
        j = ConcatFromSequence <axis = 0> (s)
        r = Sin (j)
      }`,
      sizes: { n: 2 },
      values: { c: [truth] },
    });
});

checkText(
  "sequences that begin with something, added to at the end and at a place",
  {
    text: `f (int64 count, float[n] x, float[n] w) => (float[k, n] r, float[j, n] q) {
    begun = SequenceConstruct (x, w)
    y, s, t = Loop (count, , x, begun, begun) <
      body = step (int64 i, bool go, float[n] a, seq(float[n]) c, seq(float[n]) d) => (bool on, float[n] next, seq(float[n]) more, seq(float[n]) other) {
        on = Identity (go)
        p = Mul (a, w)
        next = Sin (p)
        more = SequenceInsert (c, next)
        one = Constant <value_int = 1> ()
        other = SequenceInsert (d, p, one)
      }
    >
    u = ConcatFromSequence <axis = 0, new_axis = 1> (s)
    r = Sin (u)
    v = ConcatFromSequence <axis = 0, new_axis = 1> (t)
    q = Exp (v)
  }`,
    sizes: { n: 2 },
    values: { count: [2] },
  },
  { once: "the gradient by the second sequence shrinks in each iteration, which reads it" },
);

test("a sequence that is carried and read is refused", () => {
  const { model, variables } = buildText({
    text: `f (int64 count, float[n] x) => (float[k, n] y) {
      start = SequenceConstruct (x)
      s = Loop (count, , start) <
        body = step (int64 i, bool go, seq(float[n]) t) => (bool on, seq(float[n]) more) {
          on = Identity (go)
          e = SequenceAt (t, i)
          p = Sin (e)
          more = SequenceInsert (t, p)
        }
      >
      y = ConcatFromSequence <axis = 0, new_axis = 1> (s)
    }`,
    sizes: { n: 2 },
    values: { count: [2] },
  });
  const seeds = model.graph.outputs.map((value) => ({ value, gradient: value }));
  expect(() => differentiate(model.graph, seeds, variables, 20)).toThrow(/E_SEQUENCE_STATE.*"t"/);
});

describe("SequenceMap", () => {
  const once = "the sum of sequences that its gradient carries is read in each iteration";

  checkText(
    "over two sequences and a tensor",
    {
      text: `f (float[n, 3] x, float[n, 3] z, float[n] w) => (float[n, 3] r, float[n, 3] q) {
      s = SplitToSequence <axis = 1, keepdims = 0> (x)
      t = SplitToSequence <axis = 1, keepdims = 0> (z)
      u, v = SequenceMap <body = each (float[n] a, float[n] b, float[n] c) => (float[n] d, float[n] e) {
        p = Mul (a, b)
        d = Mul (p, c)
        e = Sin (a)
      }> (s, t, w)
      r = ConcatFromSequence <axis = 1, new_axis = 1> (u)
      j = ConcatFromSequence <axis = 1, new_axis = 1> (v)
      q = Exp (j)
    }`,
      sizes: { n: 2 },
    },
    { once },
  );

  checkText(
    "that passes elements on",
    {
      text: `f (float[n, 3] x) => (float[n, 3] r) {
      s = SplitToSequence <axis = 1, keepdims = 0> (x)
      u = SequenceMap <body = each (float[n] a) => (float[n] b) { b = Identity (a) }> (s)
      j = ConcatFromSequence <axis = 1, new_axis = 1> (u)
      r = Sin (j)
    }`,
      sizes: { n: 2 },
    },
    { once },
  );
});

describe("optionals", () => {
  checkText("a value that is there", {
    text: `f (float[n] x, float[n] w) => (float[n] r) {
      o = Optional (x)
      has = OptionalHasElement (o)
      r = If (has) <
        then_branch = yes () => (float[n] a) { e = OptionalGetElement (o) p = Mul (e, w) a = Sin (p) },
        else_branch = no () => (float[n] d) { d = Identity (w) }
      >
    }`,
    sizes: { n: 2 },
  });

  checkText("a sequence that is there, read twice", {
    text: `f (float[n] x, float[n] w) => (float[n] r) {
      s = SequenceConstruct (x, w)
      o = Optional (s)
      e = OptionalGetElement (o)
      g = OptionalGetElement (o)
      zero = Constant <value_int = 0> ()
      one = Constant <value_int = 1> ()
      p = SequenceAt (e, zero)
      q = SequenceAt (g, one)
      r = Mul (p, q)
    }`,
    sizes: { n: 2 },
  });

  checkText("a tensor that stands for an optional", {
    text: `f (float[n] x) => (float[n] r) { e = OptionalGetElement (x) r = Mul (e, e) }`,
    sizes: { n: 2 },
  });
});
