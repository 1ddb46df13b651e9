/** Learning rates by step, as transformers' schedules compute them. */
import type { Schedule } from "../artifact/manifest.ts";

/**
 * Factor of the peak rate at an update, counted from 0. Warm-up rises linearly from 0 at the first update; after it
 * `linear` falls to `final` at `total`, `cosine` along half a wave (`get_linear_schedule_with_warmup` and
 * `get_cosine_schedule_with_warmup` of transformers).
 *
 * @param total updates of the run; without one, `linear` and `cosine` stay at the peak.
 */
export function scheduleFactor(
  { kind, warmup, final }: Schedule,
  step: number,
  total: number | undefined,
): number {
  if (step < warmup) return step / Math.max(1, warmup);
  if (kind === "constant" || total === undefined) return 1;
  const progress = Math.min(1, (step - warmup) / Math.max(1, total - warmup));
  const share = kind === "linear" ? 1 - progress : 0.5 * (1 + Math.cos(Math.PI * progress));
  return final + (1 - final) * share;
}
