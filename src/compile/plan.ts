/** Decides what a request leaves open: the task and its loss, the modules trained whole, the sites. */
import { z } from "zod";
import { bindAdapter, requireAdapter } from "../../passes/adapt.ts";
import type { BoundAdapter } from "../adapt/define.ts";
import { allSites, choosePlaces } from "../adapt/places.ts";
import { basePath, isInsideSaved } from "../adapt/select.ts";
import { isAllLinear, targetOptions } from "../adapt/targets.ts";
import { type AnySite, findHead, findSites, type Site } from "../analysis/sites.ts";
import { linkTied } from "../analysis/tied-sites.ts";
import { isPositionTable } from "../analysis/token-streams.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model } from "../ir/model.ts";
import {
  headNames,
  inferTask,
  logitsOutput,
  lossOutput,
  type TaskName,
  taskLoss,
  tasksWithHead,
} from "../training/tasks.ts";
import type { CompileSettings } from "./request.ts";

/** What is going to be built. */
export interface TrainingPlan {
  readonly task: TaskName;
  /** Why `auto` chose the task; undefined where the user did. */
  readonly reason: string | undefined;
  readonly loss: {
    readonly name: string;
    readonly options: Readonly<Record<string, unknown>>;
    readonly logits: string;
  };
  readonly numLabels: number | undefined;
  /** Rows of the table of learned positions: inputs cannot be longer. */
  readonly maxPositions: number | undefined;
  /** Parsed options of the method, modules_to_save as decided. */
  readonly methodOptions: Readonly<Record<string, unknown>>;
  readonly adapter: BoundAdapter;
  readonly sites: readonly AnySite[];
  readonly saved: readonly string[];
  /** Output layers that have the weight of a table that is trained whole, by the path in `tiedTo`. */
  readonly followers: readonly Site[];
}

const targeting = z.looseObject(targetOptions);

/**
 * Makes the plan for a prepared model.
 *
 * @throws DiagnosticError for unknown methods, bad options, and targets that match nothing.
 */
export function planTraining(model: Model, settings: CompileSettings): TrainingPlan {
  const { graph } = model;
  const sites = findSites(graph);
  const choice = settings.task === "auto" ? inferTask(graph, sites) : { task: settings.task };
  const logits = logitsOutput(graph);
  const head = logits === undefined ? undefined : findHead(sites, logits);
  const saved = modulesToSave(settings, choice.task, sites, head);
  const given = settings.method.options;
  const takesSaved = "modules_to_save" in requireAdapter(settings.method.name).options.shape;
  const methodOptions = {
    ...given,
    ...(saved === undefined || !takesSaved ? {} : { modules_to_save: saved }),
  };
  const adapter = bindAdapter(settings.method.name, methodOptions);
  const targets = targeting.parse(adapter.options);
  const places = choosePlaces(graph, adapter, targets, { sites, head, model: "the model" });
  const columns = logits?.tensorType?.shape?.at(-1);
  const numLabels = typeof columns === "number" ? columns : undefined;
  return {
    task: choice.task,
    reason: "reason" in choice ? choice.reason : undefined,
    loss: methodLoss(settings, choice.task, adapter) ?? planLoss(settings, graph, choice.task, numLabels),
    numLabels,
    maxPositions: positionsLeft(positionRows(sites), adapter),
    methodOptions,
    adapter,
    sites: allSites(places),
    saved: targets.modules_to_save ?? [],
    followers: followersOf(adapter, sites, targets.modules_to_save ?? []),
  };
}

function followersOf({ tied }: BoundAdapter, sites: readonly Site[], saved: readonly string[]): Site[] {
  if (tied !== "both" || saved.length === 0) return [];
  return linkTied(sites).filter(
    ({ tiedTo, ...site }) =>
      tiedTo !== undefined && [tiedTo, basePath(site)].some((path) => isInsideSaved(saved, path)),
  );
}

/** Virtual tokens take positions from real ones. */
function positionsLeft(rows: number | undefined, { structure }: BoundAdapter): number | undefined {
  return rows === undefined ? undefined : rows - (structure?.virtualTokens ?? 0);
}

function positionRows(sites: readonly Site[]): number | undefined {
  const tables = sites.flatMap((site) =>
    site.kind === "embedding" && isPositionTable(basePath(site)) ? [site.rows] : [],
  );
  return tables.length === 0 ? undefined : Math.min(...tables);
}

/**
 * What the user says, else what PEFT does for the task: its usual head names, or our head where it has another. Undefined
 * leaves the method's own option as it is.
 */
function modulesToSave(
  settings: CompileSettings,
  task: TaskName,
  sites: readonly Site[],
  head: Site | undefined,
): readonly string[] | null | undefined {
  const given = settings.method.options.modules_to_save ?? undefined;
  // None at all also where the method's options, such as those of an adapter folder, name some.
  if (settings.modulesToSave?.length === 0) return given === undefined ? undefined : null;
  if (settings.modulesToSave !== undefined) return settings.modulesToSave;
  if (given !== undefined) return undefined;
  if (!tasksWithHead.has(task)) return undefined;
  // Where nothing but the head could be adapted, all-linear adapts it: training it whole would leave nothing.
  const isInner = (site: Site): boolean =>
    site.kind !== "embedding" &&
    site.kind !== "norm" &&
    site !== head &&
    !headNames.some((name) => basePath(site).endsWith(name));
  if (wantsAllLinear(settings) && !sites.some(isInner)) return undefined;
  // A head of quantised numbers cannot be trained, and stays as it is.
  const isHead = (site: Site): boolean =>
    site === head || headNames.some((name) => basePath(site).endsWith(name));
  if (sites.some((site) => isHead(site) && site.weight.quantized !== undefined)) return undefined;
  if (sites.some((site) => headNames.some((name) => basePath(site).endsWith(name)))) return headNames;
  return head === undefined ? undefined : [basePath(head)];
}

function wantsAllLinear({ method }: CompileSettings): boolean {
  const targets = method.options.target_modules;
  return typeof targets === "string" && isAllLinear(targets);
}

/** The loss that a method has of its own, unless the user names one. */
function methodLoss(
  { loss: given }: CompileSettings,
  task: TaskName,
  { name, structure }: BoundAdapter,
): TrainingPlan["loss"] | undefined {
  const loss = structure?.loss;
  if (loss === undefined || given !== undefined) return undefined;
  if (loss.task !== task) throw adaptErrors.E_METHOD_TASK(name, loss.task, task);
  return { name: loss.name, options: loss.options, logits: "" };
}

function planLoss(
  settings: CompileSettings,
  graph: Graph,
  task: TaskName,
  columns: number | undefined,
): TrainingPlan["loss"] {
  const usual = taskLoss(task, columns);
  if (settings.loss !== undefined) {
    // Options that the task sets, such as the shift of a language model, hold where the loss is its own.
    if (settings.loss.name !== usual.loss) return settings.loss;
    return { ...settings.loss, options: { ...usual.options, ...settings.loss.options } };
  }
  const existing = lossOutput(graph);
  if (existing !== undefined && settings.task === "auto")
    return { name: "existing", options: {}, logits: existing.name };
  return { name: usual.loss, options: usual.options, logits: task === "feature" ? "*" : "" };
}
