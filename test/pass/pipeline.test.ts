/** Pipelines as text: reading, checking options, printing back. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { definePass, type Pass } from "../../src/pass/define.ts";
import { printPipeline, resolvePipeline } from "../../src/pass/pipeline.ts";

const registry: readonly Pass[] = [
  definePass({
    name: "first",
    summary: "A pass with every kind of option",
    options: z.strictObject({
      count: z.int().min(1).default(20),
      rate: z.number().default(0.5),
      flag: z.boolean().default(false),
      kind: z.enum(["plain", "none"]).default("plain"),
      text: z.string().default(""),
      list: z.array(z.string()).default([]),
      numbers: z.array(z.number()).optional(),
      target: z.union([z.literal("all"), z.number(), z.array(z.string())]).default("all"),
      limit: z.number().nullable().default(null),
    }),
    statistics: {},
    run: () => false,
  }),
  definePass({
    name: "second",
    summary: "None",
    options: z.strictObject({}),
    statistics: {},
    run: () => false,
  }),
];

const reprint = (text: string): string => printPipeline(resolvePipeline(text, registry));
const optionsOf = (text: string): unknown => resolvePipeline(text, registry)[0]?.options;

function codeOf(text: string): string {
  try {
    resolvePipeline(text, registry);
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics.map(({ code }) => code).join();
    throw error;
  }
  return "none";
}

describe("reading", () => {
  it("gives options the types of their schema", () => {
    expect(
      optionsOf('first{count=3 rate=1e-3 flag kind=none text="a, b" list=x,y numbers=1,2 target=all}'),
    ).toEqual({
      ...{ count: 3, rate: 0.001, flag: true, kind: "none", text: "a, b", list: ["x", "y"], numbers: [1, 2] },
      target: "all",
    });
    expect(optionsOf("first{flag=false, limit=2, list=[one], numbers=[] target=7}")).toEqual({
      ...{ flag: false, limit: 2, list: ["one"], numbers: [], target: 7 },
    });
    expect(optionsOf('first{target=a,b limit=null text="null"}')).toEqual({
      target: ["a", "b"],
      limit: null,
      text: "null",
    });
  });

  it("keeps the braces of a bare word and the escapes of a quoted one", () => {
    expect(optionsOf("first{text=adamw{lr=1e-3 wd=0} flag}")).toEqual({
      text: "adamw{lr=1e-3 wd=0}",
      flag: true,
    });
    expect(optionsOf(String.raw`first{text="a \"b\" \\ \d"}`)).toEqual({ text: String.raw`a "b" \ \d` });
  });

  it("takes an empty pipeline and spaces anywhere", () => {
    expect(reprint("")).toBe("");
    expect(reprint("  first { count = 4 , flag = true } , second ")).toBe("first{count=4 flag=true},second");
  });
});

describe("printing", () => {
  it.each([
    ["first{count=20 rate=0.5}", "first"],
    ["second,first{text=x,count=2}", "second,first{count=2 text=x}"],
    ['first{text="1e3"}', 'first{text="1e3"}'],
    ['first{text="true" list="a b",c}', 'first{text="true" list="a b",c}'],
    ["first{numbers=[] list=[a]}", "first{list=a numbers=[]}"],
    ["first{text=adamw{lr=1e-3}}", 'first{text="adamw{lr=1e-3}"}'],
  ])("%s becomes %s, which stays", (text, printed) => {
    expect(reprint(text)).toBe(printed);
    expect(reprint(printed)).toBe(printed);
  });
});

describe("refusals", () => {
  it.each([
    ["third", "E_UNKNOWN_PASS"],
    ["first{cuont=1}", "E_UNKNOWN_OPTION"],
    ["first{count=0}", "E_BAD_OPTION"],
    ["first{count=x flag=maybe}", "E_BAD_OPTION,E_BAD_OPTION"],
    ["first{kind=other}", "E_BAD_OPTION"],
    ['first{count="3"}', "E_BAD_OPTION"],
    ["first{count=}", "E_PIPELINE_SYNTAX"],
    ["first{", "E_PIPELINE_SYNTAX"],
    ["first,,second", "E_PIPELINE_SYNTAX"],
    ["first}", "E_PIPELINE_SYNTAX"],
    ["first second", "E_PIPELINE_SYNTAX"],
    ["first{text=a{b}", "E_PIPELINE_SYNTAX"],
  ])("%s is %s", (text, code) => {
    expect(codeOf(text)).toBe(code);
  });

  it("suggests names that are near", () => {
    expect(() => resolvePipeline("frist", registry)).toThrow(/did you mean "first"/);
    expect(() => resolvePipeline("first{cuont=1}", registry)).toThrow(/did you mean "count"/);
    expect(() => resolvePipeline("first{count=0}", registry)).toThrow(/number to be >=1[\s\S]*got +0/);
  });
});
