/** Optimizers, clipping and skipping against torch.optim and torch.nn.utils.clip_grad_norm_ of PyTorch 2.13. */
import { describe, expect, it } from "vitest";
import { bindOptimizer } from "../../passes/optimize.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { roleFact, roleOf } from "../../src/ir/role.ts";
import { runUpdates, type UpdateOptions, updateModel } from "./update-model.ts";

const start = [1, -0.5, 2, 0.25];
const gradients = [
  [0.1, -2, 3, 0],
  [0.5, 1, -1, 1e-4],
  [-0.25, 0, 2, -1e-4],
  [1, 1, 1, 1],
  [-3, 0.5, 0, 2],
];
const rates = [0.1, 0.1, 0.05, 0.02, 0.1];

interface Reference extends UpdateOptions {
  /** Parameters after each update. */
  readonly params: readonly (readonly number[])[];
}

const references: Readonly<Record<string, Reference>> = {
  adamw: {
    kind: "adamw",
    options: { weight_decay: 0.01 },
    params: [
      [0.898999989, -0.399500012, 1.898, 0.249750003],
      [0.811996341, -0.372466803, 1.85608017, 0.175097093],
      [0.79577899, -0.361986607, 1.82499778, 0.177268371],
      [0.782954454, -0.363586366, 1.8120842, 0.165610462],
      [0.813964427, -0.381073564, 1.75723958, 0.094692409],
    ],
  },
  "adamw with other moments, epsilon and decay": {
    kind: "adamw",
    options: { beta1: 0.8, beta2: 0.95, eps: 1e-3, weight_decay: 0.5 },
    params: [
      [0.850990057, -0.375049978, 1.80003333, 0.237499997],
      [0.720352888, -0.335065067, 1.67490184, 0.220440701],
      [0.689061165, -0.318915069, 1.60317791, 0.215308219],
      [0.668755472, -0.319204211, 1.57469881, 0.200130954],
      [0.676106215, -0.330466419, 1.4464283, 0.110568576],
    ],
  },
  "adamw without decay": {
    kind: "adamw",
    options: { weight_decay: 0 },
    params: [
      [0.899999976, -0.400000006, 1.89999998, 0.25],
      [0.813895345, -0.373366296, 1.85997808, 0.175596833],
      [0.798084021, -0.363072336, 1.82982373, 0.17785567],
      [0.78541863, -0.364744484, 1.81727505, 0.166233212],
      [0.817211568, -0.382595271, 1.76424253, 0.0954807699],
    ],
  },
  adam: {
    kind: "adam",
    options: {},
    params: [
      [0.899999976, -0.400000006, 1.89999998, 0.25],
      [0.813895345, -0.373366296, 1.85997808, 0.175596833],
      [0.798084021, -0.363072336, 1.82982373, 0.17785567],
      [0.78541863, -0.364744484, 1.81727505, 0.166233212],
      [0.817211568, -0.382595271, 1.76424253, 0.0954807699],
    ],
  },
  "adam with decay in the gradient": {
    kind: "adam",
    options: { weight_decay: 0.1 },
    params: [
      [0.899999976, -0.400000006, 1.89999998, 0.150000036],
      [0.808019817, -0.370895147, 1.85331345, 0.0541653857],
      [0.782089472, -0.359123856, 1.82062805, 0.0119999386],
      [0.76775378, -0.360135168, 1.80703819, -2.64560804e-5],
      [0.793961704, -0.374459088, 1.74727345, -0.0715558231],
    ],
  },
  sgd: {
    kind: "sgd",
    options: {},
    params: [
      [0.99000001, -0.300000012, 1.70000005, 0.25],
      [0.939999998, -0.400000006, 1.80000007, 0.249990001],
      [0.952499986, -0.400000006, 1.70000005, 0.249995008],
      [0.932500005, -0.420000017, 1.68000007, 0.229995012],
      [1.23249996, -0.470000029, 1.68000007, 0.0299950093],
    ],
  },
  "sgd with decay": {
    kind: "sgd",
    options: { weight_decay: 0.1 },
    params: [
      [0.980000019, -0.294999987, 1.67999995, 0.247500002],
      [0.92019999, -0.392049998, 1.76319993, 0.245014995],
      [0.928098977, -0.39008975, 1.6543839, 0.243794918],
      [0.906242788, -0.409309566, 1.63107514, 0.223307326],
      [1.19718039, -0.455216467, 1.61476433, 0.0210742466],
    ],
  },
  "sgd with momentum": {
    kind: "sgd",
    options: { momentum: 0.9 },
    params: [
      [0.99000001, -0.300000012, 1.70000005, 0.25],
      [0.930999994, -0.220000014, 1.53000009, 0.249990001],
      [0.916949987, -0.184000015, 1.35350013, 0.249990508],
      [0.891892016, -0.191040024, 1.26996017, 0.229990691],
      [1.07913101, -0.272720039, 0.894030213, -0.0600085109],
    ],
  },
  "sgd with momentum and decay": {
    kind: "sgd",
    options: { momentum: 0.9, weight_decay: 0.1 },
    params: [
      [0.980000019, -0.294999987, 1.67999995, 0.247500002],
      [0.902200043, -0.207549989, 1.47519994, 0.242765009],
      [0.875179052, -0.167159751, 1.27566397, 0.239425436],
      [0.843701124, -0.172284946, 1.18127966, 0.217744336],
      [0.993613482, -0.243625462, 0.744737625, -0.0819980577],
    ],
  },
  "sgd with Nesterov momentum and decay": {
    kind: "sgd",
    options: { momentum: 0.9, nesterov: true, weight_decay: 0.1 },
    params: [
      [0.962000012, -0.110500023, 1.39199996, 0.245250002],
      [0.832522035, -0.132350534, 1.29635203, 0.238546252],
      [0.816926956, -0.0964231864, 1.01225913, 0.234381005],
      [0.767206967, -0.121361166, 0.906472504, 0.194418445],
      [1.19624233, -0.237144008, 0.512320101, -0.276997566],
    ],
  },
  "adamw, clipped": {
    kind: "adamw",
    options: { weight_decay: 0.01 },
    clip: 1,
    params: [
      [0.899000049, -0.399500012, 1.898, 0.249750003],
      [0.818392038, -0.413488775, 1.89038348, 0.175102353],
      [0.800209343, -0.418843091, 1.86604846, 0.1710224],
      [0.787204802, -0.426148385, 1.85465026, 0.159365416],
      [0.797748268, -0.464085132, 1.80620205, 0.0858018398],
    ],
  },
  "sgd, clipped now and then": {
    kind: "sgd",
    options: {},
    clip: 2.5,
    params: [
      [0.993068933, -0.361378312, 1.79206741, 0.25],
      [0.943068922, -0.461378306, 1.89206743, 0.249990001],
      [0.95556891, -0.461378306, 1.79206741, 0.249995008],
      [0.935568929, -0.481378317, 1.77206743, 0.229995012],
      [1.14160967, -0.51571846, 1.77206743, 0.0926344842],
    ],
  },
};

