/** What the registry says of all operators at once. */
import { expect, test } from "vitest";
import { allOps } from "../../src/ops/registry.ts";
import { schemaVersions } from "../../src/ops/schema-versions.ts";

const standard = allOps().filter(({ domain }) => domain === "");

/** Operators that ONNX Runtime puts into ai.onnx beside those of ONNX. */
const runtimeOnly = ["SimplifiedLayerNormalization"];

test.each(standard.map((op) => [op.type, op] as const))(
  "%s lists the versions that ONNX lists",
  (type, op) => {
    expect(op.versions).toEqual(runtimeOnly.includes(type) ? [1] : schemaVersions(type));
  },
);

test("upgrades lead to versions that exist", () => {
  for (const { type, versions, upgrades } of standard) {
    for (const version of Object.keys(upgrades)) expect(versions, type).toContain(Number(version));
  }
});

test("what has no gradient says why", () => {
  for (const { type, gradient } of allOps()) {
    if (gradient.kind === "none" || gradient.kind === "zero") {
      expect(gradient.reason?.length ?? 0, type).toBeGreaterThan(10);
    }
  }
});
