/** Reports of failures: exit codes, wrapping, bugs of ours. */
import { describe, expect, it } from "vitest";
import { reportFailure } from "../../src/cli/failure.ts";
import { Terminal } from "../../src/cli/terminal.ts";
import { InternalError, joinDiagnostics } from "../../src/diagnostics/define.ts";
import { passErrors } from "../../src/diagnostics/pass.ts";

function report(
  error: unknown,
  options: { json?: boolean; verbose?: boolean; columns?: number } = {},
): { code: number; stdout: string; stderr: string } {
  const written = { stdout: "", stderr: "" };
  const { json = false, verbose = false, columns } = options;
  const stream = (name: keyof typeof written) => ({
    isTTY: columns !== undefined,
    columns,
    write: (text: string) => {
      written[name] += text;
    },
  });
  const terminal = new Terminal({
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    env: { NO_COLOR: "1" },
  });
  return { code: reportFailure(error, terminal, { json, verbose }), ...written };
}

const one = passErrors.E_UNKNOWN_PASS("fld", ["fold"]);
const other = passErrors.E_BAD_OPTION('pass "cse"', "scalars", "boolean", "7");

describe("reportFailure", () => {
  it("prints one diagnostic per cause", () => {
    const { code, stderr } = report(joinDiagnostics([one, other]));
    expect(code).toBe(1);
    expect(stderr.match(/^E_\w+/gm)).toEqual(["E_UNKNOWN_PASS", "E_BAD_OPTION"]);
  });

  it("puts every cause into the document", () => {
    const { code, stdout, stderr } = report(joinDiagnostics([one, other]), { json: true });
    expect(code).toBe(1);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual({
      ok: false,
      error: one.diagnostics[0],
      more: [other.diagnostics[0]],
    });
  });

  it("wraps on terminals only, under the labels", () => {
    const long = passErrors.E_BAD_OPTION("method", "x", "word ".repeat(30).trim(), "y");
    expect(report(long).stderr.split("\n")).toHaveLength(6);
    const wrapped = report(long, { columns: 60 }).stderr.split("\n");
    expect(Math.max(...wrapped.map((line) => line.length))).toBeLessThanOrEqual(60);
    expect(wrapped.filter((line) => line.startsWith("            word")).length).toBeGreaterThan(1);
  });

  it("takes what the operating system refuses as the input's fault", () => {
    const error = Object.assign(new Error("ENOSPC: no space left on device, write"), {
      code: "ENOSPC",
      syscall: "write",
      path: "/full/disk",
    });
    const { code, stderr } = report(error);
    expect(code).toBe(1);
    expect(stderr).toContain("E_SYSTEM");
    expect(stderr).toContain("/full/disk");
  });

  it.each([new InternalError("a node lost its graph"), new TypeError("x is undefined"), "a thrown string"])(
    "owns up to bugs: %s",
    (error) => {
      const { code, stdout, stderr } = report(error);
      expect(code).toBe(70);
      expect(stdout).toBe("");
      expect(stderr).toMatch(/^internal: (a node lost its graph|x is undefined|a thrown string)\n/);
      expect(stderr).toContain("report it");
      expect(stderr).not.toContain("failure.test.ts");
    },
  );

  it("shows the stack with --verbose, causes included", () => {
    const { stderr } = report(new InternalError("outer", { cause: new Error("inner") }), { verbose: true });
    expect(stderr).toContain("failure.test.ts");
    expect(stderr).toContain("caused by Error: inner");
  });

  it("says so in the document, too", () => {
    const { code, stdout } = report(new InternalError("broken"), { json: true });
    expect(code).toBe(70);
    expect(JSON.parse(stdout)).toEqual({
      ok: false,
      error: { code: "internal", message: "internal: broken" },
    });
  });
});
