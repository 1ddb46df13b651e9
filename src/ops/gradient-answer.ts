/** Whether a gradient passes through an operator, as users ask it: the kinds of records in one word. */
import type { Op } from "./record.ts";

/**
 * `yes` where a rule, a decomposition or the bodies of the operator give the derivative, `zero` where it is zero almost everywhere, `none` where a
 * loss behind the operator is refused.
 */
export type GradientAnswer = "yes" | "zero" | "none";

/** The answer for a record. */
export function gradientAnswer({ gradient: { kind } }: Op): GradientAnswer {
  return kind === "zero" || kind === "none" ? kind : "yes";
}
