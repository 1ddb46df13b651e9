/** Round trips of text: what is printed parses to the same model, and prints to the same text again. */
import { describe, expect, test } from "vitest";
import { cloneModel } from "../../src/ir/clone.ts";
import { assignNames } from "../../src/ir/names.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";
import { describeModel } from "./describe-model.ts";
import { samples } from "./samples/index.ts";

describe.each(Object.entries(samples))("%s", (_name, make) => {
  const options = { folder: "/models/a", locations: "anywhere" } as const;

  test("prints to the same text again", () => {
    const text = printModel(make(), options);
    expect(printModel(parseModel(text, options), options)).toBe(text);
  });

  test("parses to the same model", () => {
    const model = make();
    const parsed = parseModel(printModel(model, options), options);
    verifyModel(parsed);
    assignNames(model);
    expect(describeModel(parsed)).toEqual(describeModel(withTensorTypes(model)));
  });

  test("printing leaves the model as it is", () => {
    const model = make();
    const before = describeModel(model);
    printModel(model, options);
    expect(describeModel(model)).toEqual(before);
  });

  test("prints a clone as the original", () => {
    const model = make();
    expect(printModel(cloneModel(model), options)).toBe(printModel(model, options));
  });
});

/** An initializer without a type has that of its data once it is read back. */
function withTensorTypes<T extends ReturnType<typeof parseModel>>(model: T): T {
  for (const value of model.graph.initializers) {
    const { initializer } = value;
    if (initializer === undefined || value.type !== undefined) continue;
    value.type = { kind: "tensor", dtype: initializer.dtype, shape: initializer.dims };
  }
  return model;
}
