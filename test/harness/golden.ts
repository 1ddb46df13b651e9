/**
 * Tests of passes as text: each case of a file is a model, a pipeline, and the model it leaves or the refusal it meets.
 *
 *     # what the case shows
 *     pipeline: dce
 *     --- in
 *     f (x) => (y) { ... }
 *     --- out
 *     f (x) => (y) { ... }
 *     // -----
 *     # what the next one shows
 *     pipeline: autodiff{of=y wrt=x}
 *     --- in
 *     ...
 *     --- error
 *     E_NO_GRADIENT
 *     and, if wanted, lines that the error's text must contain
 *
 * `UPDATE_GOLDENS=1`, or `vitest -u`, writes what comes out into the file; read the difference before committing it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import type { Model } from "../../src/ir/model.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";

/** One case of a file. */
export interface GoldenCase {
  /** Comment lines without `#`, joined. */
  readonly description: string;
  readonly pipeline: string;
  /** Text of the model before. */
  readonly input: string;
  /** What comes out; undefined in a case that was never run. */
  readonly expected: GoldenOutcome | undefined;
}

/** Text of the model after, or the refusal: its code and, in files, lines of its text. */
export type GoldenOutcome =
  | { readonly kind: "out"; readonly text: string }
  | { readonly kind: "error"; readonly text: string };

/** Runs a pipeline on a model in place. */
export type RunPipeline = (model: Model, pipeline: string) => void;

const separator = "// -----";

/** Reads the cases of a file. @throws Error naming the case and line that is not as it should be. */
export function parseGoldens(text: string): GoldenCase[] {
  let line = 1;
  const cases: GoldenCase[] = [];
  for (const part of text.split(/^\/\/ -----\n/m)) {
    cases.push(parseCase(part, line));
    line += part.split("\n").length;
  }
  return cases;
}

function parseCase(text: string, line: number): GoldenCase {
  const fail = (problem: string): Error => new Error(`case at line ${line}: ${problem}`);
  const [head = "", ...sections] = text.split(/^(?=--- )/m);
  const lines = head.split("\n").filter((one) => one.trim() !== "");
  const comments = lines.filter((one) => one.startsWith("#"));
  const [pipeline, ...others] = lines.filter((one) => !one.startsWith("#"));
  if (comments.length === 0) throw fail("a comment has to say what it shows");
  if (pipeline === undefined || !pipeline.startsWith("pipeline:") || others.length > 0) {
    throw fail('the comment is followed by one line that starts with "pipeline:"');
  }
  const found = sections.map((section) => {
    const end = section.indexOf("\n");
    if (end < 0) throw fail(`"${section}" has no text`);
    return { name: section.slice(4, end).trim(), body: `${section.slice(end + 1).trimEnd()}\n` };
  });
  const [input, outcome, ...rest] = found;
  if (input?.name !== "in" || rest.length > 0)
    throw fail('the sections are "--- in", then "--- out" or "--- error"');
  return {
    description: comments.map((comment) => comment.replace(/^#\s*/, "")).join(" "),
    pipeline: pipeline.slice("pipeline:".length).trim(),
    input: input.body,
    expected:
      outcome === undefined ? undefined : { kind: outcomeKind(outcome.name, fail), text: outcome.body },
  };
}

function outcomeKind(name: string, fail: (problem: string) => Error): GoldenOutcome["kind"] {
  if (name === "out" || name === "error") return name;
  throw fail(`there is no section "--- ${name}"`);
}

/** The file of the given cases. */
export function printGoldens(cases: readonly GoldenCase[]): string {
  return cases.map(printCase).join(`${separator}\n`);
}

function printCase({ description, pipeline, input, expected }: GoldenCase): string {
  const outcome = expected === undefined ? "" : `--- ${expected.kind}\n${expected.text}`;
  return `${wrapComment(description)}\npipeline: ${pipeline}\n--- in\n${input}${outcome}`;
}

function wrapComment(text: string): string {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1) ?? "";
    if (last !== "" && last.length + word.length > 115) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return lines.map((line) => `# ${line}`).join("\n");
}

/**
 * Runs a case. The model is checked before and after, and what it prints has to read back to the same text.
 *
 * @throws InternalError, and everything that is no diagnostic.
 */
export function runGolden({ input, pipeline }: GoldenCase, run: RunPipeline): GoldenOutcome {
  const model = parseModel(input);
  verifyModel(model);
  try {
    run(model, pipeline);
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    return { kind: "error", text: `${error.code}\n${error.message}\n` };
  }
  verifyModel(model);
  const text = printModel(model, { header: "unless-default" });
  expect(
    printModel(parseModel(text), { header: "unless-default" }),
    "the printed model does not read back",
  ).toBe(text);
  return { kind: "out", text };
}

/** Compares what came out with what the case says. @throws AssertionError where they differ. */
export function checkGolden({ expected }: GoldenCase, found: GoldenOutcome): void {
  if (expected === undefined)
    throw new Error(`the case says nothing yet; UPDATE_GOLDENS=1 writes:\n${found.text}`);
  if (expected.kind === "out" || found.kind === "out") {
    expect(`--- ${found.kind}\n${found.text}`).toBe(`--- ${expected.kind}\n${expected.text}`);
    return;
  }
  const [code, ...facts] = expected.text.trimEnd().split("\n");
  expect(found.text.split("\n")[0], found.text).toBe(code);
  for (const fact of facts) expect(found.text).toContain(fact.trim());
}

/**
 * The case with what came out in place of what it said. A text never turns into a refusal or back: that is for the
 * author to write. Of an error only the code is written, and lines stay that its text contains.
 */
export function updateGolden(golden: GoldenCase, found: GoldenOutcome): GoldenCase {
  const { expected } = golden;
  if (expected !== undefined && expected.kind !== found.kind) return golden;
  if (found.kind === "out") return { ...golden, expected: found };
  const [code = "", ...text] = found.text.split("\n");
  const facts = (expected?.text ?? "").trimEnd().split("\n").slice(1);
  const kept = facts.filter((fact) => text.join("\n").includes(fact.trim()));
  return { ...golden, expected: { kind: "error", text: `${[code, ...kept].join("\n")}\n` } };
}

/** Declares one test for each case of a file. */
export function testGoldens(name: string, file: string | URL, run: RunPipeline): void {
  describe(name, () => {
    const before = readFileSync(file, "utf8");
    const cases = parseGoldens(before);
    const after = [...cases];
    test("every case has a description of its own", () => {
      const descriptions = cases.map(({ description }) => description);
      expect([...new Set(descriptions)]).toEqual(descriptions);
    });
    cases.forEach((golden, index) => {
      test(golden.description, () => {
        const found = runGolden(golden, run);
        if (isUpdating()) after[index] = updateGolden(golden, found);
        checkGolden(after[index] ?? golden, found);
      });
    });
    afterAll(() => {
      const text = printGoldens(after);
      if (isUpdating() && text !== before) writeFileSync(file, text);
    });
  });
}

function isUpdating(): boolean {
  return process.env.UPDATE_GOLDENS === "1" || expect.getState().snapshotState.snapshotUpdateState === "all";
}
