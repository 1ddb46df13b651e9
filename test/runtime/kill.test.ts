/** Kills a training process at random moments and resumes it: the final state is that of an undisturbed run. */
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Random } from "../../src/data/random.ts";
import { SafetensorsFile } from "../../src/formats/safetensors-file.ts";
import { makeArtifact } from "./artifact.ts";

/** In CI a sample; all of the twenty moments under `npm run test:all`. */
const kills = process.env.PEFT_TEST_ALL === "1" ? 20 : 4;
const steps = 60;

function command(folder: string, resume: boolean): string[] {
  const run = [
    "train",
    folder,
    "--data",
    "random",
    "--seq",
    "5",
    "--batch",
    "2",
    "--steps",
    String(steps),
    "--save-every",
    "3",
    "--threads",
    "1",
  ];
  return ["dist/src/cli.js", ...run, ...(resume ? ["--resume"] : [])];
}

it(`survives ${kills} kills`, async () => {
  const whole = await makeArtifact();
  expect(spawnSync(process.execPath, command(whole, false), { encoding: "utf8" }).status).toBe(0);
  const killed = await makeArtifact();
  const random = new Random(11);
  for (let i = 0; i < kills; i++) {
    const child = spawn(process.execPath, command(killed, i > 0), { stdio: "ignore" });
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    // From before the first step to well into the run; whatever is being written then is cut off.
    await new Promise((resolve) => setTimeout(resolve, 300 + random.below(1500)));
    child.kill("SIGKILL");
    await ended;
    checkWhole(killed);
  }
  const last = spawnSync(process.execPath, command(killed, true), { encoding: "utf8" });
  expect(last.status, last.stderr).toBe(0);
  const file = `checkpoints/step-${steps}/state.safetensors`;
  expect(readFileSync(join(killed, file)).equals(readFileSync(join(whole, file)))).toBe(true);
  expect(readFileSync(join(killed, "metrics.jsonl"), "utf8")).toBe(
    readFileSync(join(whole, "metrics.jsonl"), "utf8"),
  );
}, 300_000);

/** Every checkpoint that has its final name can be read. */
function checkWhole(folder: string): void {
  for (const name of readdirSync(folder).includes("checkpoints")
    ? readdirSync(join(folder, "checkpoints"))
    : []) {
    if (!name.startsWith("step-")) continue;
    const file = SafetensorsFile.open(join(folder, "checkpoints", name, "state.safetensors"));
    for (const tensor of file.names) file.bytes(tensor);
    JSON.parse(readFileSync(join(folder, "checkpoints", name, "trainer.json"), "utf8"));
  }
}
