/**
 * Optimizers to which shapes and groups of tensors matter. Muon against torch.optim.Muon of PyTorch 2.13 in float64 (its
 * iteration made not to round to bfloat16); PEFT's three against its numbers in the oracle set, and here by what they must keep.
 */
import { describe, expect, it } from "vitest";
import type { FlatSlice } from "../../src/training/flatten.ts";
import { runUpdates, type UpdateOptions, updateModel } from "./update-model.ts";

const shapes: readonly (readonly number[])[] = [[2, 3], [3, 2], [2]];

function slicesOf(facts: readonly Partial<FlatSlice>[]): FlatSlice[] {
  let offset = 0;
  return shapes.map((shape, i) => {
    const slice = { key: `tensor${i}`, offset, shape, ...facts[i] };
    offset += shape.reduce((product, size) => product * size, 1);
    return slice;
  });
}

const start = [0.5, -1, 0.25, 1, 0.75, -0.5, 1, 0.5, -0.25, 0.75, 0.5, -1, 0.5, -0.5];
const gradients = [
  [1.5, -0.25, -2.125, 0.625, -1.125, -1.375, 0.375, 0.875, -0.75, -0.375, -0.625, 0.125, -0.875, 1.125],
  [-1.125, 0.125, -0.625, 0.375, -0.875, -1.5, 0.375, 1.5, 1, 0.75, 0.25, 1.25, -1.25, -0.75],
  [0, -0.75, 0.5, -1.375, 0.25, 0.5, -2.25, 0.25, -1, -0.5, 0.25, -0.875, 0, 0.25],
];
const rates = [0.1, 0.1, 0.1];

/** A (2, 3) and B (3, 2) of one module, and a bias. */
const factors = slicesOf([
  { group: "lora_A", module: "m", factor: "2" },
  { group: "lora_B", module: "m", factor: "2" },
  { key: "classifier.bias", group: "base" },
]);

async function run(options: UpdateOptions): ReturnType<typeof runUpdates> {
  return runUpdates(updateModel(start, options), gradients, rates, "runtime");
}

function expectNear(got: readonly number[] | undefined, wanted: readonly number[], what: string): void {
  expect(got, what).toHaveLength(wanted.length);
  wanted.forEach((value, i) => {
    expect(Math.abs((got?.[i] ?? Number.NaN) - value), `${what}, element ${i}`).toBeLessThan(3e-6);
  });
}

describe("muon", () => {
  const wanted = [
    [
      0.4486202, -1.009206, 0.3002865, 0.9903144, 0.8065804, -0.4646878, 0.9827186, 0.4006016, -0.1783475,
      0.7595609, 0.5699965, -1.0304258, 0.595, -0.595,
    ],
    [
      0.5044908, -1.0468306, 0.3675295, 0.9370236, 0.8595764, -0.4210977, 0.946835, 0.3280579, -0.2535959,
      0.7444778, 0.6054692, -1.0784951, 0.6884345, -0.6035021,
    ],
    [
      0.4352639, -0.9752772, 0.407986, 1.0080175, 0.8609178, -0.3911156, 0.9991342, 0.2544444, -0.1680555,
      0.8329499, 0.6071301, -1.039605, 0.7583747, -0.6200763,
    ],
  ];
  it.each(["runtime", "evaluator"] as const)(
    "is PyTorch's, beside AdamW for vectors, in the %s",
    async (by) => {
      const got = await runUpdates(
        updateModel(start, { kind: "muon", slices: slicesOf([]) }),
        gradients,
        rates,
        by,
      );
      wanted.forEach((params, step) => expectNear(got.params[step], params, `step ${step}`));
      // Squares are kept of the vector alone.
      expect(got.state.get("state.v")?.size).toBe(2);
      expect(got.state.get("state.m")?.size).toBe(14);
    },
  );

  it("needs a matrix", () => {
    expect(() => updateModel(start, { kind: "muon" })).toThrow(/^E_OPTIMIZER_TENSORS /);
  });
});

