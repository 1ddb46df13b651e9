/** Tests of the runner of text goldens itself: what it reads, compares, refuses and writes. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { InternalError } from "../../src/diagnostics/define.ts";
import { textErrors } from "../../src/diagnostics/text.ts";
import type { Model } from "../../src/ir/model.ts";
import {
  checkGolden,
  type GoldenCase,
  parseGoldens,
  printGoldens,
  type RunPipeline,
  runGolden,
  updateGolden,
} from "./golden.ts";

const file = `# drops what nothing reads
pipeline: dce
--- in
f (float[2] x) => (float[2] y) {
  z = Abs (x)  # float[2]
  y = Neg (x)
}
--- out
f (float[2] x) => (float[2] y) {
  y = Neg (x)
}
// -----
# is refused, for a reason that takes more than the width of one line to write down and so stands on two of them here
# as it should
pipeline: refuse{why="because"}
--- in
g () => () {}
--- error
E_TEXT_ELIDED
the data of a tensor was left out
`;

/** Stands for the pass manager: `dce` removes unread nodes, `refuse` refuses, `break` breaks the IR, others do nothing. */
const run: RunPipeline = (model: Model, pipeline: string) => {
  if (pipeline.startsWith("refuse")) throw textErrors.E_TEXT_ELIDED("here");
  if (pipeline === "break") model.graph.first?.setInput(0, model.graph.last?.output() ?? null);
  if (pipeline !== "dce") return;
  for (const node of model.graph.reversed()) {
    if (node.outputs.every((output) => output?.isUsed !== true)) model.graph.remove(node);
  }
};

function firstCase(text: string): GoldenCase {
  const [golden] = parseGoldens(text);
  if (golden === undefined) throw new Error("no case");
  return golden;
}

describe("reading", () => {
  test("cases have a description, a pipeline, a model and an outcome", () => {
    const [first, second] = parseGoldens(file);
    expect(first).toMatchObject({
      description: "drops what nothing reads",
      pipeline: "dce",
      expected: { kind: "out" },
    });
    expect(second?.description).toMatch(/^is refused, .* as it should$/);
    expect(second?.pipeline).toBe('refuse{why="because"}');
    expect(second?.expected).toEqual({
      kind: "error",
      text: "E_TEXT_ELIDED\nthe data of a tensor was left out\n",
    });
  });

  test("a file prints as it was read", () => {
    expect(printGoldens(parseGoldens(file))).toBe(file);
  });

  test.each([
    ["pipeline: dce\n--- in\nf () => () {}\n", "a comment has to say"],
    ["# x\n--- in\nf () => () {}\n", 'starts with "pipeline:"'],
    ["# x\npipeline: a\npipeline: b\n--- in\nf () => () {}\n", 'starts with "pipeline:"'],
    ["# x\npipeline: a\n", 'the sections are "--- in"'],
    ["# x\npipeline: a\n--- out\nf\n--- in\nf\n", 'the sections are "--- in"'],
    ["# x\npipeline: a\n--- in\nf\n--- result\nf\n", 'no section "--- result"'],
    ["# x\npipeline: a\n--- in\nf\n--- out\nf\n--- error\nE\n", 'the sections are "--- in"'],
  ])("refuses %j", (text, problem) => {
    expect(() => parseGoldens(text)).toThrow(problem);
    expect(() => parseGoldens(`${file}// -----\n${text}`)).toThrow("case at line 22");
  });
});

