/** Diagnostics of pipelines and passes. */
import { defineDiagnostics } from "./define.ts";

const suggest = (near: readonly string[], otherwise: string): string =>
  near.length === 0 ? otherwise : `did you mean ${near.map((name) => `"${name}"`).join(" or ")}?`;

/** A node as messages name it. */
export interface PassNode {
  readonly domain: string;
  readonly op: string;
  readonly name: string;
}

const describe = ({ domain, op, name }: PassNode): string => {
  const operator = domain === "" ? op : `${domain}.${op}`;
  return name === "" ? operator : `node "${name}" (${operator})`;
};

export const passErrors = defineDiagnostics({
  E_PIPELINE_SYNTAX: (text: string, at: number, expected: string) => ({
    message: `the pipeline "${text}" cannot be read at character ${at + 1}`,
    place: `${text.slice(0, at)}<here>${text.slice(at)}`,
    expected,
    got: at < text.length ? `"${text[at]}"` : "the end of the text",
    next: 'write pipelines as a,b{key=value other="quoted, text"}',
  }),
  E_UNKNOWN_PASS: (name: string, near: readonly string[]) => ({
    message: `there is no pass "${name}"`,
    expected: "the name of a pass",
    got: `"${name}"`,
    next: suggest(near, "list the passes with: peft-compile passes"),
  }),
  E_UNKNOWN_OPTION: (owner: string, option: string, known: readonly string[], near: readonly string[]) => ({
    message: `${owner} has no option "${option}"`,
    place: owner,
    expected: known.length === 0 ? "no options" : `one of ${known.join(", ")}`,
    got: `"${option}"`,
    next: suggest(near, "leave the option out"),
  }),
  E_BAD_OPTION: (owner: string, option: string, expected: string, got: string) => ({
    message: `option "${option}" of ${owner} has a value that it cannot take`,
    place: owner,
    expected,
    got,
    next: `change "${option}" or leave it out for its default`,
  }),
  E_NO_UPGRADE: (node: PassNode, from: number, to: number, known: string) => ({
    message: `${describe(node)} changed between opset ${from} and ${to}, and its meaning cannot be carried over`,
    place: describe(node),
    expected: `an operator that opset ${to} takes as it is, or one with an upgrade`,
    got: known,
    next: "convert the model with ONNX's version converter first, or add an upgrade to the operator's record",
  }),
  E_NEW_OPERATOR: (node: PassNode, from: number, to: number, known: string) => ({
    message: `${describe(node)} says what opset ${to} cannot, and ONNX Runtime loads no newer one`,
    place: describe(node),
    expected: `an operator of opset ${to}, or one that can be rewritten to it`,
    got: `${known} (the model imports opset ${from})`,
    next: `export the model at opset ${to} or older`,
  }),
  E_OLD_OPSET: (opset: number) => ({
    message: `the model imports ai.onnx ${opset}, which is too old to be upgraded`,
    expected: "opset 7 or newer",
    got: String(opset),
    next: "export the model again with a newer opset",
  }),
  E_NEW_OPSET: (opset: number, known: number) => ({
    message: `the model imports ai.onnx ${opset}, which is newer than what is known of its operators`,
    expected: `opset ${known} or older`,
    got: String(opset),
    next: "export the model again with an older opset",
  }),
  E_RECURSIVE_FUNCTION: (chain: readonly string[]) => ({
    message: `function "${chain.at(-1)}" calls itself`,
    place: chain.join(" -> "),
    expected: "functions that call only others (ONNX forbids recursion)",
    got: "a cycle of calls",
    next: "correct the model's functions",
  }),
  E_FUNCTION_SIZE: (expected: string, got: string) => ({
    message: "the model's functions are more than can be inlined",
    place: "the functions of the model",
    expected: `at most ${expected}`,
    got,
    next: "no exporter writes such functions: do not trust this file, or inline them before",
  }),
  E_FUNCTION_CALL: (node: PassNode, fault: string) => ({
    message: `${describe(node)} calls a function of the model in a way that it does not allow`,
    place: describe(node),
    expected: "no more operands and results than the function has, and every operand that it passes on",
    got: fault,
    next: "correct the call or the function",
  }),
  E_FUNCTION_OPSET: (name: string, domain: string, own: number, model: number) => ({
    message: `function "${name}" was written for ${domain === "" ? "ai.onnx" : domain} ${own}, the model imports ${model}`,
    place: `function "${name}"`,
    expected: "a version whose operators mean the same in both, or one that can be upgraded",
    got: `${own} against ${model}`,
    next: "export the model again with one version throughout",
  }),
});
