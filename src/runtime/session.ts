/** ONNX Runtime sessions: the only place that knows onnxruntime-node, whose module name can be set. */
import type { Field } from "../data/batch.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import { type ElementType, viewElements } from "../formats/element-type.ts";

export type RuntimeProvider = "cpu" | "cuda" | "webgpu" | "wasm";

export interface SessionOptions {
  /** Threads inside an operator; the runtime's own choice where absent. */
  readonly threads?: number | undefined;
  readonly provider?: RuntimeProvider;
  /** Absolute folder of the files that the graph's external data names. */
  readonly weightsFolder?: string | undefined;
  /** `false` keeps weights where they lie, mapped from their file, instead of a copy for each use in the layout of kernels. */
  readonly prepack?: boolean;
  readonly optimization?: "disabled" | "basic" | "extended" | "all";
  /** Prefix of the file that the runtime's profiler writes. */
  readonly profile?: string;
  /** Further entries of the session's configuration, by group. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** What messages call the graph. */
  readonly name?: string;
}

/** A graph that is ready to run. */
export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * Feeds are read in place and must not be changed until the promise is settled; outputs are fresh copies.
   *
   * @param outputs names of the outputs that are wanted; all unless given.
   * @throws DiagnosticError `E_FEED`, `E_FEED_SIZE`, `E_FEED_UNKNOWN`, `E_RUN` naming the graph.
   */
  run(feeds: Readonly<Record<string, Field>>, outputs?: readonly string[]): Promise<Record<string, Field>>;
  /** Makes the profiler write its file, where one was asked for; runs after that are not in it. */
  endProfile(): void;
  close(): Promise<void>;
}

/** What we use of the runtime's module. */
type RuntimeModule = typeof import("onnxruntime-node");

let loaded: Promise<RuntimeModule> | undefined;

/** Module that is loaded as the runtime: `PEFT_COMPILE_RUNTIME`, else onnxruntime-node. */
export function runtimeModuleName(): string {
  return process.env.PEFT_COMPILE_RUNTIME ?? "onnxruntime-node";
}

/** Loads the runtime once. @throws DiagnosticError `E_RUNTIME_MISSING`. */
export function loadRuntime(): Promise<RuntimeModule> {
  loaded ??= importRuntime(runtimeModuleName());
  return loaded;
}

async function importRuntime(name: string): Promise<RuntimeModule> {
  try {
    const module: RuntimeModule & { default?: RuntimeModule } = await import(name);
    return module.InferenceSession === undefined && module.default !== undefined ? module.default : module;
  } catch (error) {
    throw runtimeErrors.E_RUNTIME_MISSING(name, messageOf(error));
  }
}

/**
 * Opens a graph.
 *
 * @param model bytes of the graph, or its path.
 * @throws DiagnosticError `E_RUNTIME_MISSING`, `E_PROVIDER`, `E_SESSION` naming the graph.
 */
export async function openSession(
  model: Uint8Array | string,
  options: SessionOptions = {},
): Promise<Session> {
  const runtime = await loadRuntime();
  const { provider = "cpu", name = typeof model === "string" ? model : "the graph" } = options;
  requireProvider(runtime, provider);
  const session = await create(runtime, model, options).catch((error: unknown) => {
    const reason = messageOf(error);
    throw provider !== "cpu" && providerTrouble.test(reason)
      ? runtimeErrors.E_PROVIDER(provider, reason)
      : runtimeErrors.E_SESSION(name, reason);
  });
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    async run(feeds, wanted = session.outputNames) {
      const ignored = Object.keys(feeds).find((key) => !session.inputNames.includes(key));
      if (ignored !== undefined) throw runtimeErrors.E_FEED_UNKNOWN(name, ignored, session.inputNames);
      const tensors = Object.fromEntries(
        Object.entries(feeds).map(([key, tensor]) => [key, toRuntime(runtime, key, tensor)]),
      );
      const results = await session.run(tensors, wanted).catch((error: unknown) => {
        throw runtimeErrors.E_RUN(name, messageOf(error));
      });
      return Object.fromEntries(
        Object.entries(results).map(([key, tensor]) => [key, fromRuntime(key, tensor)]),
      );
    },
    endProfile: () => session.endProfiling(),
    close: () => session.release(),
  };
}

