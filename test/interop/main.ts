/**
 * `npm run test:peft`: trains every oracle case for a few steps, writes it as a PEFT folder, and lets PEFT load each and compare
 * logits. `PEFT_PYTHON` is the Python that has PEFT, `PEFT_ORACLES` the set; `--only=TEXT` takes cases by name, `--keep=DIR` keeps
 * the folders.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { hasOwnFolder, isBuilt } from "../oracle/built.ts";
import { listOracleCases } from "../oracle/oracle-set.ts";
import { type WrittenCase, writeCase, writeCombinations } from "./write-case.ts";
import { writeRows } from "./write-rows.ts";

const argument = (name: string): string | undefined =>
  process.argv.find((text) => text.startsWith(`--${name}=`))?.slice(name.length + 3);
const only = argument("only");
const kept = argument("keep");
const folder = kept ?? mkdtempSync(join(tmpdir(), "peft-folders-"));
const cases = listOracleCases().filter(
  ({ model, name, exported }) => only === undefined || `${model}/${name} ${exported}`.includes(only),
);
const written: WrittenCase[] = [];
const refused = new Map<string, string[]>();
const note = (reason: string, name: string): void => {
  refused.set(reason, [...(refused.get(reason) ?? []), name]);
};
let failed = 0;
for (const item of cases) {
  const name = `${item.model}/${item.name} ${item.exported}`;
  if (!isBuilt(item.name)) {
    note("no method here reads it yet", name);
    continue;
  }
  try {
    const place = join(folder, name.replace(/[/ ]/g, "-"));
    if (existsSync(join(item.folder, "combined.json")))
      written.push(...(await writeCombinations(item, place)));
    else if (hasOwnFolder(item.name)) written.push(await writeCase(item, place));
    else if (item.name === "lora-two-adapters") written.push(...(await writeRows(item, place)));
    else note("it holds folders of PEFT alone", name);
  } catch (error) {
    if (error instanceof DiagnosticError && error.diagnostics[0].code === "E_ADAPTER_UNPORTABLE") {
      note(error.diagnostics[0].message, name);
      continue;
    }
    failed += 1;
    console.log(`FAIL  ${name}\n      ${error instanceof Error ? error.message : String(error)}`);
  }
}
const list = join(folder, "cases.json");
writeFileSync(list, JSON.stringify(written, null, 1));
console.log(`${written.length} of ${cases.length} written`);
for (const [reason, names] of refused) console.log(`  ${names.length} not: ${reason}: ${names.join(", ")}`);
const { status } = spawnSync(
  process.env.PEFT_PYTHON ?? "python",
  ["scripts/check-with-peft.py", "--list", list],
  {
    stdio: "inherit",
  },
);
if (kept === undefined) rmSync(folder, { recursive: true });
if (status !== 0 || failed > 0) process.exitCode = 1;
