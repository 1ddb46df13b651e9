/** The contract of methods that change the structure of a model: virtual tokens, and changes of attention blocks. */
import type { z } from "zod";
import type { AttentionSite } from "../analysis/attention-sites.ts";
import type { AnySite } from "../analysis/sites.ts";
import type { PromptSite } from "../analysis/token-streams.ts";
import { InternalError } from "../diagnostics/define.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "../ops/builder.ts";
import type { TaskName } from "../training/tasks.ts";
import { bindHook, type UpdateHook } from "../training/update-hook.ts";
import type { Adapter, BatchField, ParameterSpec } from "./define.ts";

/** What `build` is given beside the site. */
interface StructureContext<O, K extends string> {
  readonly params: Readonly<Record<K, Value>>;
  readonly options: O;
  readonly b: OpBuilder;
  readonly dropout: (x: Value, p: number) => Value;
  readonly field: BatchField;
}

/** What values are derived with. */
export type DeriveTools = Pick<StructureContext<unknown, never>, "b" | "dropout">;

export interface PromptContext<O, K extends string> extends StructureContext<O, K> {
  readonly site: PromptSite;
}

export interface AttentionContext<O, K extends string> extends StructureContext<O, K> {
  readonly site: AttentionSite;
  /** Place among the adapted blocks, in execution order. */
  readonly index: number;
  /** Queries as they are scored, before any scaling, [batch, heads, sequence, head_dim]. */
  readonly query: () => Value;
  /** Keys and values that the block's own projections make of other tokens, [n, width]; without positions. */
  readonly project: (tokens: Value) => HeadPair;
}

/** Keys and values, each [1, stored heads, n, head_dim]. */
export interface HeadPair {
  readonly key: Value;
  readonly value: Value;
}

/** What a method changes of an attention block. */
export interface AttentionChange {
  /** Put before the keys and values of the block. */
  readonly prefix?: HeadPair;
  /** Added to the mixed values, [batch, heads, sequence, head_dim], before the output projection or behind it. */
  readonly update?: { readonly value: Value; readonly behindProjection: boolean };
}

/**
 * What both kinds of method say of themselves. `S` is the schema of the options, `K` the names of tensors, `D` those of what is
 * derived from them.
 */
interface StructureSpec<
  S extends z.ZodObject,
  K extends string,
  D extends string,
  T extends PromptSite | AttentionSite,
> {
  /** Name on the command line, in kebab case, equal to the file's. */
  readonly name: string;
  /** PEFT's `peft_type`. */
  readonly peftType: string;
  readonly summary: string;
  readonly formula: string;
  readonly paper: string;
  readonly options: S;
  /** Fields of PEFT's configuration that are not options here, with PEFT's defaults. */
  readonly peftConfig: Readonly<Record<string, unknown>>;
  readonly identityAtStart: (options: z.output<S>) => boolean;
  /** Which of the places found are adapted, all where absent; a reason where there is none. */
  readonly choose?: (sites: readonly T[], options: z.output<S>) => readonly T[] | string;
  /** Tensors of the whole model. Their keys do not depend on the places, of which there may be none here. */
  readonly shared?: (sites: readonly T[], options: z.output<S>) => Readonly<Record<K, ParameterSpec>>;
  /** Tensors of each place, whose keys follow its module path. */
  readonly parameters?: (site: T, options: z.output<S>) => Readonly<Record<K, ParameterSpec>>;
  /** Values that are computed once from the shared tensors and join `params`, such as the prompt that an encoder makes. */
  readonly derive?: (
    params: Readonly<Record<K, Value>>,
    options: z.output<S>,
    tools: DeriveTools,
  ) => Readonly<Record<D, Value>>;
  /** Number of virtual tokens, which take places among the positions that the model has. */
  readonly virtualTokens?: (options: z.output<S>) => number;
  /** Loss that takes the place of the task's own, which must be the one named. */
  readonly loss?: (options: z.output<S>) => MethodLoss;
  /** What it does around the optimizer's update of its tensors. */
  readonly hook?: (options: z.output<S>) => UpdateHook<z.output<S>, K, string>;
  /** As of methods of modules: what is held constant where it is differentiated. */
  readonly detaches?: (options: z.output<S>) => string | undefined;
  /** Whether PEFT wraps the model for its sake: its prompt methods have keys without prefix. */
  readonly bare: boolean;
  /** What a checkpoint holds beside the saved tensors, by key: what is made of those that are not saved. */
  readonly checkpoint?: (
    params: Readonly<Record<K | D, Value>>,
    options: z.output<S>,
    b: OpBuilder,
  ) => Readonly<Record<string, Value>>;
  /** The reverse, where it can be done: tensors under our keys from a checkpoint's. */
  readonly restore?: (
    tensors: ReadonlyMap<string, Tensor>,
    options: z.output<S>,
  ) => ReadonlyMap<string, Tensor>;
}

export interface PromptSpec<S extends z.ZodObject, K extends string, D extends string = never>
  extends StructureSpec<S, K, D, PromptSite> {
  /** Virtual tokens of a stream, [n, width] or [batch, n, width]. */
  readonly build: (context: PromptContext<z.output<S>, K | D>) => Value;
}

export interface AttentionSpec<S extends z.ZodObject, K extends string, D extends string = never>
  extends StructureSpec<S, K, D, AttentionSite> {
  /** What changes in a block. */
  readonly build: (context: AttentionContext<z.output<S>, K | D>) => AttentionChange;
}