/** Words of the runtime where a provider cannot start, whatever the graph: libraries, drivers or devices are missing. */
const providerTrouble = /shared library|adapter|driver|cud(a|nn) (failure|error)|no \S+ device/i;

/** The binding drops a provider that its build does not have, and would compute on the CPU without a word. */
function requireProvider(runtime: RuntimeModule, provider: RuntimeProvider): void {
  // A module that stands in for the runtime need not have this list.
  const known = runtime.listSupportedBackends?.().map(({ name }) => name);
  if (known === undefined || known.includes(provider)) return;
  throw runtimeErrors.E_PROVIDER(provider, `a runtime with ${known.join(", ")}`);
}

function create(
  runtime: RuntimeModule,
  model: Uint8Array | string,
  options: SessionOptions,
): ReturnType<RuntimeModule["InferenceSession"]["create"]> {
  const { threads, provider = "cpu", weightsFolder, optimization = "all", profile, config = {} } = options;
  const { prepack = true } = options;
  const settings = {
    logSeverityLevel: 3 as const,
    graphOptimizationLevel: optimization,
    // A pattern is one block for all values of a run, taken beside the memory that the first run has used: with it, growth
    // doubles from the second run of a shape on, and steps take as long.
    enableMemPattern: false,
    executionProviders: provider === "cpu" ? ["cpu"] : [provider, "cpu"],
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    ...(profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: profile }),
    extra: {
      ...config,
      // It would remove the training form of Dropout, whatever its mask is used for.
      optimization: { disable_specified_optimizers: "EliminateDropout", ...config.optimization },
      session: {
        // Where it makes one node of a product and the DequantizeLinear before it, it would also quantise the data.
        qdq_matmulnbits_accuracy_level: "1",
        ...(prepack ? {} : { disable_prepacking: "1" }),
        ...(weightsFolder === undefined
          ? {}
          : { model_external_initializers_file_folder_path: weightsFolder }),
        ...config.session,
      },
    },
  };
  return typeof model === "string"
    ? runtime.InferenceSession.create(model, settings)
    : runtime.InferenceSession.create(model, settings);
}

function toRuntime(
  runtime: RuntimeModule,
  name: string,
  field: Field,
): InstanceType<RuntimeModule["Tensor"]> {
  const { Tensor } = runtime;
  const { dtype, shape, data } = field;
  const size = shape.reduce((product, dim) => product * dim, 1);
  if (size !== data.length) throw runtimeErrors.E_FEED_SIZE(name, shape, data.length);
  if (dtype === "float32" && data instanceof Float32Array) return new Tensor(dtype, data, shape);
  if (dtype === "float64" && data instanceof Float64Array) return new Tensor(dtype, data, shape);
  if (dtype === "float16" && data instanceof Uint16Array) return new Tensor(dtype, data, shape);
  if (dtype === "int64" && data instanceof BigInt64Array) return new Tensor(dtype, data, shape);
  if (dtype === "uint64" && data instanceof BigUint64Array) return new Tensor(dtype, data, shape);
  if (dtype === "int32" && data instanceof Int32Array) return new Tensor(dtype, data, shape);
  if (dtype === "int8" && data instanceof Int8Array) return new Tensor(dtype, data, shape);
  if (dtype === "uint8" && data instanceof Uint8Array) return new Tensor(dtype, data, shape);
  if (dtype === "bool" && data instanceof Uint8Array) return new Tensor(dtype, data, shape);
  throw runtimeErrors.E_FEED(name, dtype, data.constructor.name);
}

/** Types that the binding gives; their names are the runtime's and ours alike. */
const outputTypes: readonly ElementType[] = [
  ...(["float32", "float64", "float16", "int64", "uint64", "int32"] as const),
  ...(["uint32", "int16", "uint16", "int8", "uint8", "bool"] as const),
];

function fromRuntime(
  name: string,
  tensor: { readonly type: string; readonly dims: readonly number[]; readonly data: unknown },
): Field {
  const { type, dims, data } = tensor;
  const dtype = outputTypes.find((known) => known === type);
  if (dtype === undefined || !ArrayBuffer.isView(data)) throw runtimeErrors.E_FEED(name, type, "text");
  return {
    dtype,
    shape: dims,
    data: viewElements(dtype, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
