/** Diagnostics of running graphs. */
import { defineDiagnostics } from "./define.ts";

export const runtimeErrors = defineDiagnostics({
  E_RUNTIME_MISSING: (module: string, reason: string) => ({
    message: `the runtime module "${module}" cannot be loaded`,
    place: "PEFT_COMPILE_RUNTIME",
    expected: "onnxruntime-node, or a module with its interface",
    got: reason,
    next: "run `npm install onnxruntime-node`, then `peft-compile doctor`",
  }),
  E_PROVIDER: (provider: string, reason: string) => ({
    message: `the execution provider ${provider} cannot be used`,
    place: "--provider",
    expected: `the libraries of ${provider} beside the runtime`,
    got: reason,
    next: "run `peft-compile doctor`, which says what is missing and how to get it",
  }),
  E_SESSION: (graph: string, reason: string) => ({
    message: `ONNX Runtime refuses ${graph}`,
    place: graph,
    expected: "a graph that ONNX Runtime 1.30 loads",
    got: reason,
    next: "if this program made the graph, please report it",
  }),
  E_RUN: (graph: string, reason: string) => ({
    message: `ONNX Runtime failed while running ${graph}`,
    place: graph,
    expected: "a run without errors",
    got: reason,
    next: "check that every field of the batch has the shape that the model takes",
  }),
  E_FEED: (name: string, dtype: string, array: string) => ({
    message: `tensor "${name}" of type ${dtype} cannot cross the runtime's boundary as ${array}`,
    place: name,
    expected: `the typed array of ${dtype}`,
    got: array,
    next: "give the elements in the typed array that belongs to the element type",
  }),
});
