/** Models as verbs name them: `.onnx` files, `.onnxtxt` files, and `-` for text on standard streams. */
import { readFileSync } from "node:fs";
import { dirname, resolve as resolvePath } from "node:path";
import { cliErrors } from "../diagnostics/cli.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { readBytes } from "../formats/read-file.ts";
import type { Model } from "../ir/model.ts";
import { type ExternalOptions, resolveExternal } from "../onnx/external-data.ts";
import { readModel } from "../onnx/read.ts";
import { writeModel } from "../onnx/write.ts";
import { parseModel } from "../text/parse.ts";
import type { ParseOptions } from "../text/parse-context.ts";
import { printModel } from "../text/print.ts";

/** The word for standard input and output. */
export const standardStream = "-";

/** Reads a model. @throws DiagnosticError from the readers of either form. */
export function openModel(path: string, options: ExternalOptions = {}): Model {
  if (path !== standardStream && !isText(path)) return readModel(path, options);
  // A text may name weight files just as an ONNX file may, and is trusted as little, unless the user says otherwise.
  const trust: ParseOptions =
    options.followLinks === true
      ? { locations: "anywhere" }
      : { resolve: (claim, folder, size) => resolveExternal(claim, folder, size) };
  if (path === standardStream) return parseModel(readFileSync(0, "utf8"), trust);
  return parseModel(new TextDecoder().decode(readBytes(path)), { file: path, ...trust });
}

/** Writes a model in the form that its name asks for. @throws DiagnosticError `E_OUTPUT_FORMAT`, `E_FILE_WRITE`. */
export async function saveModel(model: Model, path: string): Promise<void> {
  requireModelName(path);
  if (isText(path)) await writeFileAtomic(path, printModel(model, { folder: dirname(resolvePath(path)) }));
  else await writeModel(model, path, { valueInfo: true });
}

/** Refuses a name from which the form cannot be told, before any work is done. */
export function requireModelName(path: string): void {
  if (path !== standardStream && !isText(path) && !path.toLowerCase().endsWith(".onnx")) {
    throw cliErrors.E_OUTPUT_FORMAT(path);
  }
}

function isText(path: string): boolean {
  return path.toLowerCase().endsWith(".onnxtxt");
}
