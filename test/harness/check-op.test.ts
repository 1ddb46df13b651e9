/** The harness of operator tests must fail on wrong rules. */
import { afterEach, expect, test, vi } from "vitest";
import { InternalError } from "../../src/diagnostics/define.ts";
import { tensorType } from "../../src/ir/type.ts";
import { fromNumbers } from "../../src/ops/ndarray.ts";
import type { Op } from "../../src/ops/record.ts";
import { lookupOp } from "../../src/ops/registry.ts";
import { checkGradient, checkRuntime, checkTypes } from "./check-op.ts";
import { buildCase, type OpCase } from "./op-case.ts";

const spec: OpCase = { op: "Sigmoid", inputs: [{ shape: [2, 3] }] };
const build = () => buildCase(spec, "static");
const record = recordOf("Sigmoid");

afterEach(() => {
  vi.restoreAllMocks();
});

function recordOf(type: string): Op {
  const op = lookupOp("", type);
  if (op === undefined) throw new InternalError(`no record of ${type}`);
  return op;
}

test("right rules pass", async () => {
  checkTypes(buildCase(spec, "shared"));
  checkGradient(build);
  await checkRuntime(build());
});

test.each([
  ["a wrong factor", 1.001],
  ["a wrong sign", -1],
])("%s in the gradient is found", (_, factor) => {
  const right = record.vjp.bind(record);
  vi.spyOn(record, "vjp").mockImplementation((node, grads, b) =>
    right(node, grads, b).map((thunk) => thunk && (() => b.mul(thunk(), factor))),
  );
  expect(() => checkGradient(build)).toThrow(/gradient says/);
});

test("a gradient that is missing is found", () => {
  const zero = { ...record.gradient, kind: "zero" as const };
  vi.spyOn(record, "gradient", "get").mockReturnValue(zero);
  expect(() => checkGradient(build)).toThrow(/gradient says 0/);
});

test("a gradient of the wrong shape is found", () => {
  vi.spyOn(record, "vjp").mockImplementation((_node, grads, b) => [
    () => b.reduceSum(grads[0] ?? b.int(0), undefined),
  ]);
  expect(() => checkGradient(build)).toThrow();
});

test("a wrong inferred shape is found", () => {
  vi.spyOn(record, "infer").mockReturnValue([tensorType("float32", [3, 2])]);
  expect(() => checkTypes(build())).toThrow(/shape/);
});

test("a wrong inferred type is found", () => {
  vi.spyOn(record, "infer").mockReturnValue([tensorType("float64", [2, 3])]);
  expect(() => checkTypes(build())).toThrow(/type/);
});

test("a wrong evaluation is found against the runtime", async () => {
  vi.spyOn(record, "evaluate").mockReturnValue([fromNumbers("float32", [2, 3], new Float64Array(6))]);
  await expect(checkRuntime(build())).rejects.toThrow(/elements/);
});
