/** A model: main graph, functions, opsets and the header fields of an ONNX file. */
import type { Attribute } from "./attribute.ts";
import { Graph } from "./graph.ts";

/** A model-local function; its body is a graph whose inputs and outputs are the formal ones. */
export interface ModelFunction {
  readonly domain: string;
  readonly name: string;
  readonly overload: string;
  readonly body: Graph;
  readonly opsets: Map<string, number>;
  /** Attribute parameters without a default. */
  readonly attributes: readonly string[];
  /** Attribute parameters with one: a node without operands carries them. */
  readonly defaults: ReadonlyMap<string, Attribute>;
  readonly docString: string;
  readonly metadata: ReadonlyMap<string, string>;
  /** Parts of the file that we carry without reading them, kept for writing; set by `onnx/read.ts`. */
  readonly carried?: unknown;
}

/** Where a model came from, so that its weights can be pointed at instead of copied. */
export interface ModelOrigin {
  /** Absolute path of the model file. */
  readonly file: string;
  /** Absolute path of its folder: the only one that external data may lie in. */
  readonly folder: string;
}

/** An ONNX model in memory; weights stay where they are until asked for. */
export class Model {
  irVersion: number;
  /** Version by domain; "" is ai.onnx. */
  readonly opsets: Map<string, number>;
  readonly graph: Graph;
  readonly functions = new Map<string, ModelFunction>();
  readonly metadata = new Map<string, string>();
  producerName = "";
  producerVersion = "";
  domain = "";
  modelVersion: number | bigint = 0;
  docString = "";
  origin: ModelOrigin | undefined;
  /** Parts of the file that we carry without reading them, kept for writing; set by `onnx/read.ts`. */
  carried: unknown;

  constructor(options: { irVersion?: number; opsets?: Iterable<[string, number]>; graph?: Graph } = {}) {
    this.irVersion = options.irVersion ?? 10;
    this.opsets = new Map(options.opsets ?? [["", 20]]);
    this.graph = options.graph ?? new Graph("main");
  }

  /** Version of ai.onnx; 1 where the file imports none. */
  get opset(): number {
    return this.opsets.get("") ?? 1;
  }
}

/** Key of a function in {@link Model.functions}. */
export function functionKey(domain: string, name: string, overload = ""): string {
  return overload === "" ? `${domain}::${name}` : `${domain}::${name}::${overload}`;
}
