/** The conformance suite: what holds of every method, checked on every kind of site that it takes. */
import { adapters } from "../../passes/adapters/index.ts";
import type { Adapter } from "../adapt/define.ts";
import { findAdapter, registerAdapter } from "../adapt/registry.ts";
import { DiagnosticError } from "../diagnostics/define.ts";
import type { GivenOptions } from "../pass/options.ts";
import { type Check, ConformanceError } from "./check.ts";
import { finiteAtBounds, refusesBadValues } from "./checks/bounds.ts";
import { dropoutByRate } from "./checks/dropout.ts";
import { folderRoundTrip } from "./checks/folder.ts";
import { gradientOfLoss } from "./checks/gradient.ts";
import { mergedModel } from "./checks/merge.ts";
import { inBfloat16, inFloat16, inFloat32 } from "./checks/precision.ts";
import { twoRanks } from "./checks/ranks.ts";
import { recomputes } from "./checks/recompute.ts";
import { resumes } from "./checks/resume.ts";
import { identityAtStart, sameFromSeed } from "./checks/start.ts";
import { baseUntouched, everyTensorCounts, trainsDeclared } from "./checks/trained.ts";
import { unmergedModel } from "./checks/unmerge.ts";
import { variations } from "./options.ts";
import { type Probe, probes } from "./probes.ts";
import { compileSubject, fitSubject, type Subject } from "./subject.ts";

/** Every check, in the order in which they are made. */
const checks: readonly Check[] = [
  refusesBadValues,
  finiteAtBounds,
  trainsDeclared,
  baseUntouched,
  sameFromSeed,
  identityAtStart,
  gradientOfLoss,
  everyTensorCounts,
  mergedModel,
  unmergedModel,
  recomputes,
  folderRoundTrip,
  inFloat32,
  inFloat16,
  inBfloat16,
  twoRanks,
  dropoutByRate,
  resumes,
];

/** Those that options can break one by one. */
const checksOfOptions: ReadonlySet<Check> = new Set([
  trainsDeclared,
  identityAtStart,
  gradientOfLoss,
  mergedModel,
  unmergedModel,
  folderRoundTrip,
  inFloat32,
]);

/** Those that take most of the time. */
const slowChecks: ReadonlySet<Check> = new Set([finiteAtBounds, inFloat16, inBfloat16, resumes]);

/** A check of a method on one model. */
export interface ConformanceCase {
  readonly method: string;
  /** Name of the model, and below it with what is varied. */
  readonly model: string;
  readonly site: string;
  readonly check: string;
  /**
   * @returns why the check does not apply, where it does not.
   * @throws ConformanceError where it fails.
   */
  readonly run: () => Promise<string | undefined>;
}

/** What is checked. */
export interface ConformanceOptions {
  /** Options that the method cannot do without; smaller sizes than its defaults are found without being given. */
  readonly options?: GivenOptions;
  /**
   * `quick`: the first model that the method takes, without the checks that take most of the time. `first`: that model. `sites`:
   * every model. `all`: that, and the first model with each option varied.
   */
  readonly extent?: "quick" | "first" | "sites" | "all";
}

/** The cases of a method, which is made known by its name. Sites that it refuses have none. */
export function conformanceCases(
  method: Adapter,
  { options = {}, extent = "all" }: ConformanceOptions = {},
): ConformanceCase[] {
  if (findAdapter(method.name, adapters) !== method) registerAdapter(method);
  const fitting = probesOf(method)
    .map((probe) => fitSubject(method, probe, options))
    .filter((subject) => typeof subject !== "string");
  const [first, ...others] = fitting;
  if (first === undefined) throw new ConformanceError(refusals(method, options));
  const own = extent === "quick" ? checks.filter((check) => !slowChecks.has(check)) : checks;
  const cases = own.map((check) => caseOf(first, check));
  if (extent === "quick" || extent === "first") return cases;
  const ofSites = checks.filter(({ per }) => per === "site");
  cases.push(...others.flatMap((subject) => ofSites.map((check) => caseOf(subject, check))));
  if (extent === "sites") return cases;
  for (const varied of variations(method)) {
    const subject = { ...first, options: { ...first.options, ...varied } };
    const title = `${first.probe.name} with ${JSON.stringify(varied)}`;
    for (const check of checks) if (checksOfOptions.has(check)) cases.push(caseOf(subject, check, title));
  }
  return cases;
}

/** Models with sites that the method takes; all, where it trains parameters of the base model alone. */
function probesOf({ sites }: Adapter): readonly Probe[] {
  return sites.length === 0 ? probes : probes.filter(({ kind }) => sites.includes(kind));
}

function refusals(method: Adapter, options: GivenOptions): string {
  const reasons = probesOf(method).map(
    (probe) => `${probe.name}: ${String(fitSubject(method, probe, options))}`,
  );
  return `${method.name} takes none of the models of the suite; give the options that it needs\n${reasons.join("\n")}`;
}

function caseOf(subject: Subject, check: Check, site = subject.probe.name): ConformanceCase {
  const { method } = subject;
  const run = async (): Promise<string | undefined> => {
    const refused = refusal(subject);
    return refused ?? (await check.run(subject)) ?? undefined;
  };
  return { method: method.name, model: subject.probe.name, site, check: check.name, run };
}

/** Why a varied option is refused; nothing where it is not. */
function refusal(subject: Subject): string | undefined {
  try {
    compileSubject(subject);
    return undefined;
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics[0].message;
    throw error;
  }
}

/** What came of {@link checkMethod}. */
export interface ConformanceReport {
  readonly passed: number;
  /** Models of the suite that the method takes. */
  readonly sites: number;
  /** Cases that do not apply, with the reason. */
  readonly inapplicable: readonly string[];
}

/**
 * Checks a method by all that is known of methods: options, starting values, gradients, merging, folders, precisions, data
 * parallelism, dropout, resuming. One call is a whole test.
 *
 * @example
 * import { checkMethod } from "peft-compile/conformance";
 * import mine from "./mine.ts";
 * test("mine", () => checkMethod(mine));
 *
 * @throws ConformanceError with a line for each case that fails.
 */
export async function checkMethod(
  method: Adapter,
  options: ConformanceOptions = {},
): Promise<ConformanceReport> {
  const failures: string[] = [];
  const inapplicable: string[] = [];
  const sites = new Set<string>();
  let passed = 0;
  for (const { site, model, check, run } of conformanceCases(method, options)) {
    sites.add(model);
    try {
      const reason = await run();
      if (reason === undefined) passed += 1;
      else inapplicable.push(`${site}: ${check}: ${reason}`);
    } catch (error) {
      failures.push(`${site}: ${check}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (failures.length > 0) throw new ConformanceError(`${method.name}: ${failures.join("\n")}`);
  return { passed, sites: sites.size, inapplicable };
}
