/** Tests of src/diagnostics/define.ts: wording, declared codes, joined causes and near names. */
import { describe, expect, test } from "vitest";
import {
  DiagnosticError,
  defineDiagnostics,
  formatDiagnostic,
  InternalError,
  joinDiagnostics,
  nearNames,
} from "../src/diagnostics/define.ts";

// Codes are declared once per process, so each test has its own.
describe("defineDiagnostics", () => {
  test("makes an error that carries the code and the facts", () => {
    const errors = defineDiagnostics({
      E_TEST_RANK: (name: string, rank: number) => ({
        message: `rank of "${name}" is too high`,
        place: "loss",
        expected: "rank 8 or less",
        got: `rank ${rank}`,
        next: "pass --rank 8",
      }),
    });
    const error = errors.E_TEST_RANK("q_proj", 64);
    expect(error).toBeInstanceOf(DiagnosticError);
    expect(error.name).toBe("DiagnosticError");
    expect(error.code).toBe("E_TEST_RANK");
    expect(error.diagnostics).toEqual([
      {
        code: "E_TEST_RANK",
        message: 'rank of "q_proj" is too high',
        place: "loss",
        expected: "rank 8 or less",
        got: "rank 64",
        next: "pass --rank 8",
      },
    ]);
    expect(error.message).toBe(
      [
        'E_TEST_RANK  rank of "q_proj" is too high',
        "  at        loss",
        "  expected  rank 8 or less",
        "  got       rank 64",
        "  next      pass --rank 8",
      ].join("\n"),
    );
  });

  test("refuses a code that is declared already", () => {
    defineDiagnostics({ E_TEST_TWICE: () => ({ message: "first" }) });
    const again = () => defineDiagnostics({ E_TEST_TWICE: () => ({ message: "second" }) });
    expect(again).toThrow(InternalError);
    expect(again).toThrow('internal: diagnostic code "E_TEST_TWICE" is declared twice');
  });

  test.each(["TEST_BARE", "E_lower", "E_", "E_TEST-DASH"])("refuses the malformed code %j", (code) => {
    const define = () => defineDiagnostics({ [code]: () => ({ message: "never seen" }) });
    expect(define).toThrow(InternalError);
    expect(define).toThrow(`internal: diagnostic code "${code}" is malformed`);
  });
});

describe("formatDiagnostic", () => {
  test("leaves out the facts that are not given", () => {
    expect(formatDiagnostic({ code: "E_X", message: "it broke" })).toBe("E_X  it broke");
    expect(formatDiagnostic({ code: "E_X", message: "it broke", got: "3" })).toBe(
      "E_X  it broke\n  got       3",
    );
  });

  test("prints a fact that is an empty string", () => {
    expect(formatDiagnostic({ code: "E_X", message: "no name", got: "" })).toBe("E_X  no name\n  got       ");
  });
});

test("joinDiagnostics keeps every cause in order", () => {
  const errors = defineDiagnostics({
    E_TEST_ONE: () => ({ message: "one" }),
    E_TEST_TWO: (place: string) => ({ message: "two", place }),
  });
  const inner = joinDiagnostics([errors.E_TEST_ONE(), errors.E_TEST_TWO("a")]);
  const joined = joinDiagnostics([inner, errors.E_TEST_TWO("b")]);
  expect(joined.diagnostics.map(({ code, place }) => [code, place])).toEqual([
    ["E_TEST_ONE", undefined],
    ["E_TEST_TWO", "a"],
    ["E_TEST_TWO", "b"],
  ]);
  expect(joined.code).toBe("E_TEST_ONE");
  expect(joined.message).toBe(
    "E_TEST_ONE  one\nE_TEST_TWO  two\n  at        a\nE_TEST_TWO  two\n  at        b",
  );
});

describe("nearNames", () => {
  test("puts the closest spelling first and leaves out names far away", () => {
    expect(nearNames("lroa", ["adamw", "lora", "dora", "prefix-tuning"])).toEqual(["lora"]);
    expect(nearNames("q_prj", ["k_proj", "q_proj", "lm_head"])).toEqual(["q_proj", "k_proj"]);
  });

  test("breaks ties by name and keeps to the limit", () => {
    expect(nearNames("ax", ["ad", "ac", "ab", "aa"])).toEqual(["aa", "ab", "ac"]);
    expect(nearNames("ax", ["ad", "ac", "ab", "aa"], 1)).toEqual(["aa"]);
  });

  test("finds nothing among names that share nothing", () => {
    expect(nearNames("gelu", ["conv", "int8"])).toEqual([]);
    expect(nearNames("gelu", [])).toEqual([]);
  });
});
