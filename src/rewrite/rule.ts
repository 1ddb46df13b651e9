/** Rules: a pattern, a condition that may refuse with a reason, and what is built instead. */
import { InternalError } from "../diagnostics/define.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "../ops/builder.ts";
import { matchNode } from "./match.ts";
import { type OpPattern, type Patterns, patterns } from "./pattern.ts";

/** Whether a match may be rewritten: true, a reason why not, or false for a match that is of no interest. */
export type Verdict = boolean | string;

/** A rule as the driver runs it. */
export interface Rule {
  /** In kebab case; goes into the metadata of new nodes and into statistics. */
  readonly name: string;
  /** Operators, `domain.Op` outside ai.onnx, that a match may start at; "any" for every one. */
  readonly roots: readonly string[] | "any";
  /** Looks at a node and never changes anything: undefined where the rule does not apply. */
  readonly attempt: (node: Node) => Attempt | undefined;
}

/** A match: refused, or ready to be built. */
export type Attempt =
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "ready"; readonly build: (b: OpBuilder) => Value };

/** What the author of a pattern rule writes. */
export interface PatternRuleSpec<B> {
  readonly match: (p: Patterns) => OpPattern<B>;
  readonly when?: (bindings: B, root: Node) => Verdict;
  /** Gives what stands for the first result of the root; new nodes go before the root. */
  readonly build: (bindings: B, b: OpBuilder, root: Node) => Value;
}

/**
 * Declares a rule by the shape of the graph that it rewrites. Operands of commutative operators match in either order.
 * It applies only where nothing reads further results of the root.
 *
 * @example
 * rule("drop-double-transpose", {
 *   match: (p) => p.Transpose(p.Transpose(p.x, { perm: p.a }), { perm: p.b }),
 *   when: ({ a, b }) => inverse(a, b) || "perms do not cancel",
 *   build: ({ x }) => x,
 * });
 */
export function rule<B>(name: string, spec: PatternRuleSpec<B>): Rule {
  const pattern = spec.match(patterns);
  const { when = () => true, build } = spec;
  return {
    name: checkName(name),
    roots: [rootKey(pattern.domain, pattern.op)],
    attempt: (node) => {
      let reason: string | undefined;
      for (const found of matchNode(pattern, node)) {
        // The matcher binds exactly the names of the pattern, which is what `B` is computed from.
        const bindings = found as B;
        const verdict = when(bindings, node);
        if (verdict === true) return ready(node, (b) => build(bindings, b, node));
        if (typeof verdict === "string") reason = verdict;
      }
      return reason === undefined ? undefined : { kind: "refused", reason };
    },
  };
}

/** What the author of a node rule writes. */
export interface NodeRuleSpec {
  readonly roots: readonly string[] | "any";
  readonly when: (node: Node) => Verdict;
  readonly build: (node: Node, b: OpBuilder) => Value;
}

/** Declares a rule that looks at single nodes, where several operators are treated alike. */
export function nodeRule(name: string, { roots, when, build }: NodeRuleSpec): Rule {
  return {
    name: checkName(name),
    roots,
    attempt: (node) => {
      const verdict = when(node);
      if (verdict === true) return ready(node, (b) => build(node, b));
      return typeof verdict === "string" ? { kind: "refused", reason: verdict } : undefined;
    },
  };
}

/** Key by which rules are found from a node. */
export function rootKey(domain: string, op: string): string {
  return domain === "" || domain === "ai.onnx" ? op : `${domain}.${op}`;
}

function ready(node: Node, build: (b: OpBuilder) => Value): Attempt {
  if (node.outputs.some((output, index) => index > 0 && output?.isUsed === true)) {
    return { kind: "refused", reason: "a further result is read" };
  }
  return { kind: "ready", build };
}

function checkName(name: string): string {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name))
    throw new InternalError(`rule "${name}" is not in kebab case`);
  return name;
}
