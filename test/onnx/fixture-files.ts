/** Paths of fixtures, temporary folders and pipes. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { onTestFinished } from "vitest";

/** A file of `fixtures/onnx`. */
export function fixture(name: string): string {
  return resolve("fixtures/onnx", name);
}

/** Every model file with its weights inside that the project's fixtures have, those that were made to be odd left out. */
export function modelFiles(): string[] {
  return ["fixtures/models", "fixtures/oracles/models"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".onnx") && !existsSync(join(folder, `${name}.data`)))
      .sort()
      .map((name) => join(folder, name)),
  );
}

/** A folder that goes when the test ends. */
export function temporaryFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "peft-onnx-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Makes a named pipe, which nothing writes to. */
export function makePipe(path: string): void {
  execFileSync("/usr/bin/env", ["mkfifo", path]);
}
