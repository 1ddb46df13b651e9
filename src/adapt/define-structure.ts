/** The contract of methods that change the structure of a model: virtual tokens, and changes of attention and decoder blocks. */
import type { z } from "zod";
import type { AttentionSite } from "../analysis/attention-sites.ts";
import type { BlockSite } from "../analysis/decoder-blocks.ts";
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

/** What a method of decoder blocks is given beside hidden states, [batch, sequence, width]. */
export interface BlockContext<O, K extends string> extends StructureContext<O, K> {
  readonly site: BlockSite;
}

/** What the state beside the hidden states starts from. */
export interface SeedContext<O, K extends string> extends StructureContext<O, K> {
  readonly sites: readonly BlockSite[];
  /**
   * What the decoder would yield behind its last norm if it had the first `count` of its blocks alone, and other parameters: of
   * the module of a path, by its own layout.
   */
  readonly mirror: (count: number, parameter: (module: string, name: string) => Value) => Value;
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
  T extends PromptSite | AttentionSite | BlockSite,
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
  /** Tensors of each place, whose keys follow its module path; `sites` are all, in execution order. */
  readonly parameters?: (
    site: T,
    options: z.output<S>,
    sites: readonly T[],
  ) => Readonly<Record<K, ParameterSpec>>;
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

/** A method that carries a state of its own along the hidden states, from block to block. */
export interface BlockSpec<S extends z.ZodObject, K extends string>
  extends StructureSpec<S, K, never, BlockSite> {
  /** The state before the first adapted block. */
  readonly seed: (context: SeedContext<z.output<S>, K>) => Value;
  /** What a block reads in place of the hidden states. */
  readonly inject: (context: BlockContext<z.output<S>, K>, hidden: Value, state: Value) => Value;
  /** The state behind a block, of what it yields and the state before; not asked for behind the last one. */
  readonly advance: (context: BlockContext<z.output<S>, K>, hidden: Value, state: Value) => Value;
  /** Weight in the loss of what the head of the model makes of the first state; 0 for none. */
  readonly seedLoss: (options: z.output<S>) => number;
}

/** A method of this kind with its options parsed, as shared code works with it. */
export type Structure = PromptStructure | AttentionStructure | BlockStructure;

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

export interface BlockStructure extends StructureBase {
  readonly kind: "block";
  readonly seedLoss: number;
  choose(sites: readonly BlockSite[]): readonly BlockSite[] | string;
  seed(context: Omit<SeedContext<unknown, string>, "options">): Value;
  inject(context: Omit<BlockContext<unknown, string>, "options">, hidden: Value, state: Value): Value;
  advance(context: Omit<BlockContext<unknown, string>, "options">, hidden: Value, state: Value): Value;
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

/** Declares a method that changes blocks of a decoder, the default export of its file. */
export function defineBlockMethod<S extends z.ZodObject, K extends string>(
  spec: BlockSpec<S, K>,
): Adapter<S> {
  return define(spec, "block", isBlock, (options) => ({
    kind: "block",
    bare: spec.bare,
    virtualTokens: spec.virtualTokens?.(options) ?? 0,
    loss: spec.loss?.(options),
    seedLoss: spec.seedLoss(options),
    derive: () => ({}),
    choose: (sites) => spec.choose?.(sites, options) ?? sites,
    seed: (context) => spec.seed({ ...context, options }),
    inject: (context, hidden, state) => spec.inject({ ...context, options }, hidden, state),
    advance: (context, hidden, state) => spec.advance({ ...context, options }, hidden, state),
  }));
}

/** As for inference. */
function plainTools(b: OpBuilder): DeriveTools {
  return { b, dropout: (x) => x };
}

const isPrompt = (site: AnySite): site is PromptSite => site.kind === "prompt";
const isBlock = (site: AnySite): site is BlockSite => site.kind === "block";
const isAttention = (site: AnySite): site is AttentionSite => site.kind === "attention";

function define<
  S extends z.ZodObject,
  K extends string,
  D extends string,
  T extends PromptSite | AttentionSite | BlockSite,
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
    routing: undefined,
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
        parameters: (site, sites) => keyed(spec.parameters?.(own(site), options, sites.map(own)) ?? {}),
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
        unmerge: () => notWeights,
      };
    },
  };
}
