/** Runs every generator of `scripts/generate/`, passing arguments such as `--check` on to each. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./generated-files.ts";

const folder = join(repository, "scripts", "generate");
const generators = readdirSync(folder)
  .filter((name) => name.endsWith(".ts"))
  .sort();

for (const name of generators) {
  const { status, error } = spawnSync(
    process.execPath,
    ["--import", "tsx", join(folder, name), ...process.argv.slice(2)],
    { cwd: repository, stdio: "inherit" },
  );
  if (error !== undefined) throw error;
  if (status !== 0) {
    console.error(`scripts/generate/${name} failed`);
    process.exitCode = 1;
  }
}
