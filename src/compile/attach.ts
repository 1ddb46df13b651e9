/** Puts adapter folders into a model for inference: one or several at once, or one for each row of a batch. */

import { z } from "zod";
import { bindAdapter, requireAdapter } from "../../passes/adapt.ts";
import { attachAdapter } from "../adapt/attach.ts";
import { choosePlaces } from "../adapt/places.ts";
import { basePath, isInsideSaved } from "../adapt/select.ts";
import {
  adapterField,
  baseName,
  type Choice,
  expertsOf,
  type Member,
  memberKey,
  severalAdapters,
} from "../adapt/several.ts";
import { targetOptions } from "../adapt/targets.ts";
import { findHead, findSites, type Site } from "../analysis/sites.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { InternalError } from "../diagnostics/define.ts";
import { peftErrors } from "../diagnostics/peft.ts";
import { cloneModel } from "../ir/clone.ts";
import { type Dim, symbol } from "../ir/dim.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model } from "../ir/model.ts";
import { assignNames } from "../ir/names.ts";
import { roleFact, setRole, withRole } from "../ir/role.ts";
import { verifyModel } from "../ir/verify.ts";
import { resolveOptions } from "../pass/options.ts";
import { logitsOutput } from "../training/tasks.ts";
import { runPasses } from "./passes.ts";
import { peftFacts } from "./peft-facts.ts";
import { type PeftFolder, readPeftFolder } from "./peft-folder.ts";
import { preparePipeline } from "./prepare.ts";
import { startFrom } from "./start-from.ts";

/** An adapter folder under the name that it has in the model. */
export interface NamedAdapter {
  readonly name: string;
  readonly folder: string;
}

export interface AttachOptions {
  /**
   * Names of the adapters that act, all at once, `[]` for none. Absent: the model gets an input `adapter_names`, int64 [rows], with
   * the number of each row's adapter, counted from 1 in the order given, 0 for the base model.
   */
  readonly active?: readonly string[];
  /**
   * Lets each token choose among the active adapters, which are of one method, by options that the method has for it: `{ top_k: 2 }`
   * for LoRA, under the names of PEFT's ArrowConfig.
   */
  readonly routing?: Readonly<Record<string, unknown>>;
  /** With routing: active adapters that are not chosen, whose mean is taken off those that are. */
  readonly general?: readonly string[];
}

const targeting = z.looseObject(targetOptions);

/**
 * A copy of the model with adapters inside, in the form in which models are compiled.
 *
 * @throws DiagnosticError `E_PEFT_*`, `E_ATTACH_*`, `E_ROWS_UNKNOWN`, and what `compile` finds wrong with an adapter.
 */
export function attachAdapters(
  source: Model,
  adapters: readonly NamedAdapter[],
  options: AttachOptions = {},
): Model {
  checkNames(adapters, options);
  const model = cloneModel(source);
  runPasses(model, preparePipeline);
  const { active } = options;
  const named = active === undefined ? adapters : active.map((name) => findNamed(adapters, name));
  if (named.length > 0) attach(model, named, options);
  // Not folded: what an adapter brought keeps its mark, and the runtime folds it anyway.
  runPasses(model, "canonicalize,cse,dce");
  assignNames(model, { nodes: true });
  verifyModel(model);
  return model;
}

function attach(model: Model, named: readonly NamedAdapter[], options: AttachOptions): void {
  const { graph } = model;
  const sites = findSites(graph);
  const folders = named.map(({ folder }) => readPeftFolder(folder));
  const members = named.map((each, i) => memberOf(graph, each, folderAt(folders, i), sites));
  const choice = choiceOf(graph, members, folders, options);
  for (const member of members) checkMember(member, members, choice);
  const adapter = severalAdapters(members, choice);
  const touched = members.flatMap((member) => [...member.sites, ...member.saved]);
  const all = sites.filter(({ path }) => touched.some((site) => site.path === path));
  attachAdapter(graph, adapter, all, { opset: model.opset, seed: 0 });
  members.forEach((member, i) => {
    const folder = folderAt(folders, i);
    const tensors = new Map(
      [...folder.tensors].map(([key, tensor]) => [memberKey(key, member.name), tensor]),
    );
    const isOwn = (key: string): boolean => key.endsWith(`.${member.name}`);
    startFrom(graph, member.adapter, { file: folder.file, tensors }, isOwn);
    checkLeft(graph, member, folder);
  });
  for (const input of withRole(graph.inputs, "param")) {
    if (input.initializer === undefined) throw new InternalError(`"${input.name}" has no value`);
    // Marked as no module's weight, and not named like one, so that the model can be adapted again.
    const name = `adapters/${input.name.replaceAll(".", "/")}`;
    input.replaceUses(setRole(graph.addInitializer(input.initializer, name), "frozen"));
    graph.removeInput(input);
  }
  const field = graph.inputs.find(({ name }) => name === adapterField);
  const names = [baseName, ...named.map(({ name }) => name)].join();
  if (field !== undefined)
    setRole(field, "batch", { field: adapterField, below: String(named.length + 1), names });
}

