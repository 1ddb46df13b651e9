/** Replaces calls of model-local functions by the functions' bodies. */
import { InternalError } from "../diagnostics/define.ts";
import { passErrors } from "../diagnostics/pass.ts";
import type { Attribute } from "../ir/attribute.ts";
import { cloneGraph, cloneNode, type ValueMap } from "../ir/clone.ts";
import type { Graph } from "../ir/graph.ts";
import { functionKey, type Model, type ModelFunction } from "../ir/model.ts";
import type { Node } from "../ir/node.ts";
import { replaceValue } from "../ir/replace.ts";
import type { Value } from "../ir/value.ts";
import { isStandard } from "../ops/traits.ts";
import { raiseImport, upgradeGraph } from "./upgrade.ts";

/**
 * Inlines every call, those in bodies and in other functions' bodies too, and drops the functions. Where a function was
 * written for another opset than the model, both are brought to the newer of the two.
 *
 * @returns how many calls were replaced.
 * @throws DiagnosticError E_RECURSIVE_FUNCTION, E_FUNCTION_SIZE, E_FUNCTION_CALL, E_FUNCTION_OPSET, E_NO_UPGRADE.
 */
export function inlineFunctions(model: Model): number {
  refuseRecursion(model);
  const inliner = new Inliner(model);
  inliner.run();
  inliner.unifyOpsets();
  const domains = new Set([...model.functions.values()].map(({ domain }) => domain));
  const used = new Set([...model.graph.allNodes()].map(({ domain }) => domain));
  for (const domain of domains) if (!used.has(domain) && !isStandard(domain)) model.opsets.delete(domain);
  model.functions.clear();
  return inliner.count;
}

/** Deepest nesting of calls that is followed. */
const deepest = 100;

/** Most nodes that calls may become: functions that call each other several times grow with the power of their number. */
const most = 80_000;

class Inliner {
  count = 0;
  #written = 0;
  readonly #model: Model;
  /** Version of ai.onnx that a node from a function's body was written for. */
  readonly #opsets = new Map<Node, number>();

  constructor(model: Model) {
    this.#model = model;
  }

