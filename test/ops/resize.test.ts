/** Resize and Upsample. */
import { describe, expect, test } from "vitest";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { type AttributeLike, floatAttribute } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { difference } from "../harness/compare.ts";
import { buildBackward } from "../harness/gradient.ts";
import { buildCase, evaluateCase, type OpCase, type OperandSpec } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";
import { upgradedCase } from "../harness/upgrade.ts";

type Attributes = Readonly<Record<string, AttributeLike>>;

const namings = ["static", "shared", "separate"] as const;
const floats = (values: readonly number[], constant = true): OperandSpec => ({
  shape: [values.length],
  values,
  ...(constant ? { constant } : { host: true }),
});
const sizesOf = (values: readonly number[], constant = true): OperandSpec => ({
  shape: [values.length],
  values,
  dtype: "int64",
  ...(constant ? { constant } : { host: true }),
});
const image: OperandSpec = { shape: [2, 3, 4, 5] };

function scaled(name: string, scales: readonly number[], attributes: Attributes, x = image): void {
  const spec = { op: "Resize", inputs: [x, null, floats(scales)], attributes };
  checkOp(`${name}, by ${scales.join(" ")}`, spec, { namings });
}

function sized(name: string, sizes: readonly number[], attributes: Attributes, x = image): void {
  const spec = { op: "Resize", inputs: [x, null, null, sizesOf(sizes)], attributes };
  checkOp(`${name}, to ${sizes.join(" ")}`, spec, { namings });
}

const places = [
  "half_pixel",
  "half_pixel_symmetric",
  "pytorch_half_pixel",
  "align_corners",
  "asymmetric",
  "tf_half_pixel_for_nn",
];
const choices = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"];
for (const coordinate_transformation_mode of places) {
  for (const nearest_mode of choices) {
    const attributes = { coordinate_transformation_mode, nearest_mode };
    const name = `nearest, ${coordinate_transformation_mode}, ${nearest_mode}`;
    scaled(name, [1, 1, 2, 3], attributes);
    scaled(name, [1, 1, 0.6, 1.7], attributes);
    scaled(name, [1, 1, 0.5, 1], attributes);
  }
  for (const mode of ["linear", "cubic"]) {
    const attributes = { coordinate_transformation_mode, mode };
    const name = `${mode}, ${coordinate_transformation_mode}`;
    scaled(name, [1, 1, 2, 2], attributes);
    scaled(name, [1, 1, 0.6, 1.7], attributes);
    sized(name, [2, 3, 7, 1], attributes);
  }
}
scaled("nearest, batch and channels", [2, 1.5, 1, 1], {});
scaled("nearest, one axis", [2.5], {}, { shape: [5] });
scaled("nearest, five axes", [1, 2, 1, 0.5, 2], {}, { shape: [2, 2, 2, 4, 3] });
checkOp(
  "nearest, to nothing",
  { op: "Resize", inputs: [image, null, floats([1, 1, 0.1, 1])] },
  { namings: ["static"] },
);
scaled("nearest, of nothing", [1, 1, 2, 2], {}, { shape: [0, 3, 4, 5] });
sized("nearest, a whole number of times", [2, 3, 8, 15], {});
sized("nearest, less", [2, 3, 2, 3], {});
sized("nearest, nothing changes", [2, 3, 4, 5], {});
sized("linear, two axes", [7, 3], { mode: "linear" }, { shape: [4, 5] });
sized("linear, three axes", [3, 7, 3], { mode: "linear" }, { shape: [2, 4, 5] });
sized("linear, five axes", [1, 2, 5, 3, 4], { mode: "linear" }, { shape: [1, 2, 3, 4, 2] });
sized("linear, channels last", [2, 6, 3, 5], { mode: "linear" }, { shape: [2, 4, 5, 5] });
sized("linear, from one", [1, 1, 3, 4], { mode: "linear" }, { shape: [1, 1, 1, 2] });
// Factors that leave every size: the runtime copies.
scaled("linear, sizes stay", [1, 1, 1.25, 1.1], { mode: "linear" }, { shape: [1, 2, 3, 5] });
scaled("linear, one size stays", [1, 1, 1.25, 1.3], { mode: "linear" }, { shape: [1, 2, 3, 5] });
sized("cubic, two axes", [7, 3], { mode: "cubic" }, { shape: [4, 5] });
for (const mode of ["linear", "cubic"]) {
  for (const exclude_outside of [0, 1]) {
    if (mode === "cubic") {
      scaled(`cubic, exclude_outside ${exclude_outside}`, [1, 1, 1.8, 0.7], { mode, exclude_outside });
    }
    const attributes = { mode, exclude_outside, antialias: 1 };
    scaled(`${mode}, antialias, exclude_outside ${exclude_outside}`, [1, 1, 0.4, 0.6], attributes);
    scaled(`${mode}, antialias, exclude_outside ${exclude_outside}`, [1, 1, 2.3, 0.5], attributes);
    scaled(`${mode}, antialias, exclude_outside ${exclude_outside}`, [1, 1, 1.1, 0.5], attributes);
  }
}
scaled("cubic, another coefficient", [1, 1, 1.8, 0.7], {
  mode: "cubic",
  cubic_coeff_a: floatAttribute(-0.5),
});
scaled("cubic, antialias, another coefficient", [1, 1, 0.5, 0.7], {
  mode: "cubic",
  antialias: 1,
  cubic_coeff_a: floatAttribute(-0.5),
});

