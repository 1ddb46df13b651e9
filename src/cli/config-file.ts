/** `--config FILE`: everything that can be asked of `compile`, as a JSON file or a module's default export. */
import { z } from "zod";
import { compileSchema } from "../compile/request.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { readBytes } from "../formats/read-file.ts";
import { resolveOptions } from "../pass/options.ts";
import { importFile } from "./plug-ins.ts";

/** The settings of a request, and what else the command line can say of it. */
const configSchema = z.strictObject({
  ...compileSchema.partial().shape,
  model: z.string().optional(),
  output: z.string().optional(),
  adapter: z.string().optional(),
  weights: z.enum(["reference", "link", "copy"]).optional(),
});

/** What a configuration file holds; paths are relative to the working folder. */
export type Config = z.input<typeof configSchema>;

/**
 * Reads a configuration file.
 *
 * @throws DiagnosticError `E_CONFIG`, `E_TYPESCRIPT`, `E_MODULE_LOAD`; `E_UNKNOWN_OPTION` and `E_BAD_OPTION` for settings.
 */
export async function readConfig(file: string): Promise<Config> {
  const content = file.toLowerCase().endsWith(".json") ? readJson(file) : (await importFile(file)).default;
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw cliErrors.E_CONFIG(file, "an object with settings, exported as default", describe(content));
  }
  resolveOptions(file, configSchema, { ...content });
  return configSchema.parse(content);
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(readBytes(file)));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw cliErrors.E_CONFIG(file, "JSON", error.message);
  }
}

function describe(content: unknown): string {
  if (content === undefined) return "no default export";
  return Array.isArray(content) ? "a list" : `a value of type ${content === null ? "null" : typeof content}`;
}
