/** The suite itself: a right method passes, and each mistake in a copy of it fails the check that is about it. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { type AdapterSpec, defineAdapter } from "../../src/adapt/define.ts";
import { filled, type Initializer, normal } from "../../src/adapt/initializers.ts";
import { targetOptions } from "../../src/adapt/targets.ts";
import { conformanceCases } from "../../src/conformance/suite.ts";
import { float32Tensor } from "../../src/ir/constant.ts";
import { setRole } from "../../src/ir/role.ts";
import { tensorType } from "../../src/ir/type.ts";
import { detach } from "../../src/ops/detach.ts";

const options = z.strictObject({
  r: z.int().min(1).default(2).describe("rank"),
  rate: z.number().positive().default(1).describe("factor of the update"),
  low_dropout: z.number().min(0).lt(1).default(0).describe("probability of dropping an element"),
  ...targetOptions,
});

type Spec = AdapterSpec<typeof options, "down" | "up", "linear">;

/** y = W x + b + r U D x, with rate in place of an alpha. */
const right: Spec = {
  name: "conforming",
  peftType: "CONFORMING",
  summary: "Adds a low-rank update",
  formula: "y = W x + b + rate U D x",
  paper: "none",
  options,
  peftConfig: {},
  sites: ["linear"],
  identityAtStart: () => true,
  parameters: (site, o) => ({
    down: { key: "low_down", shape: [o.r, site.inFeatures], init: normal(1) },
    up: { key: "low_up", shape: [site.outFeatures, o.r], init: filled(0) },
  }),
  build: ({ x, y, params, options: o, b, dropout }) => {
    const inner = b.matmul(dropout(x, o.low_dropout), b.transpose(params.down, [1, 0]));
    return b.add(y, b.mul(b.matmul(inner, b.transpose(params.up, [1, 0])), o.rate));
  },
  merge: ({ weight, params, options: o, b }) => ({
    weight: b.add(weight, b.mul(b.matmul(params.up, params.down), o.rate)),
  }),
};

/** Names of the checks that the method fails, with what they say. */
async function failuresOf(spec: Spec): Promise<Map<string, string>> {
  const failures = new Map<string, string>();
  for (const { check, run } of conformanceCases(defineAdapter(spec), { extent: "first" })) {
    await run().catch((error: unknown) => failures.set(check, error instanceof Error ? error.message : ""));
  }
  return failures;
}

/** Expects that just the named checks fail, the first with a message that matches. */
async function expectFailure(
  change: Partial<Spec>,
  checks: readonly string[],
  message: RegExp,
): Promise<void> {
  const failures = await failuresOf({ ...right, ...change });
  expect([...failures.keys()].sort()).toEqual([...checks].sort());
  expect(failures.get(checks[0] ?? "")).toMatch(message);
}

const withInit = (init: Initializer): Partial<Spec> => ({
  parameters: (site, o, sites) => {
    const { down, up } = right.parameters(site, o, sites);
    return { down: { ...down, init }, up };
  },
});