// Axes and policies of opset 18.
scaled("axes", [0.6, 2], { axes: [3, 2], mode: "linear" });
sized("axes, counted from the end", [7, 3], { axes: [-2, -1], mode: "linear" });
for (const keep_aspect_ratio_policy of ["not_larger", "not_smaller"]) {
  for (const more of [
    { mode: "linear", axes: [2, 3] },
    { mode: "nearest", axes: [2, 3] },
    { mode: "cubic", axes: [3, 2] },
    { mode: "linear", axes: [3], coordinate_transformation_mode: "align_corners" },
    { mode: "linear", axes: [2, 3], antialias: 1 },
  ]) {
    const wanted = more.axes.length === 1 ? [8] : [7, 8];
    for (const constant of [true, false]) {
      checkOp(`${keep_aspect_ratio_policy}, sizes ${constant ? "constant" : "at run time"}, ${more.mode}`, {
        op: "Resize",
        inputs: [image, null, null, { ...sizesOf(wanted), constant, host: !constant }],
        attributes: { ...more, keep_aspect_ratio_policy },
      });
    }
  }
}

// Parts of the operand.
const crop = {
  coordinate_transformation_mode: "tf_crop_and_resize",
  extrapolation_value: floatAttribute(2.5),
};
for (const [name, roi] of [
  ["inside", [0, 0, 0.2, 0.1, 1, 1, 0.8, 0.7]],
  ["turned", [0, 0, 0.8, 0.1, 1, 1, 0.2, 0.7]],
  ["beyond", [0, 0, -0.3, 0.1, 1, 1, 0.8, 1.4]],
] as const) {
  for (const mode of ["nearest", "linear", "cubic"]) {
    for (const constant of [true, false]) {
      const inputs = [image, floats(roi, constant), null, sizesOf([2, 3, 6, 3])];
      checkOp(`${mode}, ${name}, roi ${constant ? "known" : "at run time"}`, {
        op: "Resize",
        inputs,
        attributes: { ...crop, mode },
      });
    }
  }
}
checkOp("roi and scales along some axes", {
  op: "Resize",
  inputs: [image, floats([0.2, 0, 0.9, 0.6], false), floats([1.5, 0.6])],
  attributes: { ...crop, axes: [2, 3], mode: "linear" },
});
checkOp("a line out of the middle", {
  op: "Resize",
  inputs: [image, floats([0, 0, 0.2, 0.2, 1, 1, 0.9, 0.6]), null, sizesOf([2, 3, 1, 1])],
  attributes: { ...crop, mode: "linear" },
});

// What is asked for may be known at run time only.
for (const mode of ["nearest", "linear", "cubic"]) {
  const attributes = { mode };
  const late = { op: "Resize", inputs: [image, null, floats([1, 1, 1.5, 0.6], false)], attributes };
  checkOp(`${mode}, scales at run time`, late, { namings });
  const same = { op: "Resize", inputs: [image, null, floats([1, 1, 1.1, 1.05], false)], attributes };
  checkOp(`${mode}, scales at run time that leave the sizes`, same, { namings });
  checkOp(
    `${mode}, sizes at run time`,
    { op: "Resize", inputs: [image, null, null, sizesOf([2, 3, 6, 3], false)], attributes },
    { namings },
  );
}
checkOp(
  "gradients of gradients",
  {
    op: "Resize",
    inputs: [{ shape: [1, 1, 3, 4] }, null, floats([1, 1, 2, 1.5])],
    attributes: { mode: "linear" },
  },
  { twice: true },
);

for (const dtype of ["float16", "float64"] as const) {
  const x = { shape: [1, 2, 3, 4], dtype };
  for (const mode of ["nearest", "linear"]) {
    const spec = { op: "Resize", inputs: [x, null, floats([1, 1, 2, 1.5])], attributes: { mode } };
    checkOp(dtype, spec, { noRuntime: "Resize of the CPU has no kernel for the type" });
  }
}
for (const dtype of ["uint8", "int32"] as const) {
  const x: OperandSpec = { shape: [1, 2, 3, 4], dtype, range: [0, 100] };
  for (const attributes of [{ mode: "nearest" }, { mode: "linear" }, { mode: "linear", antialias: 1 }]) {
    checkOp(dtype, { op: "Resize", inputs: [x, null, floats([1, 1, 0.6, 1.7])], attributes });
  }
}

