/** What every model of ONNX's backend tests is put through. */
import { readFileSync } from "node:fs";
import { runPasses } from "../../src/compile/passes.ts";
import { preparePipeline } from "../../src/compile/prepare.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import type { Model } from "../../src/ir/model.ts";
import { formatType } from "../../src/ir/type.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import type { NDArray } from "../../src/ops/ndarray.ts";
import { isDeterministic } from "../../src/ops/traits.ts";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";
import { difference } from "../harness/compare.ts";
import { narrowest, runtimeTolerance, type Tolerance } from "../harness/tolerance.ts";
import type { BackendCase } from "./cases.ts";
import { checkProjection, evaluateOrSkip, largest } from "./projection.ts";
import { NotRun, runBytes, runIfPossible, Skipped } from "./session.ts";

/** One check of one case. `refused` is a diagnostic, `skipped` says why there was nothing to check. */
export interface Outcome {
  readonly check: string;
  readonly status: "passed" | "refused" | "skipped" | "failed";
  /** What to group by: few words, the same for the same reason. */
  readonly cause: string;
  readonly detail: string;
}

/** Results of other builds and other rounding, as ONNX's own runner takes them. */
const published: Tolerance = { absolute: 1e-5, relative: 1e-3 };
const identical: Tolerance = { absolute: 0, relative: 0 };

/** The newest IR version that the runtime loads. */
const newestIrVersion = 13;

/** The model under the newest IR version that the runtime loads: the header says it first, in two bytes. */
function limitIrVersion(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 8 && (bytes[1] ?? 0) > newestIrVersion ? bytes.with(1, newestIrVersion) : bytes;
}

/** Runs every check on a case. */
export async function checkCase(given: BackendCase): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const record = async (check: string, run: () => Outcome["cause"] | Promise<string>): Promise<boolean> => {
    const outcome = await attempt(check, run);
    outcomes.push(outcome);
    return outcome.status === "passed";
  };
  const original = limitIrVersion(readFileSync(given.file));
  let model: Model | undefined;
  await record("read", () => {
    model = readModel(given.file);
    verifyModel(model);
    return "";
  });
  if (model === undefined) return outcomes;
  const feeds = feedsOf(model, given);
  await record("text", () => checkText(given.file));
  const wanted = await runOriginal(original, feeds, given);
  const compare = async (changed: Model, tolerance: Tolerance | undefined): Promise<string> => {
    if (typeof wanted === "string" || typeof feeds === "string") throw new Skipped(String(wanted));
    changed.irVersion = Math.min(changed.irVersion, newestIrVersion);
    const got = await runIfPossible(encodeModel(changed), feeds);
    return compareAll(got, wanted.outputs, wanted.published ? published : tolerance);
  };
  await record("written again", () => {
    if (typeof wanted !== "string" && wanted.published)
      throw new Skipped("the runtime does not load the original's opset");
    return compare(readModel(given.file), identical);
  });
  await record("upgraded", () => {
    const changed = readModel(given.file);
    runPasses(changed, "inline-functions,upgrade-opset", { verifyEach: true });
    return compare(changed, undefined);
  });
  await record("prepared", () => {
    const changed = readModel(given.file);
    runPasses(changed, preparePipeline, { verifyEach: true });
    return compare(changed, undefined);
  });
  await record("evaluated", () => {
    if (typeof wanted === "string" || typeof feeds === "string") throw new Skipped(String(wanted));
    return checkEvaluation(given, feeds, wanted);
  });
  await record("gradient", () => checkProjection(given.file, feeds));
  return outcomes;
}

async function attempt(check: string, run: () => string | Promise<string>): Promise<Outcome> {
  try {
    const problem = await run();
    if (problem === "") return { check, status: "passed", cause: "", detail: "" };
    return { check, status: "failed", cause: causeOf(problem), detail: problem };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    if (error instanceof Skipped) return { check, status: "skipped", cause: causeOf(detail), detail };
    if (error instanceof DiagnosticError) {
      const [{ code, place = "", got }] = error.diagnostics;
      return {
        check,
        status: "refused",
        cause: `${code} ${place.replace(/"[^"]*"/g, "")}`,
        detail: `${detail} ${got}`,
      };
    }
    return { check, status: "failed", cause: causeOf(detail), detail };
  }
}

