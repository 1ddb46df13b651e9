/** Models as verbs name them: `.onnx` files, `.onnxtxt` files, and `-` for text on standard streams. */
import { readFileSync } from "node:fs";
import { cliErrors } from "../diagnostics/cli.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { readBytes } from "../formats/read-file.ts";
import type { Model } from "../ir/model.ts";
import { readModel } from "../onnx/read.ts";
import { writeModel } from "../onnx/write.ts";
import { parseModel } from "../text/parse.ts";
import { printModel } from "../text/print.ts";

/** The word for standard input and output. */
export const standardStream = "-";

/** Reads a model. @throws DiagnosticError from the readers of either form. */
export function openModel(path: string, options: { readonly followLinks?: boolean } = {}): Model {
  if (path === standardStream) return parseModel(readFileSync(0, "utf8"));
  if (isText(path)) return parseModel(new TextDecoder().decode(readBytes(path)), { file: path });
  return readModel(path, options);
}

/** Writes a model in the form that its name asks for. @throws DiagnosticError `E_OUTPUT_FORMAT`, `E_FILE_WRITE`. */
export async function saveModel(model: Model, path: string): Promise<void> {
  requireModelName(path);
  if (isText(path)) await writeFileAtomic(path, printModel(model));
  else await writeModel(model, path);
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
