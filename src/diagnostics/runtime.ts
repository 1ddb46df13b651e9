/** Diagnostics of running graphs and training artifacts. */
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
  E_FEED_UNKNOWN: (graph: string, name: string, known: readonly string[]) => ({
    message: `the runtime would ignore what is fed for "${name}"`,
    place: graph,
    expected: `inputs without a default: ${known.join(", ")}`,
    got: name,
    next: "leave it out; its binding for Node takes nothing for inputs that have a default",
  }),
  E_ID_RANGE: (
    field: string,
    { example, position }: { readonly example: number; readonly position: number },
    id: number,
    rows: number,
  ) => ({
    message: `id ${id} of "${field}" is not in the table that it indexes`,
    place: `example ${example} of the batch, position ${position}`,
    expected: `ids from 0 to ${rows - 1}, since the table has ${rows} rows`,
    got: String(id),
    next: "take the tokenizer that belongs to the model, or cut inputs that are too long with --max-length",
  }),
  E_FEED: (name: string, dtype: string, array: string) => ({
    message: `tensor "${name}" of type ${dtype} cannot cross the runtime's boundary as ${array}`,
    place: name,
    expected: `the typed array of ${dtype}`,
    got: array,
    next: "give the elements in the typed array that belongs to the element type",
  }),
  E_FEED_SIZE: (name: string, shape: readonly number[], got: number) => ({
    message: `tensor "${name}" has another number of elements than its shape says`,
    place: name,
    expected: `${shape.reduce((product, dim) => product * dim, 1)} elements for [${shape}]`,
    got: String(got),
    next: "give as many elements as the shape has, row by row",
  }),
  E_ARTIFACT_MISSING: (folder: string) => ({
    message: "the folder is not a training artifact",
    place: folder,
    expected: "manifest.json",
    got: "no such file",
    next: "make one with `peft-compile compile MODEL.onnx -o DIR`",
  }),
  E_ARTIFACT_FORMAT: (file: string, got: string, expected: string) => ({
    message: "the artifact is of another format version",
    place: file,
    expected,
    got,
    next: "compile the model again with this version",
  }),
  E_ARTIFACT_MANIFEST: (file: string, where: string, why: string) => ({
    message: "the artifact's manifest cannot be read",
    place: where === "" ? file : `${file}, ${where}`,
    expected: "a manifest as `compile` writes it",
    got: why,
    next: "compile the model again",
  }),
  E_SOURCE_MISSING: (file: string, artifact: string) => ({
    message: "a file that holds the model's weights is not there",
    place: file,
    expected: `the file that ${artifact} was compiled from`,
    got: "no such file",
    next: "put it back, or compile with --weights copy to make the artifact self-contained",
  }),
  E_SOURCE_CHANGED: (file: string, expected: string, got: string) => ({
    message: "a file that holds the model's weights has changed since the artifact was compiled",
    place: file,
    expected,
    got,
    next: "compile the model again, or put the old file back",
  }),
  E_STATE: (file: string, key: string, expected: string, got: string) => ({
    message: `the state file lacks what the graph needs under "${key}"`,
    place: file,
    expected,
    got,
    next: "use a checkpoint of this artifact",
  }),
  E_BATCH_FIELD: (field: string, available: readonly string[]) => ({
    message: `the batch has no field "${field}"`,
    place: field,
    expected: "an array for every input of the graph",
    got: available.join(", "),
    next: "add the field to the batch",
  }),
  E_BATCH_COUNT: (what: string, expected: number, got: number) => ({
    message: `a step takes ${expected} batches`,
    place: what,
    expected: String(expected),
    got: String(got),
    next: "pass as many batches as the artifact was compiled for",
  }),
  E_BATCH_SHAPES: (field: string, expected: string, got: string) => ({
    message: `field "${field}" has different shapes in the steps of one run`,
    place: field,
    expected,
    got,
    next: "pad all batches to one length, or compile with --steps-per-run 1",
  }),
  E_NO_TOKENIZER: (file: string) => ({
    message: "text needs a tokenizer, and there is none beside the model",
    place: file,
    expected: "tokenizer.json in the Hugging Face format",
    got: "no such file",
    next: "name it with --tokenizer FILE",
  }),
  E_GENERATE_TASK: (task: string) => ({
    message: "only causal language models generate text",
    place: "generate",
    expected: "an artifact of task causal-lm",
    got: task,
    next: "compile the model with --task causal-lm",
  }),
  E_LOCKED: (folder: string, pid: number | undefined) => ({
    message: "another process is training this artifact",
    place: folder,
    expected: "one trainer at a time",
    got: pid === undefined ? "a lock that is just being taken" : `process ${pid}`,
    next: "wait for it or end it, or train into a folder of its own with --out",
  }),
  E_LOSS_NOT_FINITE: (step: number, loss: number, checkpoint: string | undefined) => ({
    message: `the loss of step ${step} is not finite`,
    place: `step ${step}`,
    expected: "a number",
    got: String(loss),
    next: `${keptText(checkpoint)}; look for values in the data that are not finite, or compile with a lower rate, a warm-up or --clip`,
  }),
  E_STATE_NOT_FINITE: (step: number, key: string, checkpoint: string | undefined) => ({
    message: `the update of step ${step} made values that are not finite`,
    place: key,
    expected: "numbers",
    got: "infinity or not a number",
    next: `${keptText(checkpoint)}; compile with a lower rate, a warm-up or --clip`,
  }),
  E_CHECKPOINT: (folder: string, why: string) => ({
    message: "there is no such checkpoint",
    place: folder,
    expected: "a folder with state.safetensors and trainer.json",
    got: why,
    next: "leave --checkpoint out to use the newest one",
  }),
  E_RESUME: (what: string, expected: string, got: string) => ({
    message: `the run cannot be continued: ${what} differs from the run that was saved`,
    place: what,
    expected,
    got,
    next: "give the same data and options as before, or start anew without --resume",
  }),
});

function keptText(checkpoint: string | undefined): string {
  return checkpoint === undefined
    ? "nothing was saved before"
    : `the state of before is kept in ${checkpoint}`;
}