/** The part of a message that does not depend on the case. */
function causeOf(message: string): string {
  return message
    .replace(/\n.*/s, "")
    .replace(/"[^"]*"|'[^']*'/g, "_")
    .replace(/-?\d+(\.\d+)?(e[-+]\d+)?/g, "#")
    .slice(0, 110);
}

function checkText(file: string): string {
  const text = printModel(readModel(file));
  return printModel(parseModel(text, { file })) === text ? "" : "the text of the parsed text differs";
}

/** Arrays by the names of the graph's inputs, or why there are none. */
function feedsOf(model: Model, { inputs }: BackendCase): Map<string, NDArray> | string {
  const open = model.graph.inputs.filter(({ initializer }) => initializer === undefined);
  if (inputs.length < open.length) return "no data";
  const feeds = new Map<string, NDArray>();
  for (const [index, input] of model.graph.inputs.entries()) {
    if (index >= inputs.length) break;
    const array = inputs[index];
    if (array === undefined) return "an operand is no tensor, or of a type without arithmetic";
    feeds.set(input.name, array);
  }
  return feeds;
}

interface Wanted {
  readonly outputs: readonly NDArray[];
  /** They come from the case's makers, since the runtime does not run the original. */
  readonly published: boolean;
}

async function runOriginal(
  bytes: Uint8Array,
  feeds: Map<string, NDArray> | string,
  { outputs }: BackendCase,
): Promise<Wanted | string> {
  if (typeof feeds === "string") return feeds;
  try {
    return { outputs: await runBytes(bytes, feeds), published: false };
  } catch (error) {
    if (!(error instanceof NotRun)) throw error;
    const known = outputs.filter((output) => output !== undefined);
    if (
      /ValidateOpsetForDomain|is not a registered function/.test(error.message) &&
      known.length > 0 &&
      known.length === outputs.length
    )
      return { outputs: known, published: true };
    return `the runtime does not run the original: ${error.message}`;
  }
}

/** The evaluator against the runtime, and types that are inferred from those of operands alone. */
function checkEvaluation(
  given: BackendCase,
  feeds: ReadonlyMap<string, NDArray>,
  { outputs, published: rough }: Wanted,
): string {
  const model = readModel(given.file);
  for (const node of model.graph.allNodes()) {
    for (const output of node.outputs) if (output !== null) output.type = undefined;
  }
  runPasses(model, "inline-functions,upgrade-opset,lift-constants,infer-shapes");
  if (![...model.graph.allNodes()].every(isDeterministic)) throw new Skipped("it draws random numbers");
  for (const [index, { name, type }] of model.graph.outputs.entries()) {
    const array = outputs[index];
    if (array === undefined || type === undefined) continue;
    const same =
      type.kind === "tensor" &&
      type.dtype === array.dtype &&
      (type.shape === undefined ||
        (type.shape.length === array.rank &&
          type.shape.every((dim, axis) => typeof dim !== "number" || dim === array.shape[axis])));
    if (!same) return `inferred ${formatType(type)} of ${name}, which is ${array.dtype}[${array.shape}]`;
  }
  const arrays = evaluateOrSkip(model, feeds);
  const problem = compareAll(arrays, outputs, rough ? published : undefined);
  const told = given.outputs.filter((output) => output !== undefined);
  // Where the runtime strays from what the case's makers say, they are right.
  const strays = told.length === outputs.length && compareAll(outputs, told, published) !== "";
  return problem !== "" && strays ? compareAll(arrays, told, published) : problem;
}

function compareAll(
  got: readonly NDArray[],
  wanted: readonly NDArray[],
  tolerance: Tolerance | undefined,
): string {
  if (got.length !== wanted.length) return `${got.length} outputs instead of ${wanted.length}`;
  const precision = narrowest(wanted.map(({ dtype }) => dtype));
  for (const [index, expected] of wanted.entries()) {
    const actual = got[index];
    if (actual === undefined) return `output ${index} is missing`;
    const bound =
      tolerance ??
      runtimeTolerance(expected.dtype.startsWith("float") ? (precision ?? expected.dtype) : expected.dtype);
    const found = difference(actual, expected, {
      absolute: bound.absolute * largest(expected),
      relative: Math.max(
        bound.relative,
        tolerance === published ? runtimeTolerance(expected.dtype).relative : 0,
      ),
    });
    if (found !== undefined) return `output ${index}: ${found}`;
  }
  return "";
}
