/** Runs every check of the code, prints each by name and fails when any failed; runs no tests. */
import { spawnSync } from "node:child_process";
import { delimiter, join } from "node:path";
import { repository } from "./generated-files.ts";

const checks: Readonly<Record<string, string>> = {
  "generated files": "tsx scripts/generate.ts --check",
  types: "tsc -p tsconfig.json",
  lint: "biome lint --error-on-warnings .",
  format: "biome check --linter-enabled=false .",
  "import direction": "tsx scripts/check-imports.ts",
  "unused code and dependencies": "knip --no-progress",
};

const path = [join(repository, "node_modules", ".bin"), process.env.PATH ?? ""].join(delimiter);

const failed = Object.entries(checks).flatMap(([name, command]) => {
  console.log(`\n== ${name}: ${command}`);
  const { status, error } = spawnSync(command, {
    cwd: repository,
    env: { ...process.env, PATH: path },
    stdio: "inherit",
    shell: true,
  });
  if (error !== undefined) throw error;
  return status === 0 ? [] : [name];
});

const total = Object.keys(checks).length;
if (failed.length > 0) {
  console.error(`\n${failed.length} of ${total} checks failed: ${failed.join(", ")}`);
  process.exitCode = 1;
} else {
  console.log(`\nall ${total} checks passed`);
}