describe.each(Object.entries(references))("%s", (_, { params, ...options }) => {
  it.each(["runtime", "evaluator"] as const)("in the %s", async (by) => {
    const got = await runUpdates(updateModel(start, options), gradients, rates, by);
    params.forEach((wanted, step) => {
      wanted.forEach((value, i) => {
        const distance = Math.abs((got.params[step]?.[i] ?? Number.NaN) - value);
        expect(distance, `step ${step}, element ${i}`).toBeLessThan(2e-6);
      });
    });
    expect(got.skipped).toEqual([0, 0, 0, 0, 0]);
  });
});

describe("clipping", () => {
  it("measures the norm before it cuts, and leaves shorter gradients alone", async () => {
    const got = await runUpdates(updateModel(start, { kind: "sgd", clip: 2.5 }), gradients, rates, "runtime");
    [3.60693789, 1.5, 2.01556444, 2, 3.64005494].forEach((norm, i) =>
      expect(got.norms[i]).toBeCloseTo(norm, 6),
    );
    const free = await runUpdates(
      updateModel(start, { kind: "sgd" }),
      gradients.slice(1, 2),
      [0.1],
      "runtime",
    );
    const cut = await runUpdates(
      updateModel(start, { kind: "sgd", clip: 2.5 }),
      gradients.slice(1, 2),
      [0.1],
      "runtime",
    );
    expect(cut.params).toEqual(free.params);
  });

  it("of a gradient of zeros does nothing", async () => {
    const got = await runUpdates(
      updateModel(start, { kind: "sgd", clip: 1 }),
      [[0, 0, 0, 0]],
      [0.1],
      "runtime",
    );
    expect(got.params).toEqual([start]);
    expect(got.skipped).toEqual([0]);
  });
});

