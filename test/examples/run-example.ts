/** Runs a file of `examples/` as a user does: in a process of its own, with the built package. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * What an example prints.
 *
 * @param program of a script in another language; Node unless given.
 * @throws Error with its output when it ends with another status than 0.
 */
export function runExample(name: string, args: readonly string[], program = process.execPath): string {
  if (!existsSync(join(root, "dist/src/index.js"))) {
    throw new Error("examples run the built package: `npm run build` first");
  }
  const { status, stdout, stderr, error } = spawnSync(program, [join(root, "examples", name), ...args], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${name} ended with ${status}\n${stdout}\n${stderr}`);
  return stdout;
}