describe("running", () => {
  test("gives the text of the model, without a default header", () => {
    const golden = firstCase(file);
    const found = runGolden(golden, run);
    expect(found).toEqual(golden.expected);
    checkGolden(golden, found);
  });

  test("gives a refusal by code and wording", () => {
    const golden = parseGoldens(file)[1] ?? firstCase(file);
    const found = runGolden(golden, run);
    expect(found.kind).toBe("error");
    expect(found.text).toMatch(/^E_TEXT_ELIDED\nE_TEXT_ELIDED {2}the data/);
    checkGolden(golden, found);
  });

  test("a model that changed otherwise fails", () => {
    const golden = { ...firstCase(file), pipeline: "nothing" };
    expect(() => checkGolden(golden, runGolden(golden, run))).toThrow(/^expected '--- out/);
  });

  test("another code, a missing line, and text in place of a refusal fail", () => {
    const golden = parseGoldens(file)[1] ?? firstCase(file);
    const found = runGolden(golden, run);
    const expecting = (text: string): GoldenCase => ({ ...golden, expected: { kind: "error", text } });
    expect(() => checkGolden(expecting("E_OTHER\n"), found)).toThrow("E_OTHER");
    expect(() => checkGolden(expecting("E_TEXT_ELIDED\nsomething else\n"), found)).toThrow("something else");
    expect(() => checkGolden(golden, { kind: "out", text: "g () => () {}\n" })).toThrow("E_TEXT_ELIDED");
    expect(() => checkGolden({ ...golden, expected: { kind: "out", text: "" } }, found)).toThrow(
      "E_TEXT_ELIDED",
    );
  });

  test("a case that says nothing fails with what came out", () => {
    const golden = { ...firstCase(file), expected: undefined };
    expect(() => checkGolden(golden, runGolden(golden, run))).toThrow(/UPDATE_GOLDENS=1 writes:\nf \(float/);
  });

  test("broken IR and bugs fail", () => {
    const golden = { ...firstCase(file), pipeline: "break" };
    expect(() => runGolden(golden, run)).toThrow(InternalError);
    expect(() => runGolden(golden, () => void JSON.parse("{"))).toThrow(SyntaxError);
  });
});

describe("updating", () => {
  test("writes new text and codes, keeps lines that still hold", () => {
    const golden = firstCase(file);
    const found = runGolden({ ...golden, pipeline: "nothing" }, run);
    expect(updateGolden(golden, found).expected).toEqual(found);
    const error = { kind: "error", text: "E_OLD\nleft out\ngone\n" } as const;
    expect(
      updateGolden({ ...golden, expected: error }, runGolden({ ...golden, pipeline: "refuse" }, run))
        .expected,
    ).toEqual({
      kind: "error",
      text: "E_TEXT_ELIDED\nleft out\n",
    });
  });

  test("fills a case that says nothing", () => {
    const golden = { ...firstCase(file), expected: undefined };
    expect(updateGolden(golden, { kind: "out", text: "t\n" }).expected).toEqual({ kind: "out", text: "t\n" });
    expect(updateGolden(golden, { kind: "error", text: "E_X\nlong\n" }).expected).toEqual({
      kind: "error",
      text: "E_X\n",
    });
  });

  test("never turns text into a refusal or back", () => {
    const golden = firstCase(file);
    expect(updateGolden(golden, { kind: "error", text: "E_X\n" })).toBe(golden);
  });
});

// Vitest runs in a child, as an author would run it, on a file with one wrong and one new case.
describe("in vitest", () => {
  const repository = join(import.meta.dirname, "../..");
  const wrong = file.replace("  y = Neg (x)\n}\n//", "  y = Wrong (x)\n}\n//").replace(/--- error.*$/s, "");

  function runVitest(
    env: Record<string, string>,
    ...flags: string[]
  ): { status: number | null; text: string } {
    const folder = mkdtempSync(join(tmpdir(), "golden-"));
    try {
      const goldens = join(folder, "cases.txt");
      writeFileSync(goldens, wrong);
      const code = `
        import { textErrors } from ${JSON.stringify(join(repository, "src/diagnostics/text.ts"))};
        import { testGoldens } from ${JSON.stringify(join(repository, "test/harness/golden.ts"))};
        testGoldens("cases", ${JSON.stringify(goldens)}, (model, pipeline) => {
          if (pipeline !== "dce") throw textErrors.E_TEXT_ELIDED("here");
          model.graph.remove(model.graph.first);
        });`;
      writeFileSync(join(folder, "cases.test.ts"), code);
      const config = `export default { test: { include: ["*.test.ts"] }, server: { fs: { strict: false } } };`;
      writeFileSync(join(folder, "vitest.config.mjs"), config);
      const program = join(repository, "node_modules/vitest/vitest.mjs");
      const { status } = spawnSync(process.execPath, [program, "run", "--root", folder, ...flags], {
        cwd: repository,
        env: { ...process.env, VITEST: "", CI: "1", ...env },
      });
      return { status, text: readFileSync(goldens, "utf8") };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  const written = file.replace("the data of a tensor was left out\n", "");

  test("fails and writes nothing", () => {
    expect(runVitest({})).toEqual({ status: 1, text: wrong });
  });

  test("UPDATE_GOLDENS=1 writes the file", () => {
    expect(runVitest({ UPDATE_GOLDENS: "1" })).toEqual({ status: 0, text: written });
  });

  test("-u writes the file", () => {
    expect(runVitest({}, "-u")).toEqual({ status: 0, text: written });
  });
});