describe("gradients that are not finite", () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "with %f change nothing, and are reported",
    async (bad) => {
      const model = updateModel(start, { kind: "adamw" });
      const good = await runUpdates(model, gradients.slice(0, 2), rates, "runtime");
      const mixed = await runUpdates(
        model,
        [gradients[0] ?? [], [0, bad, 0, 0], gradients[1] ?? []],
        [0.1, 0.1, 0.1],
        "runtime",
      );
      expect(mixed.skipped).toEqual([0, 1, 0]);
      expect(mixed.params[1]).toEqual(mixed.params[0]);
      // The update after it is the second, not the third: bias corrections go on where they were.
      expect(mixed.params[2]).toEqual(good.params[1]);
      expect(mixed.state.get("step")?.toNumbers()).toEqual([2]);
      for (const name of ["state.m", "state.v"])
        expect(mixed.state.get(name)?.data).toEqual(good.state.get(name)?.data);
    },
  );
});

describe("loss scaling", () => {
  const scaling = { initial: 8, growth: 2, backoff: 0.25, interval: 2 };

  it("divides gradients by the scale before anything else", async () => {
    const scaled = gradients.map((gradient) => gradient.map((value) => value * 8));
    const plain = updateModel(start, { kind: "adamw", clip: 1 });
    const model = updateModel(start, { kind: "adamw", clip: 1, scaling: { ...scaling, interval: 100 } });
    const wanted = await runUpdates(plain, gradients, rates, "runtime");
    const got = await runUpdates(model, scaled, rates, "runtime");
    expect(got.params).toEqual(wanted.params);
    expect(got.norms).toEqual(wanted.norms);
  });

  it("grows after the interval, and falls back at once", async () => {
    const model = updateModel(start, { kind: "sgd", scaling });
    const bad = [Number.NaN, 0, 0, 0];
    const scales: (number | undefined)[] = [];
    for (let count = 1; count <= 5; count++) {
      const some = [gradients[0] ?? [], gradients[1] ?? [], gradients[2] ?? [], bad, gradients[3] ?? []];
      const { state } = await runUpdates(model, some.slice(0, count), rates, "evaluator");
      scales.push(state.get("loss_scale")?.numbers[0]);
    }
    expect(scales).toEqual([8, 16, 16, 4, 4]);
  });
});

describe("state", () => {
  it("has a slice for every parameter and name, and an output for every input", () => {
    const { graph } = updateModel(start, { kind: "adamw" });
    const state = graph.inputs.filter((input) => roleOf(input) === "state");
    expect(state.map((input) => roleFact(input, "key"))).toEqual(["optimizer/step", "state/m", "state/v"]);
    expect(JSON.parse(roleFact(state[1] ?? graph.inputs[0] ?? fail(), "slices") ?? "")).toEqual([
      { key: "w/m", offset: 0, shape: [4] },
    ]);
    const fed = graph.outputs.flatMap((output) => roleFact(output, "feeds") ?? []);
    expect(fed.sort()).toEqual(["params", "state.m", "state.v", "step"]);
  });

  it("is none for plain gradient descent", () => {
    expect(bindOptimizer("sgd", {}).state).toEqual([]);
    expect(bindOptimizer("sgd", { momentum: 0.5 }).state).toEqual(["velocity"]);
  });
});

describe("options", () => {
  it.each([
    ["adamv", {}, "E_OPTIMIZER_UNKNOWN", "did you mean adam"],
    ["adamw", { learning_rate: 1 }, "E_UNKNOWN_OPTION", "learning_rate"],
    ["adamw", { beta1: 1 }, "E_BAD_OPTION", "beta1"],
    ["adamw", { eps: 0 }, "E_BAD_OPTION", "eps"],
    ["sgd", { weight_decay: -1 }, "E_BAD_OPTION", "weight_decay"],
    ["sgd", { nesterov: true }, "E_BAD_OPTION", "momentum"],
  ])("of %s, %j are refused", (name, options, code, words) => {
    expect(() => bindOptimizer(name, options)).toThrow(DiagnosticError);
    expect(() => bindOptimizer(name, options)).toThrow(new RegExp(`^${code} `));
    expect(() => bindOptimizer(name, options)).toThrow(words);
  });
});

function fail(): never {
  throw new Error("the state is missing");
}
