/** The pass manager: reports, printing, verification, the truth check and crash reproducers. */
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { InternalError } from "../../src/diagnostics/define.ts";
import { passErrors } from "../../src/diagnostics/pass.ts";
import { Model } from "../../src/ir/model.ts";
import { Node } from "../../src/ir/node.ts";
import { definePass, type Pass } from "../../src/pass/define.ts";
import { type PipelineOptions, runPipeline } from "../../src/pass/manager.ts";

const none = z.strictObject({});

/** A pass that runs `edit` and says `word`. */
function passThat(name: string, word: boolean, edit: (model: Model) => void = () => {}): Pass {
  return definePass({
    name,
    summary: name,
    options: z.strictObject({ by: z.int().default(1) }),
    statistics: { edits: "edits made" },
    run: (model, { options, stat, remark }) => {
      edit(model);
      stat("edits", options.by);
      if (!word) remark("nothing to do");
      return word;
    },
  });
}

const rename = passThat("rename", true, (model) => {
  model.graph.name += "'";
});
const keep = passThat("keep", false);
const liar = passThat("liar", true);
const quiet = passThat("quiet", false, (model) => {
  model.graph.name += "!";
});
const crash = passThat("crash", true, () => {
  throw new TypeError("it broke");
});
const refuse = passThat("refuse", true, () => {
  throw passErrors.E_RECURSIVE_FUNCTION(["f", "f"]);
});
const corrupt = passThat("corrupt", true, (model) => {
  const inner = model.graph.addInput({ name: "x" });
  const node = new Node({ op: "Relu", inputs: [inner] });
  model.graph.insert(node);
  model.graph.detach(node);
  model.graph.addOutput(node.output());
});

const registry = [rename, keep, liar, quiet, crash, refuse, corrupt];
const print = (model: Model): string => `graph ${model.graph.name}`;

function run(pipeline: string, options: Partial<PipelineOptions> = {}) {
  const written: string[] = [];
  const model = new Model();
  const all = { registry, print, write: (text: string) => written.push(text), ...options };
  const attempt = () => runPipeline(model, pipeline, all);
  return { model, attempt, written };
}

describe("runPipeline", () => {
  it("reports what each pass did", () => {
    const { attempt } = run("keep,rename{by=3}");
    const { steps, changed } = attempt();
    expect(changed).toBe(true);
    expect(steps.map(({ ms: _, ...rest }) => rest)).toEqual([
      { pass: "keep", changed: false, statistics: { edits: 1 }, remarks: ["nothing to do"] },
      { pass: "rename", changed: true, statistics: { edits: 3 }, remarks: [] },
    ]);
  });

  it("prints before, after and after change", () => {
    const { attempt, written } = run("keep,rename", { printBefore: ["rename"], printAfterChange: true });
    attempt();
    expect(written).toEqual(["# before rename\ngraph main\n", "# after rename\ngraph main'\n"]);
    const all = run("keep,rename", { printAfter: "all" });
    all.attempt();
    expect(all.written).toHaveLength(2);
  });

  it("writes times and statistics when asked", () => {
    const { attempt, written } = run("keep,rename", { timing: true, statistics: true });
    attempt();
    expect(written.join("")).toMatch(
      /ms {2}keep\n.*ms {2}rename\n.*ms {2}total\nkeep: edits 1\nrename: edits 1\n$/,
    );
  });

  it.each(["liar", "quiet"])("catches the untruth of %s", (name) => {
    expect(run(name, { checkTruth: true }).attempt).toThrow(/its text says otherwise/);
    expect(run(name).attempt).not.toThrow();
  });

  it("verifies the IR after each pass", () => {
    expect(run("corrupt", { verifyEach: true }).attempt).toThrow(
      /internal: pass "corrupt" failed: .*undefined/,
    );
    expect(run("corrupt").attempt).not.toThrow();
  });

  it("writes a reproducer with the model before the pass that failed and the rest of the pipeline", () => {
    const file = join(mkdtempSync(join(tmpdir(), "peft-")), "crash.onnxtxt");
    const { attempt } = run("rename,crash{by=2},keep", { reproducer: file });
    expect(attempt).toThrow(InternalError);
    expect(attempt).toThrow(/pass "crash" failed: it broke; the reproducer is/);
    const text = readFileSync(file, "utf8");
    expect(text).toContain("# pipeline: crash{by=2},keep\n# error: it broke\n");
    expect(text).toMatch(/\ngraph main'+\n$/);
  });

  it("passes diagnostics on as they are", () => {
    expect(run("refuse").attempt).toThrow(expect.objectContaining({ code: "E_RECURSIVE_FUNCTION" }));
  });

  it("refuses a statistic that the pass does not declare", () => {
    const odd: Pass = {
      ...definePass({ name: "odd", summary: "", options: none, statistics: {}, run: () => false }),
      run: (_, { stat }) => {
        stat("other");
        return false;
      },
    };
    expect(run("odd", { registry: [odd] }).attempt).toThrow(/does not declare "other"/);
  });
});