describe("older versions", () => {
  const x: OperandSpec = { shape: [1, 2, 5, 6] };
  const scales = (opset: number, values: readonly number[]): OpCase => ({
    op: "Resize",
    opset,
    inputs: [x, floats(values)],
  });
  const up = (values: readonly number[]): AttributeLike => ({ kind: "floats", value: values });
  const empty: OperandSpec = { shape: [0], values: [], constant: true };
  const cases: readonly OpCase[] = [
    { op: "Upsample", opset: 7, inputs: [x], attributes: { scales: up([1, 1, 2, 3]) } },
    { op: "Upsample", opset: 8, inputs: [x], attributes: { scales: up([1, 1, 1.5, 2.2]), mode: "linear" } },
    { op: "Upsample", opset: 9, inputs: [x, floats([1, 1, 2.5, 1.3])] },
    {
      op: "Upsample",
      opset: 9,
      inputs: [x, floats([1, 1, 2.5, 1.3], false)],
      attributes: { mode: "linear" },
    },
    scales(10, [1, 1, 2, 3]),
    scales(10, [1, 1, 0.6, 0.7]),
    scales(10, [1, 1, 0.6, 1.7]),
    { ...scales(10, [1, 1, 0.6, 1.7]), attributes: { mode: "linear" } },
    { op: "Resize", opset: 10, inputs: [x, floats([1, 1, 0.6, 1.7], false)] },
    { op: "Resize", opset: 11, inputs: [x, empty, floats([1, 1, 2, 0.6])] },
    {
      op: "Resize",
      opset: 11,
      inputs: [x, empty, empty, sizesOf([1, 2, 3, 8])],
      attributes: { mode: "cubic" },
    },
    { op: "Resize", opset: 12, inputs: [x, empty, empty, sizesOf([1, 2, 3, 8])] },
    { op: "Resize", opset: 13, inputs: [x, null, null, sizesOf([1, 2, 3, 8])] },
    { op: "Resize", opset: 18, inputs: [x, null, null, sizesOf([3, 8])], attributes: { axes: [2, 3] } },
  ];
  test.each(
    cases.map((spec) => [`${spec.op} ${spec.opset} ${JSON.stringify(spec.inputs[1])}`, spec] as const),
  )("%s means the same after the upgrade", async (_, spec) => {
    const old = buildCase(spec, "static");
    const [wanted] = await runModel(old.model, old.feeds);
    const upgraded = upgradedCase(spec);
    const [got] = evaluateCase(upgraded);
    const [again] = await runModel(upgraded.model, upgraded.feeds);
    if (wanted === undefined || got === undefined || again === undefined) throw new Error("no result");
    expect(difference(got, wanted, runtimeTolerance("float32"))).toBeUndefined();
    expect(difference(again, wanted, runtimeTolerance("float32"))).toBeUndefined();
  });

  test("sizes of empty scales come from sizes", () => {
    const spec = { op: "Resize", opset: 20, inputs: [x, empty, empty, sizesOf([1, 2, 3, 8])] };
    expect(buildCase(spec, "static").outputs[0]?.tensorType?.shape).toEqual([1, 2, 3, 8]);
  });
});

test("gradients of roi are refused", () => {
  const roi = { shape: [8], values: [0, 0, 0.2, 0.1, 1, 1, 0.8, 0.7] };
  const spec = { op: "Resize", inputs: [image, roi, null, sizesOf([2, 3, 6, 3])], attributes: crop };
  expect(() => buildBackward(spec, "static")).toThrow(/"roi" says sizes or places/);
});

describe("what does not fit is refused", () => {
  const cases: readonly (readonly [OpCase, string])[] = [
    [{ op: "Resize", inputs: [image, null, floats([2, 2])] }, "E_BAD_OPERAND"],
    [{ op: "Resize", inputs: [image, null, floats([2, 2])], attributes: { axes: [2, 4] } }, "E_BAD_AXIS"],
    [{ op: "Resize", inputs: [image], attributes: { mode: "area" } }, "E_BAD_ATTRIBUTE"],
    [{ op: "Resize", inputs: [image], attributes: { nearest_mode: "up" } }, "E_BAD_ATTRIBUTE"],
    [
      { op: "Resize", inputs: [image], attributes: { coordinate_transformation_mode: "left" } },
      "E_BAD_ATTRIBUTE",
    ],
    [{ op: "Resize", inputs: [image], attributes: { keep_aspect_ratio_policy: "crop" } }, "E_BAD_ATTRIBUTE"],
  ];
  test.each(cases.map(([spec, code]) => [code, JSON.stringify(spec.attributes), spec] as const))(
    "%s %s",
    (code, _, spec) => {
      let caught: unknown;
      try {
        buildCase(spec, "static");
      } catch (error) {
        caught = error;
      }
      expect(caught instanceof DiagnosticError ? caught.diagnostics[0]?.code : caught).toBe(code);
    },
  );
});