/** A method of this kind with its options parsed, as shared code works with it. */
export type Structure = PromptStructure | AttentionStructure;

/** A loss by name, with its options, and the task that it is for. */
export interface MethodLoss {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly task: TaskName;
}

interface StructureBase {
  readonly loss: MethodLoss | undefined;
  readonly bare: boolean;
  readonly virtualTokens: number;
  derive(params: Readonly<Record<string, Value>>, tools: DeriveTools): Readonly<Record<string, Value>>;
}

export interface PromptStructure extends StructureBase {
  readonly kind: "prompt";
  choose(sites: readonly PromptSite[]): readonly PromptSite[] | string;
  build(context: Omit<PromptContext<unknown, string>, "options">): Value;
}

export interface AttentionStructure extends StructureBase {
  readonly kind: "attention";
  choose(sites: readonly AttentionSite[]): readonly AttentionSite[] | string;
  build(context: Omit<AttentionContext<unknown, string>, "options">): AttentionChange;
}

/** Why none of these methods is merged. */
export const notWeights =
  "it changes what the model computes, not a weight; `export --format onnx` writes the model with it inside";

/** Declares a method that puts virtual tokens before the real ones, the default export of its file. */
export function definePromptMethod<S extends z.ZodObject, K extends string, D extends string = never>(
  spec: PromptSpec<S, K, D>,
): Adapter<S> {
  return define(spec, "prompt", isPrompt, (options) => ({
    kind: "prompt",
    bare: spec.bare,
    virtualTokens: spec.virtualTokens?.(options) ?? 0,
    loss: spec.loss?.(options),
    derive: (params, tools) => spec.derive?.(params, options, tools) ?? {},
    choose: (sites) => spec.choose?.(sites, options) ?? sites,
    build: (context) => spec.build({ ...context, options }),
  }));
}

/** Declares a method that changes attention blocks, the default export of its file. */
export function defineAttentionMethod<S extends z.ZodObject, K extends string, D extends string = never>(
  spec: AttentionSpec<S, K, D>,
): Adapter<S> {
  return define(spec, "attention", isAttention, (options) => ({
    kind: "attention",
    bare: spec.bare,
    virtualTokens: spec.virtualTokens?.(options) ?? 0,
    loss: spec.loss?.(options),
    derive: (params, tools) => spec.derive?.(params, options, tools) ?? {},
    choose: (sites) => spec.choose?.(sites, options) ?? sites,
    build: (context) => spec.build({ ...context, options }),
  }));
}

/** As for inference. */
function plainTools(b: OpBuilder): DeriveTools {
  return { b, dropout: (x) => x };
}

const isPrompt = (site: AnySite): site is PromptSite => site.kind === "prompt";
const isAttention = (site: AnySite): site is AttentionSite => site.kind === "attention";

function define<
  S extends z.ZodObject,
  K extends string,
  D extends string,
  T extends PromptSite | AttentionSite,
>(
  spec: StructureSpec<S, K, D, T>,
  kind: T["kind"],
  takes: (site: AnySite) => site is T,
  structureOf: (options: z.output<S>) => Structure,
): Adapter<S> {
  const { name, peftType, summary, formula, paper, options: schema, peftConfig } = spec;
  const own = (site: AnySite): T => {
    if (takes(site)) return site;
    throw new InternalError(`${name} was given "${site.path}", which is of kind ${site.kind}`);
  };
  const keyed = (specs: Readonly<Record<string, ParameterSpec>>): Record<string, ParameterSpec> =>
    Object.fromEntries(Object.entries(specs).map(([key, each]) => [key, { ...each, bare: spec.bare }]));
  return {
    name,
    peftType,
    summary,
    formula,
    paper,
    options: schema,
    peftConfig,
    sites: [kind],
    combination: undefined,
    bind(given) {
      const options = schema.parse(given);
      const structure = structureOf(options);
      const hook = spec.hook?.(options);
      return {
        name,
        peftType,
        options,
        peftConfig,
        absentInPeft: [],
        notesConv1d: false,
        sites: [kind],
        identityAtStart: spec.identityAtStart(options),
        tied: "none",
        detaches: spec.detaches?.(options),
        mixesRows: undefined,
        stacks: false,
        unportable: {},
        companions: [],
        hook: hook === undefined ? undefined : bindHook(name, hook, options),
        structure,
        trainsWhole: () => false,
        accepts: (site) => (takes(site) ? true : `it is of kind ${site.kind}`),
        parameters: (site) => keyed(spec.parameters?.(own(site), options) ?? {}),
        shared: (sites) => keyed(spec.shared?.(sites.map(own), options) ?? {}),
        penalty: () => undefined,
        checkpoint: (params, b) => {
          const all: Readonly<Record<string, Value>> = {
            ...params,
            ...structure.derive(params, plainTools(b)),
          };
          return spec.checkpoint?.(all, options, b) ?? {};
        },
        dataStart: () => undefined,
        toPeft: (tensors) => ({ options, tensors }),
        restore: (tensors) => spec.restore?.(tensors, options) ?? tensors,
        build: () => {
          throw new InternalError(`${name} is not built from modules`);
        },
        merge: () => notWeights,
      };
    },
  };
}
