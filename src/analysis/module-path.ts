/** Recovers PyTorch module paths from what exporters leave in a file: parameter names, node names, scope metadata. */
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";

/** A parameter name of PyTorch: module path, then the parameter's own name. */
export interface ParameterName {
  readonly module: string;
  readonly parameter: string;
}

/**
 * Splits a name such as `model.layers.0.mlp.up_proj.weight`; undefined for names that an exporter invented
 * (`onnx::MatMul_702`, `val_43`, `/model/Constant_output_0`) or that have no module.
 */
export function parseParameterName(name: string): ParameterName | undefined {
  const at = name.lastIndexOf(".");
  if (at <= 0 || name.includes("::") || name.includes("/") || name.includes(" ")) return undefined;
  const [module, parameter] = [name.slice(0, at), name.slice(at + 1)];
  // Model builders put the operator between the module and its parameter: `model.layers.0.attn.o_proj.MatMul.weight`.
  const built = module.replace(/\.(MatMul|Gemm|Conv)$/, "");
  // They call the attention of every model `attn`, where the models that they build have `self_attn`.
  return { module: built === module ? module : built.replace(/(\.\d+)\.attn\./, "$1.self_attn."), parameter };
}

/** What is known of a model's module tree: every path that a parameter name proves, ancestors included. */
export class ModuleTree {
  readonly #paths = new Set<string>();

  constructor(graph: Graph) {
    for (const value of [...graph.initializers, ...graph.inputs]) this.#learn(value.name);
  }

  #learn(name: string): void {
    let path = parseParameterName(name)?.module;
    while (path !== undefined && path !== "" && !this.#paths.has(path)) {
      this.#paths.add(path);
      const at = path.lastIndexOf(".");
      path = at < 0 ? undefined : path.slice(0, at);
    }
  }

  /**
   * Path of the module whose forward a node belongs to. Scope metadata of the dynamo exporter wins; node names of the
   * tracing exporter lack a parent whose own forward is not called, which the tree puts back where it is unique.
   */
  pathOf(node: Node): string | undefined {
    const scope = scopePath(node);
    if (scope !== undefined) return scope;
    const traced = tracedPath(node.name);
    return traced === undefined ? undefined : this.#complete(traced);
  }

  /**
   * Path of the module that owns a weight, seen from a node that reads it. The weight's own name is right unless the
   * weight is tied: then node and weight disagree in the last segment, and the node says which module this use is.
   * `tiedByName` says that exporters keep one name for tied weights even where only one use of it is left (embeddings,
   * whose head became a transposed copy): then scope metadata is believed.
   */
  pathOfWeight(weight: Value, node: Node, tiedByName = false): string | undefined {
    const named = parseParameterName(weight.name)?.module;
    const called = this.pathOf(node);
    if (named === undefined || called === undefined) return named ?? called;
    if (tiedByName && scopePath(node) !== undefined) return called;
    return lastSegment(named) === lastSegment(called) || !isTiedUse(weight) ? named : called;
  }

  /** Puts missing parents before a path, by the longest part of it that the tree knows under one name only. */
  #complete(path: string): string {
    for (let part = path; part !== ""; part = part.slice(0, Math.max(0, part.lastIndexOf(".")))) {
      if (this.#paths.has(part)) return path;
      // A module of its own is too common a name to tell where it stands.
      const candidates = part === path ? [] : [...this.#paths].filter((known) => known.endsWith(`.${part}`));
      const [only, another] = candidates;
      if (only !== undefined) return another === undefined ? `${only}${path.slice(part.length)}` : path;
    }
    return path;
  }
}

/** `pkg.torch.onnx.name_scopes` is a printed Python list that ends with the call inside the innermost module. */
function scopePath(node: Node): string | undefined {
  const scopes = node.metadata.get("pkg.torch.onnx.name_scopes");
  if (scopes === undefined) return undefined;
  const parts = [...scopes.matchAll(/'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/g)].map(
    (match) => match[1] ?? match[2] ?? "",
  );
  const path = parts.at(-2);
  return path === "" ? undefined : path;
}

/** `/model/layers.0/mlp/up_proj/MatMul` is `model.layers.0.mlp.up_proj`; a called Sequential repeats its parent. */
function tracedPath(name: string): string | undefined {
  if (!name.startsWith("/")) return undefined;
  const segments = name.split("/").slice(1, -1);
  const kept = segments.filter((segment, i) => segments[i + 1]?.startsWith(`${segment}.`) !== true);
  return kept.length === 0 ? undefined : kept.join(".");
}

function lastSegment(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

/** Whether several modules read the weight: more than one node does, directly or through one Transpose. */
function isTiedUse(weight: Value): boolean {
  return weight.uses.size > 1;
}
