/**
 * `npm run test:backend -- FOLDER...`: every model of some folders through every check; prints counts, and failures by cause.
 * Folders are those of ONNX's backend tests, such as Debian's libonnx-testdata, or what `scripts/write_backend_cases.py` writes.
 */

import { findModels, loadCase } from "./cases.ts";
import { checkCase, type Outcome } from "./check-case.ts";

const folders = process.argv.slice(2).filter((text) => !text.startsWith("--"));
const filter = process.argv.find((text) => text.startsWith("--only="))?.slice("--only=".length);
const roots = folders.length > 0 ? folders : (process.env.PEFT_BACKEND ?? "").split(":").filter(Boolean);
if (roots.length === 0) {
  console.error("name a folder of ONNX backend tests, as an argument or in PEFT_BACKEND");
  process.exit(2);
}

interface Found extends Outcome {
  readonly name: string;
}

const found: Found[] = [];
let models = 0;
for (const root of roots) {
  for (const file of findModels(root)) {
    if (filter !== undefined && !file.includes(filter)) continue;
    const given = loadCase(file, root);
    models += 1;
    if (process.env.PEFT_VERBOSE === "1") console.error(given.name);
    for (const outcome of await checkCase(given)) found.push({ name: given.name, ...outcome });
  }
}

console.log(`${models} models`);
for (const check of new Set(found.map((each) => each.check))) {
  const own = found.filter((each) => each.check === check);
  const count = (status: string): number => own.filter((each) => each.status === status).length;
  console.log(
    `${check}: ${count("passed")} passed, ${count("refused")} refused, ${count("skipped")} skipped, ${count("failed")} failed`,
  );
}
for (const status of ["failed", "refused", "skipped"] as const) {
  const groups = new Map<string, Found[]>();
  for (const each of found.filter((one) => one.status === status)) {
    const key = `${each.check}: ${each.cause}`;
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  console.log(`\n${status}`);
  for (const [key, list] of [...groups].sort((a, b) => b[1].length - a[1].length)) {
    console.log(`  ${list.length} x ${key}`);
    const shown = status === "failed" || filter !== undefined ? list : list.slice(0, 1);
    for (const { name, detail } of shown)
      console.log(`      ${name}: ${detail.replace(/\s+/g, " ").slice(0, 260)}`);
  }
}
if (found.some(({ status }) => status === "failed")) process.exitCode = 1;