function choiceOf(
  graph: Graph,
  members: readonly Member[],
  folders: readonly PeftFolder[],
  { active, routing: given, general = [] }: AttachOptions,
): Choice {
  if (active === undefined) return { kind: "rows", rows: rowsOf(graph) };
  if (given === undefined) return { kind: "together" };
  const { method } = folderAt(folders, 0);
  const { routing } = requireAdapter(method);
  const other = members.find(({ adapter }) => adapter.name !== method);
  if (routing === undefined || other !== undefined) {
    const reason = `tokens choose among adapters of one method that says how, not of ${other?.adapter.name ?? method}`;
    throw adaptErrors.E_ATTACH_REFUSED(method, other?.name ?? method, reason);
  }
  return { kind: "tokens", routing, options: resolveOptions("routing", routing.options, given), general };
}

function folderAt(folders: readonly PeftFolder[], index: number): PeftFolder {
  const folder = folders[index];
  if (folder === undefined) throw new InternalError("an adapter has no folder");
  return folder;
}

function memberOf(
  graph: Graph,
  { name, folder }: NamedAdapter,
  { method, options }: PeftFolder,
  sites: readonly Site[],
): Member {
  const adapter = bindAdapter(method, options);
  const refuse = (reason: string): never => {
    throw adaptErrors.E_ATTACH_REFUSED(folder, name, reason);
  };
  if (adapter.structure !== undefined)
    return refuse(`${method} changes the structure of the model, not its modules`);
  if (adapter.companions.length > 0 || adapter.tied !== "none")
    return refuse("what it changes of a table, the output layer that is tied to it shares");
  const { bias = "none" } = adapter.options;
  if (bias !== "none") return refuse("it brings biases of the base model, of which there is one set for all");
  const logits = logitsOutput(graph);
  const head = logits === undefined ? undefined : findHead(sites, logits);
  const targets = targeting.parse(adapter.options);
  const places = choosePlaces(graph, adapter, targets, { sites, head, model: "the model" });
  if (places.kind !== "modules") throw new InternalError(`${method} adapts no modules`);
  const saved = sites.filter((site) => isInsideSaved(targets.modules_to_save ?? [], basePath(site)));
  return { name, adapter, sites: places.sites, saved };
}

function checkMember({ name, adapter, sites, saved }: Member, all: readonly Member[], choice: Choice): void {
  const { kind } = choice;
  const refuse = (reason: string): never => {
    throw adaptErrors.E_ATTACH_REFUSED(name, name, reason);
  };
  if (choice.kind === "tokens") {
    if (saved.length > 0) refuse(`"${saved[0]?.path}" is trained whole, which no token can choose`);
    for (const site of sites) {
      const lacking = all.find((other) => !other.sites.some(({ path }) => path === site.path));
      if (lacking !== undefined) refuse(`"${lacking.name}" does not adapt "${site.path}"`);
      const verdict = choice.routing.accepts(site, expertsOf(all, choice), choice.options);
      if (verdict !== true) refuse(verdict);
    }
    return;
  }
  if (kind === "rows" && adapter.mixesRows !== undefined) refuse(adapter.mixesRows);
  if (kind === "rows" || all.length < 2) return;
  if (!adapter.stacks)
    refuse(`${adapter.name} does not say what its update is beside that of another adapter`);
  const shared = saved.find(({ path }) =>
    all.some((other) => other.name !== name && other.saved.some((site) => site.path === path)),
  );
  if (shared !== undefined) refuse(`"${shared.path}" is in more than one of them, trained whole`);
}

/** Everything in the folder has to have found its place. */
function checkLeft(graph: Graph, { name, adapter, sites }: Member, { tensors, file }: PeftFolder): void {
  const used = new Set([...graph.inputs, ...graph.initializers].map((value) => roleFact(value, "key")));
  const { aliases } = peftFacts(adapter, sites, tensors);
  for (const key of tensors.keys()) {
    // Copies of the base model's own tables, which PEFT adds.
    if (used.has(memberKey(key, name)) || key in aliases || key.endsWith(".base_layer.weight")) continue;
    throw adaptErrors.E_ATTACH_LEFT(file, key);
  }
}

/** The axis of rows: the first one of the first input. */
function rowsOf(graph: Graph): Dim {
  const first = graph.inputs.find((input) => input.initializer === undefined)?.tensorType?.shape?.[0];
  return first ?? symbol("batch");
}

function checkNames(adapters: readonly NamedAdapter[], { active = [], general = [] }: AttachOptions): void {
  const names = adapters.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw peftErrors.E_ATTACH_NAME(twice, "a name that is given once", names);
  const bad = names.find((name) => name === baseName || !/^[^\s,=]+$/.test(name));
  if (bad !== undefined) throw peftErrors.E_ATTACH_NAME(bad, `a word other than ${baseName}`, names);
  for (const name of [...active, ...general]) findNamed(adapters, name);
}

function findNamed(adapters: readonly NamedAdapter[], name: string): NamedAdapter {
  const found = adapters.find((each) => each.name === name);
  if (found !== undefined) return found;
  const names = adapters.map((each) => each.name);
  throw peftErrors.E_ATTACH_NAME(name, "the name of one of the adapters", names);
}
