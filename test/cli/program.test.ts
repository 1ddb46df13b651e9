/** The program itself: help, exit codes, suggestions, and what goes to which stream. */
import { describe, expect, it } from "vitest";
import { version } from "../../src/artifact/version.ts";
import { verbs } from "../../src/cli/verbs.ts";
import { runCli, runJson } from "./run-cli.ts";

const names = verbs.map(({ name }) => name);

function widestLine(text: string): number {
  return Math.max(...text.split("\n").map((line) => line.length));
}

describe("help", () => {
  it("lists every verb with a summary that fits 80 columns", async () => {
    const { code, stdout, stderr } = await runCli(["--help"]);
    expect(code).toBe(0);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^Usage: peft-compile MODEL\.onnx \[options\]\n/);
    for (const { name, summary } of verbs) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name} `, "m"));
      expect(stdout.replace(/\s+/g, " ")).toContain(summary);
    }
    expect(widestLine(stdout)).toBeLessThanOrEqual(80);
  });

  it.each(names)("of %s has examples, --json, and lines of at most 80 columns", async (name) => {
    const { code, stdout, stderr } = await runCli([name, "--help"]);
    expect(code).toBe(0);
    expect(stderr).toBe("");
    expect(stdout).toMatch(new RegExp(`^Usage: peft-compile ${name}`));
    expect(stdout).toMatch(new RegExp(`Examples:\\n  # .*\\n  peft-compile ${name}`));
    expect(stdout).toContain("--json");
    expect(widestLine(stdout)).toBeLessThanOrEqual(80);
    expect((await runCli(["help", name])).stdout).toBe(stdout);
  });

  it("is laid out for wider and narrower terminals", async () => {
    expect(widestLine((await runCli(["opt", "--help"], { columns: 100 })).stdout)).toBeGreaterThan(80);
    const narrow = (await runCli(["--help"], { columns: 60, env: { NO_COLOR: "1" } })).stdout;
    expect(widestLine(narrow.split("Options:")[1] ?? "")).toBeLessThanOrEqual(60);
  });

  it("has colours only on terminals, and none with NO_COLOR or TERM=dumb", async () => {
    const sequence = "\u001b[";
    expect((await runCli(["--help"], { columns: 80 })).stdout).toContain(sequence);
    expect((await runCli(["--help"])).stdout).not.toContain(sequence);
    expect((await runCli(["--help"], { columns: 80, env: { NO_COLOR: "1" } })).stdout).not.toContain(
      sequence,
    );
    expect((await runCli(["--help"], { columns: 80, env: { TERM: "dumb" } })).stdout).not.toContain(sequence);
    expect((await runCli(["--help"], { env: { FORCE_COLOR: "1" } })).stdout).toContain(sequence);
  });

  it("is shown with exit code 2 where nothing was asked for", async () => {
    const { code, stdout, stderr } = await runCli([]);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain("Usage: peft-compile");
  });
});

describe("the command line", () => {
  it("prints the version", async () => {
    expect(await runCli(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
    expect((await runCli(["-V"])).stdout).toBe(`${version}\n`);
  });

  it("suggests verbs", async () => {
    const { code, stdout, stderr } = await runCli(["inspct"]);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toBe(
      [
        'E_UNKNOWN_VERB  there is no verb "inspct"',
        "  expected  a verb, or the path of an .onnx model to compile",
        '  got       "inspct"',
        '  next      did you mean "inspect"?',
        "",
      ].join("\n"),
    );
  });

  it("suggests options", async () => {
    const { code, stderr } = await runCli(["opt", "m.onnx", "--pipline", "dce"]);
    expect(code).toBe(2);
    expect(stderr).toContain('E_UNKNOWN_OPTION  peft-compile opt has no option "--pipline"');
    expect(stderr).toContain('did you mean "--pipeline"?');
  });

  it("refuses options before any verb or model", async () => {
    expect((await runCli(["--vresion"])).stderr).toContain('did you mean "--version"?');
  });

  it.each([
    [["opt"], /missing required argument "model"/],
    [["opt", "a.onnx", "b.onnx"], /too many arguments/],
    [["opt", "a.onnx", "--pipeline"], /argument missing/],
  ])("refuses %j as usage", async (args, message) => {
    const { code, stderr } = await runCli(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^E_USAGE /);
    expect(stderr).toMatch(message);
    expect(stderr).toContain("--help");
  });

  it("tells the input's fault from a wrong usage, in text and as JSON", async () => {
    const { code, stdout, stderr } = await runCli(["opt", "/nowhere/m.onnx"]);
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toContain("E_ONNX_NOT_FOUND");
    const json = await runJson(["opt", "/nowhere/m.onnx"]);
    expect(json).toMatchObject({
      code: 1,
      stderr: "",
      document: { ok: false, error: { code: "E_ONNX_NOT_FOUND", place: "/nowhere/m.onnx" } },
    });
    const usage = await runJson(["opt", "m.onnx", "--pipline"]);
    expect(usage).toMatchObject({
      code: 2,
      stderr: "",
      document: { ok: false, error: { code: "E_UNKNOWN_OPTION" } },
    });
  });
});
