/** Which diagnostic an action ends in. */
import { DiagnosticError } from "../../src/diagnostics/define.ts";

/** Code of the diagnostic that is thrown, "none" where the action succeeds; other errors pass through. */
export function errorCode(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof DiagnosticError) return error.code;
    throw error;
  }
  return "none";
}
