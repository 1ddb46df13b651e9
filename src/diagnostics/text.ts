/** Diagnostics of reading and printing models as ONNX text. */
import { defineDiagnostics } from "./define.ts";

const quoteAll = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(" or ");

export const textErrors = defineDiagnostics({
  E_TEXT_SYNTAX: (place: string, expected: string, got: string) => ({
    message: "the text is not ONNX text",
    place,
    expected,
    got,
    next: "compare with docs/text-format.md; the grammar is that of onnx/docs/Syntax.md",
  }),
  E_TEXT_NESTING: (place: string, what: string, limit: number) => ({
    message: `${what} are nested too deeply`,
    place,
    expected: `at most ${limit} levels`,
    got: `level ${limit + 1}`,
    next: "no model needs this depth; check where the text comes from",
  }),
  E_TEXT_UNDEFINED: (place: string, name: string, near: readonly string[]) => ({
    message: `"${name}" is read and has no definition before this place`,
    place,
    expected: "an input, an initializer or the result of an earlier node",
    got: `"${name}"`,
    next: near.length > 0 ? `did you mean ${quoteAll(near)}?` : "nodes stand after what they read",
  }),
  E_TEXT_REDEFINED: (place: string, what: string, name: string) => ({
    message: `${what} "${name}" is defined twice`,
    place,
    expected: "each name once",
    got: `a second "${name}"`,
    next: "rename one of the two",
  }),
  E_TEXT_LITERAL: (place: string, expected: string, got: string) => ({
    message: "a number does not fit its type",
    place,
    expected,
    got,
    next: "float16, bfloat16, float8 and types below a byte are written as the whole numbers of their bits",
  }),
  E_TEXT_TENSOR_SIZE: (place: string, type: string, expected: string, got: string) => ({
    message: `the data of a tensor of type ${type} does not have its size`,
    place,
    expected,
    got,
    next: "make the data and the dimensions agree",
  }),
  E_TEXT_LOCATION: (place: string, location: string, folder: string) => ({
    message: `data may not be read from "${location}"`,
    place,
    expected: `a relative path inside "${folder}"`,
    got: `"${location}"`,
    next: "put the weights beside the text, or allow other folders where the text is trusted",
  }),
  E_TEXT_DIRECTIVE: (place: string, problem: string, expected: string) => ({
    message: `a #! line cannot be used: ${problem}`,
    place,
    expected,
    got: problem,
    next: "see docs/text-format.md for what a #! line may say, and where",
  }),
  E_TEXT_ELIDED: (place: string) => ({
    message: "the data of a tensor was left out when this text was printed",
    place,
    expected: "the data, or the place of a file that holds it",
    got: "a tensor marked as elided",
    next: "print the model again without leaving data out",
  }),
  E_TEXT_RESULT_TYPES: (place: string, results: number, types: number) => ({
    message: "the comment with the types of a node's results does not fit the node",
    place,
    expected: `${results} ${results === 1 ? "type" : "types"}, ? for those not known`,
    got: `${types} ${types === 1 ? "type" : "types"}`,
    next: "write one type for each result, or remove the comment",
  }),
  E_TEXT_WEIGHTS: (name: string, file: string, reason: string) => ({
    message: `the data of "${name}" cannot be read for printing`,
    place: file,
    expected: "a readable file",
    got: reason,
    next: "restore the file, or print small weights as references too (inlineElements: 0)",
  }),
});
