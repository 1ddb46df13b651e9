/** Applies rules until none fits any more: a worklist over all nodes, bounded, with counts of what happened. */
import { InternalError } from "../diagnostics/define.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model } from "../ir/model.ts";
import type { Node } from "../ir/node.ts";
import { replaceValue } from "../ir/replace.ts";
import { refineShape, shapesConflict } from "../ir/shape.ts";
import { formatType, tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { removeDead } from "./dead.ts";
import { type Attempt, type Rule, rootKey } from "./rule.ts";

/** Metadata key under which a new node names the rule that made it. */
export const ruleKey = "peft.rule";

/** What rewriting did. */
export interface RewriteReport {
  readonly changed: boolean;
  /** Rewrites by rule. */
  readonly applied: ReadonlyMap<string, number>;
  /** Refusals by `rule: reason`, of nodes as they were last looked at. */
  readonly refused: ReadonlyMap<string, number>;
  /** False where the bound was hit first; the model is then well formed, and could be rewritten further. */
  readonly converged: boolean;
}

export interface RewriteOptions {
  /** Most rewrites to make; 20 for each node and 1000 more unless given. */
  readonly limit?: number;
}

/** Rewrites the main graph of a model with all its bodies. Types must have been inferred. */
export function rewriteModel(
  model: Model,
  rules: readonly Rule[],
  options: RewriteOptions = {},
): RewriteReport {
  const driver = new Driver(rules, model.opset);
  driver.run(model.graph, options.limit);
  return driver.report();
}

class Driver {
  readonly #byRoot = new Map<string, Rule[]>();
  readonly #rules: readonly Rule[];
  readonly #opset: number;
  readonly #builders = new Map<Graph, OpBuilder>();
  readonly #queue: Node[] = [];
  readonly #queued = new Set<Node>();
  readonly #applied = new Map<string, number>();
  readonly #refusals = new Map<Node, readonly string[]>();
  #converged = true;

  constructor(rules: readonly Rule[], opset: number) {
    this.#rules = rules;
    this.#opset = opset;
  }

  run(graph: Graph, limit?: number): void {
    for (const node of graph.allNodes()) this.#push(node);
    let left = limit ?? 20 * this.#queue.length + 1000;
    // The queue only grows; a cursor is cheaper than shifting.
    for (let at = 0; at < this.#queue.length; at++) {
      const node = this.#queue[at];
      if (node === undefined) continue;
      this.#queued.delete(node);
      if (node.graph === undefined) continue;
      if (left === 0) {
        this.#converged = false;
        return;
      }
      if (this.#rewrite(node)) left -= 1;
    }
  }

  report(): RewriteReport {
    const refused = new Map<string, number>();
    for (const [node, reasons] of this.#refusals) {
      if (node.graph === undefined) continue;
      for (const reason of reasons) refused.set(reason, (refused.get(reason) ?? 0) + 1);
    }
    return { changed: this.#applied.size > 0, applied: this.#applied, refused, converged: this.#converged };
  }

  #push(node: Node): void {
    if (this.#queued.has(node)) return;
    this.#queued.add(node);
    this.#queue.push(node);
  }

  #rulesFor(node: Node): readonly Rule[] {
    const key = rootKey(node.domain, node.op);
    const known = this.#byRoot.get(key);
    if (known !== undefined) return known;
    const rules = this.#rules.filter(({ roots }) => roots === "any" || roots.includes(key));
    this.#byRoot.set(key, rules);
    return rules;
  }

  #rewrite(node: Node): boolean {
    const refusals: string[] = [];
    this.#refusals.delete(node);
    if (!node.outputs.some((output) => output?.isUsed)) return false;
    for (const rule of this.#rulesFor(node)) {
      const attempt = rule.attempt(node);
      if (attempt?.kind === "ready") {
        this.#apply(node, rule, attempt);
        return true;
      }
      if (attempt !== undefined) refusals.push(`${rule.name}: ${attempt.reason}`);
    }
    if (refusals.length > 0) this.#refusals.set(node, refusals);
    return false;
  }

  #apply(root: Node, rule: Rule, attempt: Attempt & { kind: "ready" }): void {
    const graph = root.graph;
    if (graph === undefined) throw new InternalError(`rule "${rule.name}" matched a node outside any graph`);
    const before = root.previous;
    const from = root.output(0);
    const to = attempt.build(this.#builderAt(graph, root));
    for (let node = root.previous; node !== undefined && node !== before; node = node.previous) {
      node.metadata.set(ruleKey, rule.name);
      this.#push(node);
    }
    if (to === from) throw new InternalError(`rule "${rule.name}" puts a value in its own place`);
    checkTypes(rule, root, from, to);
    for (const use of from.uses) if (use.kind === "operand") this.#push(use.node);
    refineFacts(from, to);
    replaceValue(from, to);
    removeDead(root, (node) => this.#push(node));
    if (to.producer !== undefined) this.#push(to.producer);
    this.#applied.set(rule.name, (this.#applied.get(rule.name) ?? 0) + 1);
  }

  /** One builder for each graph, so that rewrites share their constants. */
  #builderAt(graph: Graph, root: Node): OpBuilder {
    const builder = this.#builders.get(graph) ?? new OpBuilder({ graph }, this.#opset);
    this.#builders.set(graph, builder);
    builder.before = root;
    builder.source = root;
    return builder;
  }
}

function checkTypes(rule: Rule, root: Node, from: Value, to: Value): void {
  const [left, right] = [from.tensorType, to.tensorType];
  if (left === undefined || right === undefined) return;
  const conflict =
    left.shape !== undefined && right.shape !== undefined && shapesConflict(left.shape, right.shape);
  if (left.dtype === right.dtype && !conflict) return;
  throw new InternalError(
    `rule "${rule.name}" turns ${formatType(left)} into ${formatType(right)} at ${root.op} "${root.name}"`,
  );
}

/** Lets the new value know what was known of the old one; the types of graph inputs are left as promised. */
function refineFacts(from: Value, to: Value): void {
  if (to.graph !== undefined && !to.graph.initializers.has(to)) return;
  to.content ??= from.content;
  const [old, type] = [from.tensorType, to.tensorType];
  if (old === undefined) return;
  to.type =
    type === undefined ? (to.type ?? old) : tensorType(type.dtype, refineShape(type.shape, old.shape));
}
