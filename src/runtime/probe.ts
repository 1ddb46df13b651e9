/** Finds out what this machine can compute with: the runtime, its providers, and the libraries of CUDA. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { loadRuntime, runtimeModuleName } from "./session.ts";

/** The runtime as it loaded. */
export interface RuntimeFacts {
  readonly module: string;
  readonly version: string;
  /** Providers that the build knows; whether they can load is another question. */
  readonly providers: readonly string[];
}

/** Loads the runtime and asks what it knows. @throws DiagnosticError `E_RUNTIME_MISSING`. */
export async function probeRuntime(): Promise<RuntimeFacts> {
  const runtime = await loadRuntime();
  return {
    module: runtimeModuleName(),
    version: runtime.env.versions.node ?? runtime.env.versions.common,
    providers: runtime.listSupportedBackends().map(({ name }) => name),
  };
}

/** A library that the CUDA provider needs. */
export interface LibraryFact {
  readonly name: string;
  /** What it belongs to, as users know it. */
  readonly part: "ONNX Runtime" | "NVIDIA driver" | "CUDA 12" | "cuDNN 9";
  /** Where it was found; undefined where it was not. */
  readonly path: string | undefined;
  /** Whether the system's loader looks there. */
  readonly loads: boolean;
}

const cudaLibraries: readonly Pick<LibraryFact, "name" | "part">[] = [
  { name: "libcuda.so.1", part: "NVIDIA driver" },
  { name: "libcudart.so.12", part: "CUDA 12" },
  { name: "libcublas.so.12", part: "CUDA 12" },
  { name: "libcublasLt.so.12", part: "CUDA 12" },
  { name: "libcufft.so.11", part: "CUDA 12" },
  { name: "libcurand.so.10", part: "CUDA 12" },
  { name: "libcudnn.so.9", part: "cuDNN 9" },
];

/** Libraries of the CUDA provider on Linux x64, the one platform for which the runtime's package has it; none elsewhere. */
export function probeCuda(): LibraryFact[] {
  if (process.platform !== "linux" || process.arch !== "x64") return [];
  const provider = join(bindingFolder(), "libonnxruntime_providers_cuda.so");
  const found = existsSync(provider);
  const cached = loaderCache();
  return [
    {
      name: "libonnxruntime_providers_cuda.so",
      part: "ONNX Runtime",
      path: found ? provider : undefined,
      loads: found,
    },
    ...cudaLibraries.map((library): LibraryFact => {
      const visible = cached.get(library.name) ?? findIn(loaderFolders(), library.name);
      const path = visible ?? findIn(otherFolders(), library.name);
      return { ...library, path, loads: visible !== undefined };
    }),
  ];
}

/** Folder of the runtime's native files, which its CUDA provider is loaded from. */
function bindingFolder(): string {
  const require = createRequire(import.meta.url);
  try {
    const entry = require.resolve(runtimeModuleName());
    return join(dirname(entry), "..", "bin", "napi-v6", process.platform, process.arch);
  } catch {
    return "";
  }
}

/** Libraries that the dynamic loader's cache knows, by name; empty where it cannot be asked. */
function loaderCache(): Map<string, string> {
  for (const command of ["ldconfig", "/sbin/ldconfig"]) {
    try {
      const text = execFileSync(command, ["-p"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
      const lines = [...text.matchAll(/^\s*(\S+) \(.*x86-64.*\) => (\S+)$/gm)];
      return new Map(lines.map(([, name = "", path = ""]) => [name, path]));
    } catch {
      // Not every system has it, nor on the path of every user: folders are searched instead.
    }
  }
  return new Map();
}

function loaderFolders(): string[] {
  const given = (process.env.LD_LIBRARY_PATH ?? "").split(":").filter((folder) => folder !== "");
  return [...given, "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64", "/usr/lib"];
}

/** Where CUDA is often installed without the loader being told. */
function otherFolders(): string[] {
  const installed = listFolder("/usr/local").filter((name) => name.startsWith("cuda"));
  return [
    ...installed.flatMap((name) => [
      `/usr/local/${name}/lib64`,
      `/usr/local/${name}/targets/x86_64-linux/lib`,
    ]),
    "/opt/cuda/lib64",
    "/usr/lib/wsl/lib",
  ];
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function findIn(folders: readonly string[], name: string): string | undefined {
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}
