/** Methods that adapter folders cannot carry are refused in the direction that would compute something else. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { bindAdapter } from "../../passes/adapt.ts";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { writePeftFolder } from "../../src/compile/export-peft.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { readModel } from "../../src/onnx/read.ts";
import { oracleRoot } from "../oracle/oracle-set.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-unportable-"));
afterAll(() => rmSync(folder, { recursive: true }));

const targets = { target_modules: ["query"], layers_to_transform: [0] };

describe("methods that depend on what folders lack", () => {
  it.each(["psoft", "frod"])("%s is not exported for PEFT", async (method) => {
    const adapter = bindAdapter(method, targets);
    const out = join(folder, method);
    await expect(writePeftFolder(out, { adapter, taskType: undefined, tensors: new Map() })).rejects.toThrow(
      "E_ADAPTER_UNPORTABLE",
    );
    expect(existsSync(out)).toBe(false);
  });

  it.each([
    ["psoft", { ...targets, r: 4 }],
    ["frod", { ...targets, save_projection: false }],
  ])("%s does not start from a folder without its untrained tensors", (name, options) => {
    const model = readModel(join(oracleRoot, "models/bert/model.onnx"));
    const compile = (adapter?: { file: string; tensors: ReadonlyMap<string, Tensor> }): unknown =>
      compileGraphs(
        model,
        { method: { name, options }, modulesToSave: [], task: "seq-cls" },
        adapter === undefined ? {} : { adapter },
      );
    expect(() => compile({ file: "theirs", tensors: new Map() })).toThrow("E_ADAPTER_UNPORTABLE");
    expect(() => compile()).not.toThrow();
  });

  it("adamss is not carried where rows are equally far from each other", async () => {
    const model = readModel(join(oracleRoot, "models/bert/model.onnx"));
    const compiled = (r: number): Compiled =>
      compileGraphs(model, {
        method: { name: "adamss", options: { ...targets, r } },
        modulesToSave: [],
        task: "seq-cls",
      });
    const write = ({ plan, state }: Compiled, name: string): Promise<void> => {
      const tensors = new Map([...state.tensors].filter(([key]) => !key.includes("/")));
      return writePeftFolder(join(folder, name), { adapter: plan.adapter, taskType: undefined, tensors });
    };
    await expect(write(compiled(100), "square")).rejects.toThrow("E_ADAPTER_UNPORTABLE");
    await expect(write(compiled(8), "narrow")).resolves.toBeUndefined();
  });
});
