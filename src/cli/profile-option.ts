/** `--profile`: takes what the profiler writes, puts a Chrome trace into the file asked for, and says where time goes. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { profileSteps, type StepProfile } from "../compile/step-profile.ts";
import type { Trace } from "../runtime/profile.ts";
import type { ProfileRequest } from "../runtime/run-options.ts";
import { profileText } from "./profile-text.ts";
import type { Terminal } from "./terminal.ts";

/** Updates that are profiled: enough for a mean, few enough that any trace viewer opens them. */
const updates = 10;

/** What `--json` prints. */
type ProfileSummary = Omit<StepProfile, "events"> & { readonly file: string };

export class ProfileOption {
  readonly #artifact: string;
  readonly #file: string;
  readonly #scratch = mkdtempSync(join(tmpdir(), "peft-compile-profile-"));
  #summary: ProfileSummary | undefined;

  /** @param file where the trace goes; tried at once, so that a bad path fails before the training. */
  constructor(artifact: string, file: string) {
    this.#artifact = artifact;
    this.#file = file;
    writeFileSync(file, "[]\n");
  }

  get request(): ProfileRequest {
    return {
      prefix: join(this.#scratch, "trace"),
      updates,
      onDone: (traces) => this.#take(traces),
    };
  }

  /** Undefined until the profiled updates are done. */
  get summary(): ProfileSummary | undefined {
    return this.#summary;
  }

  text(terminal: Terminal): string {
    return this.#summary === undefined ? "nothing was profiled" : profileText(terminal, this.#summary);
  }

  dispose(): void {
    rmSync(this.#scratch, { recursive: true, force: true });
  }

  #take(traces: readonly Trace[]): void {
    const { events, ...profile } = profileSteps(this.#artifact, traces);
    writeFileSync(this.#file, `${JSON.stringify(events)}\n`);
    if (profile.updates > 0) this.#summary = { file: this.#file, ...profile };
  }
}