  run(): void {
    // A stack, so that a body's calls come before what follows them.
    const pending = [...this.#model.graph.allNodes()].reverse();
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      const called = this.#model.functions.get(functionKey(node.domain, node.op, node.overload));
      if (called === undefined || node.graph === undefined) continue;
      for (const written of this.#inline(node, called).reverse()) pending.push(written);
      this.count += 1;
    }
  }

  /** Brings all nodes to one version of ai.onnx, the newest that the model or a called function imports. */
  unifyOpsets(): void {
    const { opset, graph } = this.#model;
    const versions = [...new Set(this.#opsets.values())];
    const newest = Math.max(opset, ...versions);
    if (newest === opset && versions.every((version) => version === newest)) return;
    upgradeGraph(graph, (node) => this.#opsets.get(node) ?? opset, newest);
    raiseImport(this.#model, newest);
  }

  /** Puts the body in the place of the call and gives the new nodes, bodies of theirs included. */
  #inline(call: Node, called: ModelFunction): Node[] {
    const { graph } = call;
    if (graph === undefined) throw new InternalError(`call "${call.name}" is outside any graph`);
    const { body } = called;
    if (call.inputs.length > body.inputs.length || call.outputs.length > body.outputs.length) {
      const counts = `${call.inputs.length} operands and ${call.outputs.length} results`;
      throw passErrors.E_FUNCTION_CALL(
        call,
        `${counts} for ${body.inputs.length} and ${body.outputs.length}`,
      );
    }
    const map: ValueMap = new Map();
    const absent = new Set<Value>();
    body.inputs.forEach((input, index) => {
      const operand = call.input(index);
      if (operand === undefined) absent.add(input);
      else map.set(input, operand);
    });
    for (const constant of body.initializers) {
      if (constant.initializer !== undefined)
        map.set(constant, graph.addInitializer(constant.initializer, constant.name));
    }
    const version = this.#mergeImports(called);
    const callerVersion = this.#opsets.get(call) ?? this.#model.opset;
    const attributes = new Map([...called.defaults, ...call.attributes]);
    const written: Node[] = [];
    for (const original of body.nodes()) {
      const node = cloneNode(original, map);
      graph.insert(node, call);
      const cloned = new Set(withBodies(node));
      for (const each of cloned) {
        settle(each, attributes, absent);
        describe(each, call);
      }
      // Graphs that the call handed over have come in by now; their nodes are the caller's.
      for (const each of withBodies(node)) {
        this.#opsets.set(each, cloned.has(each) ? version : callerVersion);
        written.push(each);
        if (++this.#written > most) throw passErrors.E_FUNCTION_SIZE(`${most} nodes`, "more");
      }
    }
    call.outputs.forEach((output, index) => {
      if (output === null || !output.isUsed) return;
      const formal = body.outputs[index];
      const result = formal === undefined ? undefined : map.get(formal);
      if (result === undefined)
        throw passErrors.E_FUNCTION_CALL(call, `result ${index} is an operand that is left out`);
      result.type ??= output.type;
      if (result.producer !== undefined && output.name !== "") result.name = output.name;
      replaceValue(output, result);
    });
    graph.remove(call);
    return written;
  }

  /** Imports what the function imports. @returns its version of ai.onnx. */
  #mergeImports(called: ModelFunction): number {
    const { opsets, opset } = this.#model;
    for (const [domain, version] of called.opsets) {
      const own = opsets.get(domain);
      if (own === undefined) opsets.set(domain, version);
      else if (own !== version && !isStandard(domain) && domain !== called.domain) {
        throw passErrors.E_FUNCTION_OPSET(called.name, domain, version, own);
      }
    }
    return called.opsets.get("") ?? opset;
  }
}

function* withBodies(node: Node): Generator<Node, void, undefined> {
  yield node;
  for (const body of node.subgraphs()) yield* body.allNodes();
}

/**
 * Gives references to attributes of the function the values of the call; a reference to what the call leaves out and
 * that has no default is dropped, so that the operator's own default holds (ONNX IR.md, Attributes).
 */
function settle(node: Node, attributes: ReadonlyMap<string, Attribute>, absent: ReadonlySet<Value>): void {
  for (const [name, attribute] of [...node.attributes]) {
    if (attribute.kind !== "reference") continue;
    const value = attributes.get(attribute.value);
    if (value === undefined) node.attributes.delete(name);
    else node.attributes.set(name, ownCopy(value, node));
  }
  node.inputs.forEach((input, index) => {
    if (input !== null && absent.has(input)) node.setInput(index, null);
  });
}

/** A graph that a call hands over may be used several times, each time by another owner. */
function ownCopy(attribute: Attribute, owner: Node): Attribute {
  const copyGraph = (graph: Graph): Graph => {
    const copy = cloneGraph(graph, new Map());
    copy.owner = owner;
    return copy;
  };
  if (attribute.kind === "graph") return { kind: "graph", value: copyGraph(attribute.value) };
  return attribute.kind === "graphs" ? { kind: "graphs", value: attribute.value.map(copyGraph) } : attribute;
}

/** Names and metadata say from which call a node came, such as the module path of an exported module. */
function describe(node: Node, call: Node): void {
  const prefix = call.name === "" ? "" : `${call.name}/`;
  if (node.name !== "") node.name = prefix + node.name;
  for (const output of node.outputs)
    if (output !== null && output.name !== "") output.name = prefix + output.name;
  for (const [key, value] of call.metadata) if (!node.metadata.has(key)) node.metadata.set(key, value);
}

/** @throws DiagnosticError E_RECURSIVE_FUNCTION for a cycle of calls, E_FUNCTION_SIZE for a chain that no exporter writes. */
function refuseRecursion(model: Model): void {
  const done = new Set<string>();
  const visit = (key: string, chain: readonly string[]): void => {
    if (chain.includes(key)) throw passErrors.E_RECURSIVE_FUNCTION([...chain, key]);
    if (chain.length > deepest)
      throw passErrors.E_FUNCTION_SIZE(`${deepest} calls inside each other`, "more");
    const called = model.functions.get(key);
    if (called === undefined || done.has(key)) return;
    for (const node of called.body.allNodes())
      visit(functionKey(node.domain, node.op, node.overload), [...chain, key]);
    done.add(key);
  };
  for (const key of model.functions.keys()) visit(key, []);
}
