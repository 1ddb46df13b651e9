/** Metrics against values worked out by hand, and by scikit-learn and SciPy for the larger cases. */
import { describe, expect, it } from "vitest";
import { accuracy, f1, macroF1, matthews, pearson, perplexity, spearman } from "../../src/data/metrics.ts";
import { InternalError } from "../../src/diagnostics/define.ts";

// 2 true positives, 1 false positive, 2 false negatives, 1 true negative.
const predicted = [1, 1, 1, 0, 0, 0];
const expected = [1, 1, 0, 1, 1, 0];

describe("classes", () => {
  it("counts right predictions", () => {
    expect(accuracy(predicted, expected)).toBe(0.5);
    expect(accuracy(Int32Array.of(1, 2), Int32Array.of(1, 2))).toBe(1);
    expect(accuracy([], [])).toBeNaN();
  });

  it("computes F1 of a class", () => {
    // precision 2/3, recall 1/2
    expect(f1(predicted, expected)).toBeCloseTo(4 / 7, 15);
    // precision 1/3, recall 1/2
    expect(f1(predicted, expected, 0)).toBeCloseTo(0.4, 15);
    expect(f1([0, 0], [0, 0])).toBe(0);
  });

  it("averages F1 over the classes that occur", () => {
    expect(macroF1(predicted, expected)).toBeCloseTo((4 / 7 + 0.4) / 2, 15);
    // A class that is only predicted counts, with 0.
    expect(macroF1([0, 5], [0, 0])).toBeCloseTo((2 / 3 + 0) / 2, 15);
  });

  it("computes Matthews correlation", () => {
    // (2*1 - 1*2) / sqrt(3*4*2*3) = 0
    expect(matthews(predicted, expected)).toBe(0);
    expect(matthews([1, 0, 1], [1, 0, 1])).toBeCloseTo(1, 15);
    expect(matthews([1, 0, 1], [0, 1, 0])).toBeCloseTo(-1, 15);
    expect(matthews([1, 1, 1], [0, 1, 0])).toBe(0);
    // (3*3 - 2*1) / sqrt(5*4*5*4) with 3 true positives, 3 true negatives, 2 false positives, 1 false negative
    expect(matthews([1, 1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0, 1])).toBeCloseTo(7 / 20, 15);
  });

  it("agrees with scikit-learn on several classes", () => {
    const guesses = [0, 2, 1, 1, 0, 2, 2, 1, 0, 3];
    const truths = [0, 1, 1, 1, 2, 2, 2, 0, 0, 2];
    expect(accuracy(guesses, truths)).toBeCloseTo(0.6, 15);
    expect(macroF1(guesses, truths)).toBeCloseTo(0.47619047619047616, 14);
    expect(f1(guesses, truths, 1)).toBeCloseTo(0.6666666666666666, 14);
    expect(matthews(guesses, truths)).toBeCloseTo(0.4351941398892446, 14);
  });
});

describe("numbers", () => {
  it("correlates", () => {
    expect(pearson([1, 2, 3], [2, 4, 6])).toBeCloseTo(1, 15);
    expect(pearson([1, 2, 3], [3, 2, 1])).toBeCloseTo(-1, 15);
    // deviations (-1, 0, 1) and (-4/3, 5/3, -1/3): 1 / sqrt(2 * 42/9)
    expect(pearson([1, 2, 3], [1, 4, 2])).toBeCloseTo(1 / Math.sqrt(28 / 3), 15);
    expect(pearson([1, 1, 1], [1, 2, 3])).toBeNaN();
  });

  it("correlates ranks, ties sharing the mean rank", () => {
    expect(spearman([1, 2, 3], [10, 100, 1000])).toBeCloseTo(1, 15);
    // ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5)
    expect(spearman([0, 7, 7, 9], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(22.5), 15);
    expect(spearman([Number.NaN, 1, 2], [1, 2, 3])).not.toBe(1);
  });

  it("agrees with SciPy", () => {
    const guesses = [4.1, 0.2, 3.3, 3.3, 1.0, 2.5];
    const truths = [5, 0, 2.8, 3, 1.4, 2.8];
    expect(pearson(guesses, truths)).toBeCloseTo(0.9516528855092746, 14);
    expect(spearman(guesses, truths)).toBeCloseTo(0.9558823529411764, 14);
  });

  it("turns a mean loss into perplexity", () => {
    expect(perplexity(0)).toBe(1);
    expect(perplexity(Math.log(50))).toBeCloseTo(50, 12);
  });

  it("refuses lists of different lengths as our own mistake", () => {
    expect(() => accuracy([1], [])).toThrow(InternalError);
    expect(() => f1([1], [])).toThrow(InternalError);
    expect(() => matthews([1], [])).toThrow(InternalError);
    expect(() => spearman([1], [])).toThrow(InternalError);
  });
});