describe("lora-plus", () => {
  it("is AdamW at another rate for each group", async () => {
    const options = { loraplus_lr_ratio: 4, loraplus_weight_decay: 0.5 };
    const got = await run({ kind: "lora-plus", options, slices: factors });
    const plain = (rate: number, decay: number): ReturnType<typeof runUpdates> =>
      runUpdates(
        updateModel(start, { kind: "adamw", options: { weight_decay: decay } }),
        gradients,
        rates.map((each) => each * rate),
        "runtime",
      );
    const [slow, fast, bias] = [await plain(1, 0.5), await plain(4, 0.5), await plain(4, 0)];
    rates.forEach((_, step) => {
      const parts = [
        slow.params[step]?.slice(0, 6),
        fast.params[step]?.slice(6, 12),
        bias.params[step]?.slice(12),
      ];
      expectNear(
        got.params[step],
        parts.flatMap((part) => part ?? []),
        `step ${step}`,
      );
    });
  });

  it("gives embeddings their own rate", async () => {
    const slices = slicesOf([{ group: "lora_embedding_A" }, { group: "lora_embedding_B" }, {}]);
    const options = { lr: 0.1, loraplus_lr_embedding: 0.05, loraplus_lr_ratio: 1 };
    const got = await run({ kind: "lora-plus", options, slices });
    const half = await runUpdates(
      updateModel(start, { kind: "adamw", options: { weight_decay: 0 } }),
      gradients,
      rates.map((rate) => rate / 2),
      "runtime",
    );
    expectNear(got.params[2]?.slice(0, 12), half.params[2]?.slice(0, 12) ?? [], "embedding");
  });
});

describe("lora-fa", () => {
  it("leaves A as it is, without state, and out of the norm", async () => {
    const got = await run({ kind: "lora-fa", slices: factors });
    expect(got.params.map((params) => params.slice(0, 6))).toEqual(rates.map(() => start.slice(0, 6)));
    expect(got.params[0]?.[6]).not.toBe(start[6]);
    expect(got.state.get("state.m")?.size).toBe(8);
    const [first = []] = gradients;
    expect(got.norms[0]).toBeCloseTo(Math.hypot(...first.slice(6)), 5);
  });

  it("makes the first moment of B the projected gradient", async () => {
    const got = await runUpdates(
      updateModel(start, { kind: "lora-fa", slices: factors }),
      gradients.slice(0, 1),
      rates,
      "runtime",
    );
    // A A^T of rows (0.5, -1, 0.25) and (1, 0.75, -0.5), its inverse by hand.
    const [aa, ab, bb] = [0.25 + 1 + 0.0625, 0.5 - 0.75 - 0.125, 1 + 0.5625 + 0.25];
    const det = aa * bb - ab * ab;
    const inverse = [bb / det, -ab / det, -ab / det, aa / det];
    const grad = gradients[0]?.slice(6, 12) ?? [];
    const wanted = grad.map((_, i) => {
      const [row, column] = [i - (i % 2), i % 2];
      const product =
        (grad[row] ?? 0) * (inverse[column] ?? 0) + (grad[row + 1] ?? 0) * (inverse[2 + column] ?? 0);
      return (0.1 * product) / 4;
    });
    expectNear(got.state.get("state.m")?.toNumbers().slice(0, 6), wanted, "m");
  });

  it("refuses ranks above the width, whose A A^T has no inverse", () => {
    const tall = slicesOf([
      { group: "lora_B", module: "m" },
      { group: "lora_A", module: "m" },
    ]);
    expect(() => updateModel(start, { kind: "lora-fa", slices: tall })).toThrow(/rank 3 for width 2/);
  });
});

describe.each(["lora-plus", "lora-fa", "riemannian"])("%s", (kind) => {
  it("refuses methods without low-rank factors", () => {
    expect(() => updateModel(start, { kind, slices: slicesOf([]) })).toThrow(/^E_OPTIMIZER_TENSORS /);
  });
});

describe("riemannian", () => {
  it("is AdamW for what is no factor", async () => {
    const got = await run({ kind: "riemannian", slices: factors });
    const plain = await run({ kind: "adamw", slices: factors });
    expect(got.params[2]?.slice(12)).toEqual(plain.params[2]?.slice(12));
    expect(got.params[2]?.slice(0, 12)).not.toEqual(plain.params[2]?.slice(0, 12));
  });
});
