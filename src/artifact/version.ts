/** Version of this package, as its package.json says it. */
import { readFileSync } from "node:fs";
import { InternalError } from "../diagnostics/define.ts";

/** Such as `0.1.0`. */
export const version = readVersion();

/** The package's root lies two folders above the sources, and three above what is built from them. */
function readVersion(): string {
  for (const up of ["../../package.json", "../../../package.json"]) {
    const found = versionIn(new URL(up, import.meta.url));
    if (found !== undefined) return found;
  }
  throw new InternalError("the package has no package.json");
}

function versionIn(file: URL): string | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof parsed !== "object" || parsed === null || !("name" in parsed && "version" in parsed))
      return undefined;
    return parsed.name === "peft-compile" && typeof parsed.version === "string" ? parsed.version : undefined;
  } catch {
    return undefined;
  }
}
