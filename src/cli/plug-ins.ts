/** `--use FILE`: methods and passes from outside the package. */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Adapter } from "../adapt/define.ts";
import { registerAdapter } from "../adapt/registry.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { DiagnosticError } from "../diagnostics/define.ts";
import type { Pass } from "../pass/define.ts";

/** Loads a module by path. @throws DiagnosticError `E_TYPESCRIPT`, `E_MODULE_LOAD`; diagnostics of the module itself. */
export async function importFile(file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    const loaded: unknown = await import(pathToFileURL(resolve(file)).href);
    return typeof loaded === "object" && loaded !== null ? { ...loaded } : {};
  } catch (error) {
    if (error instanceof DiagnosticError) throw error;
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ERR_UNKNOWN_FILE_EXTENSION" && /\.[cm]?ts$/.test(file)) {
      throw cliErrors.E_TYPESCRIPT(file, process.versions.node);
    }
    throw cliErrors.E_MODULE_LOAD(file, error instanceof Error ? error.message : String(error));
  }
}

/** Makes the methods of the files known, and gives their passes. @throws DiagnosticError `E_USE`. */
export async function usePlugIns(files: readonly string[]): Promise<Pass[]> {
  const passes: Pass[] = [];
  for (const file of files) {
    const record = (await importFile(file)).default;
    if (isAdapter(record)) registerAdapter(record);
    else if (isPass(record)) passes.push(record);
    else
      throw cliErrors.E_USE(
        file,
        record === undefined ? "no default export" : "a default export of another kind",
      );
  }
  return passes;
}

function isAdapter(record: unknown): record is Adapter {
  return hasFields(record, { name: "string", peftType: "string", options: "object", bind: "function" });
}

function isPass(record: unknown): record is Pass {
  return hasFields(record, { name: "string", options: "object", statistics: "object", run: "function" });
}

function hasFields(record: unknown, fields: Readonly<Record<string, string>>): boolean {
  if (typeof record !== "object" || record === null) return false;
  const entries = new Map(Object.entries(record));
  return Object.entries(fields).every(([name, type]) => typeof entries.get(name) === type);
}
