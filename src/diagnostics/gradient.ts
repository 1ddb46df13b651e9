/** Diagnostics of gradient models: what was asked to be differentiated, and by what. */
import { defineDiagnostics } from "./define.ts";

const listed = (names: readonly string[]): string => (names.length === 0 ? "none" : names.join(", "));

export const gradientErrors = defineDiagnostics({
  E_GRADIENT_OUTPUT: (name: string, outputs: readonly string[], near: readonly string[]) => ({
    message: `the model has no output "${name}"`,
    place: "--of",
    expected: `one of ${listed(outputs.slice(0, 12))}`,
    got: name,
    next: near.length > 0 ? `did you mean ${near.join(" or ")}?` : "name outputs of the model",
  }),
  E_GRADIENT_INPUT: (name: string, inputs: readonly string[], near: readonly string[]) => ({
    message: `the model has no input or initializer "${name}"`,
    place: "--wrt",
    expected: `one of ${listed(inputs.slice(0, 12))}, or the name of an initializer`,
    got: name,
    next: near.length > 0 ? `did you mean ${near.join(" or ")}?` : "name inputs or initializers of the model",
  }),
  E_GRADIENT_TYPE: (option: "--of" | "--wrt", name: string, type: string) => ({
    message: `"${name}" has no gradient, since its elements are no floats`,
    place: option,
    expected: "a tensor of float32, float16, bfloat16 or float64",
    got: type,
    next: `leave "${name}" out of ${option}`,
  }),
  E_GRADIENT_NOTHING: (option: "--of" | "--wrt", what: string, types: readonly string[]) => ({
    message: `the model has no float ${what} to choose`,
    place: option,
    expected: `at least one float ${what}`,
    got: listed(types),
    next: `name what to take with ${option}`,
  }),
  E_GRADIENT_INTEGERS: (node: string, output: string, name: string, path: readonly string[]) => ({
    message: `"${output}" depends on "${name}" only through integers, truth values or what is held constant, which ${node} makes of it`,
    place: path.join(" -> "),
    expected: "a way on which all elements stay floats",
    got: "a dependence that has no gradient",
    next: `leave "${name}" out of --wrt`,
  }),
});
