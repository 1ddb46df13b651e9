/** Diagnostics of the command line itself: verbs, options, and the files that options name. */
import { defineDiagnostics } from "./define.ts";

const listed = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(" or ");

export const cliErrors = defineDiagnostics({
  E_USAGE: (message: string, help: string) => ({
    message,
    next: `see ${help}`,
  }),
  E_UNKNOWN_VERB: (name: string, near: readonly string[]) => ({
    message: `there is no verb "${name}"`,
    expected: "a verb, or the path of an .onnx model to compile",
    got: `"${name}"`,
    next: near.length > 0 ? `did you mean ${listed(near)}?` : "list the verbs with: peft-compile --help",
  }),
  E_SYSTEM: (place: string, reason: string) => ({
    message: "the operating system refused a file operation",
    place,
    expected: "a path that exists, with permission and room for what is done to it",
    got: reason,
    next: "check the path, its permissions and the free space",
  }),
  E_OUTPUT_FORMAT: (file: string) => ({
    message: "the name of the output does not say in which form to write it",
    place: file,
    expected: ".onnx for the binary form, .onnxtxt for text, or - for text on standard output",
    got: file,
    next: "give the output one of these endings",
  }),
  E_MODULE_LOAD: (file: string, reason: string) => ({
    message: "the file cannot be loaded as a JavaScript module",
    place: file,
    expected: "an ECMAScript module that runs without an error",
    got: reason,
    next: "run it alone with `node FILE` to see the error in full",
  }),
  E_TYPESCRIPT: (file: string, version: string) => ({
    message: "this version of Node cannot load TypeScript",
    place: file,
    expected: "Node 22.18 or newer, or a loader such as tsx",
    got: `Node ${version}`,
    next: "update Node, run under `node --import tsx`, or write the file as .js or .json",
  }),
  E_CONFIG: (file: string, expected: string, got: string) => ({
    message: "the configuration file does not say what to compile in a form that can be used",
    place: file,
    expected,
    got,
    next: "see `peft-compile compile --help` for the settings and an example",
  }),
  E_USE: (file: string, got: string) => ({
    message: "the file exports nothing that can be used",
    place: file,
    expected: "a default export made by defineAdapter or definePass of peft-compile/extend",
    got,
    next: "export the record as default",
  }),
  E_METHOD_NAME: (name: string) => ({
    message: "this cannot be the name of a method",
    expected: "lower-case words with hyphens between them, such as low-rank-gate, that are no reserved word",
    got: `"${name}"`,
    next: "choose another name",
  }),
  E_METHOD_EXISTS: (name: string, what: string) => ({
    message: `the name "${name}" is taken`,
    place: what,
    expected: "a name of no method, optimizer or loss, and of no file that is there already",
    got: what,
    next: "choose another name",
  }),
  E_METHOD_PLACE: (folder: string) => ({
    message: "this folder is not a checkout of peft-compile",
    place: folder,
    expected: "a folder with passes/adapters in it, or --out DIR for a method outside the package",
    got: folder,
    next: "add --out DIR; the file is then given to other verbs with --use",
  }),
  E_PRINTER_MISSING: (reason: string) => ({
    message: "the package that writes TypeScript is not there",
    expected: "ts-morph, which only this verb loads",
    got: reason,
    next: "npm install --save-dev ts-morph",
  }),
  E_CONFLICT: (one: string, other: string, reason: string) => ({
    message: `${one} and ${other} cannot be used together: ${reason}`,
    place: `${one}, ${other}`,
    expected: "one of the two",
    got: "both",
    next: `leave out ${one} or ${other}`,
  }),
  E_NAME_UNKNOWN: (kind: string, name: string, near: readonly string[], command: string) => ({
    message: `there is no ${kind} "${name}"`,
    expected: `a name that \`${command}\` lists`,
    got: `"${name}"`,
    next: near.length > 0 ? `did you mean ${listed(near)}?` : `list them with: ${command}`,
  }),
  E_JOBS: (file: string, place: string, expected: string, got: string) => ({
    message: "the file of jobs cannot be used",
    place: place === "" ? file : `${file}, ${place}`,
    expected,
    got,
    next: 'write it as [{"model": "m.onnx", "of": ["y"], "wrt": ["x"], "out": "g.onnx"}]',
  }),
});
