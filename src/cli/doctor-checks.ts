/** The checks of `doctor`, each with what it found and, where something is amiss, what to do. */
import { mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { version } from "../artifact/version.ts";
import { DiagnosticError } from "../diagnostics/define.ts";
import { type LibraryFact, probeCuda, probeRuntime } from "../runtime/probe.ts";

/** What a check found. `absent` is a part that training on the CPU does not need. */
export interface Check {
  readonly name: string;
  readonly status: "ok" | "absent" | "failed";
  readonly detail: string;
  /** What to do about it. */
  readonly fix?: string;
}

/** The oldest Node that the package runs on. */
const oldestNode = [20, 19] as const;

/** Runs every check, one after another; none stops the others. */
export async function* runChecks(selfTest: () => Promise<string>): AsyncGenerator<Check, void, undefined> {
  yield checkNode();
  yield { name: "peft-compile", status: "ok", detail: version };
  yield await checkRuntime();
  yield checkCuda(probeCuda());
  yield await checkWriting(".");
  yield await checkSelf(selfTest);
}

function checkNode(): Check {
  const { node } = process.versions;
  const [major = 0, minor = 0] = node.split(".").map(Number);
  const detail = `${node} on ${process.platform} ${process.arch}`;
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) {
    return { name: "Node", status: "ok", detail };
  }
  return { name: "Node", status: "failed", detail, fix: `install Node ${oldestNode.join(".")} or newer` };
}

async function checkRuntime(): Promise<Check> {
  const name = "ONNX Runtime";
  try {
    const { module, version: found, providers } = await probeRuntime();
    return { name, status: "ok", detail: `${module} ${found}; its build knows ${providers.join(", ")}` };
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    const [{ message, got, next }] = error.diagnostics;
    return {
      name,
      status: "failed",
      detail: got === undefined ? message : `${message}: ${got}`,
      ...(next === undefined ? {} : { fix: next }),
    };
  }
}

const fixes: Readonly<Record<LibraryFact["part"], string>> = {
  "ONNX Runtime":
    "node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12, which downloads them from nuget.org",
  "NVIDIA driver": "install the driver of the graphics card",
  "CUDA 12": "install the CUDA 12 toolkit or its runtime libraries",
  "cuDNN 9": "install cuDNN 9 for CUDA 12",
};

/** CUDA as a whole: one line for all that is missing, since each part is of no use without the others. */
export function checkCuda(libraries: readonly LibraryFact[]): Check {
  const name = "CUDA";
  if (libraries.length === 0) {
    return { name, status: "absent", detail: "the runtime's package has it for Linux x64 only" };
  }
  const missing = libraries.filter(({ path }) => path === undefined);
  const hidden = libraries.filter(({ path, loads }) => path !== undefined && !loads);
  if (missing.length + hidden.length === 0) {
    return { name, status: "ok", detail: `all ${libraries.length} libraries of the provider are found` };
  }
  const parts = [...new Set(missing.map(({ part }) => part))];
  const folders = [...new Set(hidden.map(({ path = "" }) => path.slice(0, path.lastIndexOf("/"))))];
  return {
    name,
    status: "absent",
    detail: [
      ...(missing.length === 0 ? [] : [`missing: ${missing.map((library) => library.name).join(", ")}`]),
      ...(hidden.length === 0
        ? []
        : [`out of the loader's sight: ${hidden.map(({ path }) => path).join(", ")}`]),
    ].join("; "),
    fix: [
      ...parts.map((part) => fixes[part]),
      ...(folders.length === 0 ? [] : [`add ${folders.join(":")} to LD_LIBRARY_PATH`]),
    ].join("; "),
  };
}

/** Whether artifacts can be written here. */
function checkWriting(folder: string): Promise<Check> {
  const path = resolve(folder);
  return attempt("writing", "work in a folder that you may write to, or give one with -o", () => {
    rmSync(mkdtempSync(join(path, ".peft-compile-doctor-")), { recursive: true });
    return path;
  });
}

function checkSelf(selfTest: () => Promise<string>): Promise<Check> {
  return attempt("self test", "mend what failed above; if nothing did, report this output", selfTest);
}

/** A check that holds unless what it tries throws; what that gives is the detail. */
async function attempt(name: string, fix: string, run: () => string | Promise<string>): Promise<Check> {
  try {
    return { name, status: "ok", detail: await run() };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { name, status: "failed", detail, fix };
  }
}