describe("tests of the conformance suite", () => {
  it("passes a right method", async () => {
    expect(await failuresOf(right)).toEqual(new Map());
  });

  it("finds a sign that merging flips", () =>
    expectFailure(
      {
        merge: ({ weight, params, options: o, b }) => ({
          weight: b.sub(weight, b.mul(b.matmul(params.up, params.down), o.rate)),
        }),
      },
      ["merges into weights that compute the same"],
      /output "y" of the merged model is [01]\.\d+ from the adapted one's/,
    ));

  it("finds a factor that merging forgets where it is not 1", async () => {
    const failures = await failuresOf({
      ...right,
      options: options.extend({ rate: z.number().positive().default(2) }),
      merge: ({ weight, params, b }) => ({ weight: b.add(weight, b.matmul(params.up, params.down)) }),
    });
    expect([...failures.keys()]).toEqual(["merges into weights that compute the same"]);
  });

  it("finds an unmerging that leaves the update in", () =>
    expectFailure(
      { unmerge: ({ weight }) => ({ weight }) },
      ["gives the weights back that it merged into"],
      /unmerging "layers\.0\.up\.weight" gives weights that merge into others/,
    ));

  it("finds an unmerging of what is not added alone", async () => {
    const scale: Partial<Spec> = {
      merge: ({ weight, params, b }) => ({
        weight: b.mul(weight, b.add(b.matmul(params.up, params.down), 1)),
      }),
      build: ({ x, y, params, b, weight }) =>
        b.add(y, b.matmul(x, b.transpose(b.mul(weight(), b.matmul(params.up, params.down)), [1, 0]))),
    };
    const failures = await failuresOf({ ...right, ...scale });
    expect(failures.get("gives the weights back that it merged into")).toMatch(/gives weights that merge/);
    const reason = await failuresOf({ ...right, ...scale, unmerge: "its factors may be zero" });
    expect(reason.has("gives the weights back that it merged into")).toBe(false);
  });

  it("finds a graph that is another one where values are computed again", async () => {
    let built = 0;
    const failures = await failuresOf({
      ...right,
      build: (context) => {
        built += 1;
        return context.b.mul(right.build(context), 1 + built / 1000);
      },
    });
    expect(failures.get("computes the same where values are computed again")).toMatch(/its loss is/);
  });

  it("finds a trained tensor too many that nothing reads", () =>
    expectFailure(
      {
        build: ({ x, y, params, b }) =>
          b.add(y, b.matmul(x, b.transpose(b.matmul(params.up, b.mul(params.down, 0)), [1, 0]))),
      },
      [
        "gives every trained tensor a gradient",
        "merges into weights that compute the same",
        "drops out in training only, by the seed",
      ],
      /"base_model\.model\.layers\.0\.up\.low_down" is trained, but the loss does not depend on it|low_up/,
    ));

  it("finds a trained tensor too many that the method does not declare", async () => {
    const failures = await failuresOf({
      ...right,
      build: (context) => {
        const { b, site } = context;
        const key = `extra.${site.path}`;
        const extra = b.graph.addInput({
          name: key,
          type: tensorType("float32", [site.outFeatures]),
          initializer: float32Tensor(new Array<number>(site.outFeatures).fill(0)),
        });
        return b.add(right.build(context), setRole(extra, "param", { key }));
      },
    });
    expect(failures.get("trains what it declares and nothing else")).toBe(
      '"extra.layers.0.up" is trained, which the method does not declare',
    );
  });

  it("finds a gradient that is off by a hundredth", () =>
    expectFailure(
      {
        build: (context) => {
          const { y, b } = context;
          const update = b.sub(right.build(context), y);
          return b.add(y, b.add(b.mul(update, 0.99), b.mul(detach(b, update), 0.01)));
        },
      },
      ["has the gradient of its loss"],
      /its gradient along a random direction is .*, the loss changes by/,
    ));

  it("finds a rank and a rate without bounds", async () => {
    const rank = await failuresOf({ ...right, options: options.extend({ r: z.int().default(2) }) });
    expect(rank.get("computes finite numbers at its bounds")).toMatch(/^r = -?\d/);
    const rate = options.extend({ low_dropout: z.number().default(0) });
    const dropout = await failuresOf({ ...right, options: rate });
    expect(dropout.get("computes finite numbers at its bounds")).toMatch(/^low_dropout = 1, .* not finite/);
  });

  it("finds starting values that no seed gives", () =>
    expectFailure(
      withInit((shape) => Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, Math.random)),
      ["draws the same from the same seed"],
      /"base_model\.model\.layers\.0\.up\.low_down" starts differently/,
    ));

  it("finds a start that is not the identity", () =>
    expectFailure(
      {
        parameters: (site, o, sites) => {
          const { down, up } = right.parameters(site, o, sites);
          return { down, up: { ...up, init: filled(0.1) } };
        },
      },
      ["starts as the identity"],
      /output "y" of a fresh adapter/,
    ));

  it("finds dropout that is left on in evaluation", () =>
    expectFailure(
      {
        build: ({ x, y, params, options: o, b }) => {
          const kept = b.mul(x, 1 - o.low_dropout);
          return b.add(
            y,
            b.matmul(b.matmul(kept, b.transpose(params.down, [1, 0])), b.transpose(params.up, [1, 0])),
          );
        },
      },
      ["drops out in training only, by the seed"],
      /low_dropout of 0\.5 asks for no seed/,
    ));

  it("finds a row that depends on the others", () =>
    expectFailure(
      {
        build: (context) => mixed(context),
        merge: () => "its result depends on the batch",
      },
      ["has the same gradient on two ranks"],
      /the mean gradient of two halves/,
    ));

  it("finds two tensors of one key", async () => {
    const failures = await failuresOf({
      ...right,
      sites: ["linear"],
      parameters: (site, o, sites) => {
        const { down, up } = right.parameters(site, o, sites);
        return { down, up: { ...up, key: "low_down", shape: down.shape } };
      },
      build: ({ x, y, params, b }) =>
        b.add(y, b.reduceSum(b.mul(b.matmul(x, b.transpose(params.down, [1, 0])), 0.1), [-1], true)),
    });
    expect(failures.get("trains what it declares and nothing else")).toBe(
      'two tensors of "layers.0.up" have the key "low_down"',
    );
  });
});

/** The update times its own mean over the rows. */
function mixed(context: Parameters<Spec["build"]>[0]): ReturnType<Spec["build"]> {
  const { y, b } = context;
  const update = b.sub(right.build(context), y);
  return b.add(y, b.mul(update, b.reduceMean(update, [0], true)));
}
