/** `gradient --jobs`: many gradient models in one process, each with a result of its own. */
import { z } from "zod";
import { cliErrors } from "../diagnostics/cli.ts";
import { DiagnosticError } from "../diagnostics/define.ts";
import { readBytes } from "../formats/read-file.ts";
import { systemReason } from "../formats/system-error.ts";
import { internalMessage } from "./failure.ts";

const jobSchema = z.object({
  model: z.string(),
  of: z.array(z.string()).readonly().optional(),
  wrt: z.array(z.string()).readonly().optional(),
  out: z.string(),
});

/** One gradient model to make; paths are relative to the working folder. */
export type GradientJob = Readonly<z.output<typeof jobSchema>>;

/** What became of a job, in the order of the jobs. */
export interface JobResult {
  readonly out: string;
  readonly ok: boolean;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Reads the file of jobs. @throws DiagnosticError `E_JOBS`, `E_FILE_READ`. */
export function readJobs(file: string): GradientJob[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(readBytes(file)));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw cliErrors.E_JOBS(file, "", "JSON", error.message);
  }
  const result = z.array(jobSchema).safeParse(parsed);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const place = issue?.path.join(".") ?? "";
  throw cliErrors.E_JOBS(
    file,
    place === "" ? "" : `job ${place}`,
    "a list of jobs",
    issue?.message ?? "something else",
  );
}

/**
 * Runs a job and says what became of it: a refusal of the input is a result like any other.
 *
 * @returns the result, and the error itself where it was a bug of ours.
 */
export async function runJob(
  { out }: GradientJob,
  run: () => Promise<void>,
): Promise<{ readonly result: JobResult; readonly bug?: unknown }> {
  try {
    await run();
    return { result: { out, ok: true } };
  } catch (error) {
    if (error instanceof DiagnosticError) {
      return { result: { out, ok: false, error: { code: error.code, message: error.message } } };
    }
    const reason = systemReason(error);
    if (reason !== undefined)
      return { result: { out, ok: false, error: { code: "E_SYSTEM", message: reason } } };
    return {
      result: { out, ok: false, error: { code: "internal", message: internalMessage(error) } },
      bug: error,
    };
  }
}
