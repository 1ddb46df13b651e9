/** Opens a training artifact: reads the manifest and makes sure that the weights are those it was compiled for. */
import { existsSync, readFileSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { identify } from "../artifact/identity.ts";
import { type GraphManifest, type Manifest, manifestFormat, manifestSchema } from "../artifact/manifest.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import { openSession, type RuntimeProvider, type Session, type SessionOptions } from "./session.ts";

/** Names of the graphs. */
export type GraphName = keyof Manifest["graphs"];

/** How the graphs of an artifact are run. */
export interface RunOptions {
  readonly threads?: number | undefined;
  /** What the artifact was compiled for unless given; webgpu and wasm are meant for browsers and give way to the CPU here. */
  readonly provider?: RuntimeProvider | undefined;
  /**
   * Prefix of the files that the runtime's profiler writes when it is ended, or when a graph is closed; the graph's name is
   * put behind it. No profile where it is absent.
   */
  readonly profile?: string | undefined;
  readonly optimization?: SessionOptions["optimization"];
}

/** An artifact whose sources have been checked. */
export class Artifact {
  readonly folder: string;
  readonly manifest: Manifest;
  /** Absolute folder of the weights. */
  readonly weightsFolder: string;

  private constructor(folder: string, manifest: Manifest) {
    this.folder = folder;
    this.manifest = manifest;
    const { folder: weights } = manifest.source;
    this.weightsFolder = isAbsolute(weights) ? weights : resolve(folder, weights);
  }

  /**
   * @throws DiagnosticError `E_ARTIFACT_MISSING`, `E_ARTIFACT_FORMAT`, `E_ARTIFACT_MANIFEST`, `E_SOURCE_MISSING`,
   * `E_SOURCE_CHANGED`.
   */
  static open(folder: string): Artifact {
    const path = resolve(folder);
    const artifact = new Artifact(path, readManifest(path));
    artifact.#checkSources();
    return artifact;
  }

  graph(name: GraphName): GraphManifest {
    return this.manifest.graphs[name];
  }

  /** Absolute path of a file of the artifact. */
  path(...names: readonly string[]): string {
    return join(this.folder, ...names);
  }

  /** Opens one of the graphs in the runtime. */
  session(name: GraphName, options: RunOptions = {}): Promise<Session> {
    const { threads, provider, profile, optimization } = options;
    const compiled = this.manifest.provider === "cuda" ? "cuda" : "cpu";
    const file = this.path(this.graph(name).file);
    return openSession(readFileSync(file), {
      name: file,
      threads,
      provider: provider ?? compiled,
      weightsFolder: this.weightsFolder,
      prepack: this.manifest.prepack,
      ...(profile === undefined ? {} : { profile: `${profile}-${name}` }),
      ...(optimization === undefined ? {} : { optimization }),
    });
  }

  #checkSources(): void {
    for (const expected of this.manifest.source.files) {
      const file = join(this.weightsFolder, expected.name);
      if (!existsSync(file)) throw runtimeErrors.E_SOURCE_MISSING(file, this.folder);
      const found = identify(file, { hash: expected.hash });
      if (found.size !== expected.size)
        throw runtimeErrors.E_SOURCE_CHANGED(file, `${expected.size} bytes`, `${found.size} bytes`);
      if (found.sha256 !== expected.sha256) {
        throw runtimeErrors.E_SOURCE_CHANGED(
          file,
          `sha256 ${expected.sha256.slice(0, 16)}`,
          `sha256 ${found.sha256.slice(0, 16)}`,
        );
      }
    }
  }
}

function readManifest(folder: string): Manifest {
  const file = join(folder, "manifest.json");
  if (!existsSync(file)) throw runtimeErrors.E_ARTIFACT_MISSING(folder);
  const parsed = parseJson(file);
  const format =
    typeof parsed === "object" && parsed !== null && "format" in parsed ? parsed.format : undefined;
  if (format !== manifestFormat) throw runtimeErrors.E_ARTIFACT_FORMAT(file, String(format), manifestFormat);
  const result = manifestSchema.safeParse(parsed);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw runtimeErrors.E_ARTIFACT_MANIFEST(file, issue?.path.join(".") ?? "", issue?.message ?? "");
}

function parseJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw runtimeErrors.E_ARTIFACT_MANIFEST(file, "", error instanceof Error ? error.message : String(error));
  }
}
