/** Diagnostics of writing and opening training artifacts. */
import { defineDiagnostics } from "./define.ts";

export const artifactErrors = defineDiagnostics({
  E_ARTIFACT_TRAINED: (folder: string) => ({
    message: "the folder holds training that compiling again would lose",
    place: folder,
    expected: "an empty folder, or an artifact without checkpoints",
    got: "checkpoints",
    next: "choose another folder with -o, or add --force to discard the training",
  }),
  E_ARTIFACT_SOURCE: () => ({
    message: "the model was not read from a file, so an artifact cannot point at its weights",
    place: "compile",
    expected: "a model that was read by path",
    got: "a model made from bytes",
    next: "write the model to a file first",
  }),
  E_ARTIFACT_ELSEWHERE: (file: string, folder: string) => ({
    message: "weights lie outside of the model's folder, where a link in it leads",
    place: file,
    expected: `a file below "${folder}", which is where the runtime looks`,
    got: "a file elsewhere",
    next: "copy model and weight files into one folder, links followed (cp -L), and compile that copy",
  }),
  E_ARTIFACT_CLASH: (file: string) => ({
    message: "a file of the source model has the name of a file of the artifact",
    place: file,
    expected: "two files",
    got: "one name for both",
    next: "choose another folder with -o, or rename the source",
  }),
});
