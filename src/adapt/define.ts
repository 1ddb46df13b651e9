/** The adapter contract: everything that a fine-tuning method says of itself, in one record per file. */
import type { z } from "zod";
import type { AnySite, AnySiteKind, Site, SiteKind } from "../analysis/sites.ts";
import { InternalError } from "../diagnostics/define.ts";
import type { Dim } from "../ir/dim.ts";
import type { DType } from "../ir/dtype.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "../ops/builder.ts";
import { type BoundHook, bindHook, type UpdateHook } from "../training/update-hook.ts";
import { type AnyCombination, type Combination, eraseCombination } from "./combination.ts";
import type { DataStart } from "./data-start.ts";
import type { Structure } from "./define-structure.ts";
import type { Initializer, RandomStream } from "./initializers.ts";
import { type AnyRouting, eraseRouting, type Routing } from "./routing.ts";
import { ownerPath } from "./select.ts";

/** A tensor that a method adds to a site. */
export interface ParameterSpec {
  /** What follows the module path in a PEFT checkpoint, such as `lora_A.weight`. */
  readonly key: string;
  readonly shape: readonly number[];
  readonly init: Initializer | DerivedStart | WholeStart;
  /** Path of the module whose key it has, where several share it, or null for a key without path; absent: the module itself. */
  readonly owner?: string | null;
  /** False for tensors that the method needs but does not train; true where absent. */
  readonly trainable?: boolean;
  /**
   * False for tensors that PEFT's checkpoints do not hold: untrained ones that it redraws, trained ones of which it saves only
   * what they make. True where absent.
   */
  readonly saved?: boolean;
  /** Whether PEFT's checkpoints hold it once more under the path of each module that shares it. */
  readonly repeated?: boolean;
  /** Whether the key stands in a checkpoint as it is, without the prefix that PEFT's wrappers give. */
  readonly bare?: boolean;
  /** Element type of an untrained tensor, float32 where absent; `init` gives whole numbers for the other. */
  readonly dtype?: "float32" | "int32" | "int64";
  /** Group for optimizers that treat groups differently, such as LoRA+. */
  readonly group?: string;
  /** Whether PEFT has it among the trained tensors although nothing depends on it: it is saved, and stays as it is. */
  readonly idle?: boolean;
  /** Factor that what the tensor makes is multiplied with, for optimizers that undo it, such as LoRA-FA. */
  readonly factor?: number;
}

/** A starting value that follows from those of other tensors of the module, found by their names, be they a checkpoint's. */
export interface DerivedStart {
  readonly from: (start: (name: string) => Float32Array) => Float32Array<ArrayBuffer>;
}

/** A starting value of whole numbers above those that float32 tells apart, for an untrained tensor of whole numbers. */
export interface WholeStart {
  readonly whole: (shape: readonly number[], random: RandomStream) => Int32Array<ArrayBuffer>;
}

/** Which modules that share a weight follow those that are chosen. */
export type Tying = "none" | "outputs" | "both";

/** Reasons by direction; absent where a folder says all. */
export interface Unportable {
  readonly fromPeft?: string;
  readonly toPeft?: string;
}

/** What an adapter folder holds. */
export interface PeftForm {
  /** Options under PEFT's names. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Tensors by key; those that PEFT does not save are left out. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** Sites of the kinds `T`. */
export type SiteOf<T extends SiteKind> = Extract<Site, { readonly kind: T }>;

/** The module that is adapted, as `build` sees it. */
export interface SiteView<T extends SiteKind = SiteKind> {
  readonly site: SiteOf<T>;
  /** What the module reads: `[..., in]`, `[N, C, spatial...]`, or ids. */
  readonly x: Value;
  /** What the base module yields, bias added. */
  readonly y: Value;
  /** The frozen weight in PyTorch's layout: (out, in), (out, in/groups, kernel...), (rows, width). */
  readonly weight: () => Value;
  /** The base module applied to another input of the same kind, or with other weights in PyTorch's layout. */
  readonly base: (x: Value, weights?: Merged) => Value;
}

/** A further field of a batch, such as the task of each row. */
export interface FieldSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  /** Integers lie below this. */
  readonly below?: number;
}

/** Gives an input that the runner feeds from a field of the batch. */
export type BatchField = (spec: FieldSpec) => Value;

/** Standard normal numbers, or uniform ones in [0, 1). */
export type Noise = (kind: "normal" | "uniform", like: Value) => Value | undefined;

export interface BuildContext<O, K extends string, T extends SiteKind = SiteKind> extends SiteView<T> {
  readonly params: Readonly<Record<K, Value>>;
  readonly options: O;
  readonly b: OpBuilder;
  /** Element-wise dropout with probability `p` in the training graph; the identity in every other. */
  readonly dropout: (x: Value, p: number) => Value;
  /** Random numbers in the shape of `like` in the training graph, new in every step; undefined in every other. */
  readonly noise: Noise;
  readonly field: BatchField;
  /** Whether the graph is one that trains; in every other, nothing is built that only gradients or noise need. */
  readonly training: boolean;
  /** Adds a scalar to the loss. */
  readonly addToLoss: (term: Value) => void;
  /** Number of modules that are adapted. */
  readonly modules: number;
  /** Ids of the model's tokens, [batch, sequence]. @throws DiagnosticError `E_TOKENS_MISSING` where it reads none. */
  readonly tokens: () => Value;
}

export interface MergeContext<O, K extends string, T extends SiteKind = SiteKind> {
  readonly site: SiteOf<T>;
  /** Base weight in PyTorch's layout. */
  readonly weight: Value;
  readonly bias: Value | undefined;
  readonly params: Readonly<Record<K, Value>>;
  readonly options: O;
  readonly b: OpBuilder;
}

/** Weights of the base module with the adapter inside; what is left out stays as it was. */
export interface Merged {
  readonly weight?: Value;
  readonly bias?: Value;
}

/** A parameter of the base model: the path of its module, and `weight`, `bias` or whatever the module calls it. */
export interface BaseName {
  readonly module: string;
  readonly name: string;
}

/**
 * What the author of a method writes. `S` is the schema of its options, `K` are the names of its parameters, `T` the kinds of
 * site that it takes and is given, `H` the names of its shared tensors.
 */
export interface AdapterSpec<
  S extends z.ZodObject,
  K extends string,
  T extends SiteKind = SiteKind,
  H extends string = never,
> {
  /** Name on the command line, in kebab case, equal to the file's. */
  readonly name: string;
  /** PEFT's `peft_type`. */
  readonly peftType: string;
  readonly summary: string;
  /** Formula in plain text or TeX, for the generated page. */
  readonly formula: string;
  /** Title and address of the paper. */
  readonly paper: string;
  /** Options under PEFT's names, with defaults, bounds and descriptions. */
  readonly options: S;
  /**
   * Fields of PEFT's configuration that are not options here, with PEFT's defaults: written into every adapter_config.json,
   * and a folder that has another value is refused, since it would mean another computation.
   */
  readonly peftConfig: Readonly<Record<string, unknown>>;
  /** Whether PEFT notes in `fan_in_fan_out` that weights are stored (in, out), as it does where absent and there is that field. */
  readonly notesConv1d?: boolean;
  /** Options here that PEFT's configuration of the method lacks, since it cannot leave modules out: written as targets. */
  readonly absentInPeft?: readonly (keyof z.output<S> & string)[];
  /** Kinds of site it takes; none where it only trains parameters of the base model. */
  readonly sites: readonly T[];
  /** Whether it trains a parameter of the base model whole, beside those that options such as modules_to_save name. */
  readonly trainsWhole?: (parameter: BaseName, options: z.output<S>) => boolean;
  /** Further conditions on a site; a reason where it cannot be adapted. */
  readonly accepts?: (site: SiteOf<T>, options: z.output<S>) => true | string;
  /** Options as they hold for one site, such as a rank from `rank_pattern`. */
  readonly optionsFor?: (options: z.output<S>, path: string) => z.output<S>;
  /** Whether a fresh adapter leaves the model's output as it is. */
  readonly identityAtStart: (options: z.output<S>) => boolean;
  /** Tensors of one module. `sites` are all that are adapted, in execution order, for what depends on a module's place. */
  readonly parameters: (
    site: SiteOf<T>,
    options: z.output<S>,
    sites: readonly SiteOf<T>[],
  ) => Readonly<Record<K, ParameterSpec>>;
  /** Tensors that all sites have in common, whose keys have no module path; they join the site's own in `params`. */
  readonly shared?: (sites: readonly SiteOf<T>[], options: z.output<S>) => Readonly<Record<H, ParameterSpec>>;
  /** A scalar that the method adds to the loss, from the tensors of every adapted module. */
  readonly penalty?: (
    params: readonly Readonly<Record<K, Value>>[],
    options: z.output<S>,
    b: OpBuilder,
  ) => Value | undefined;
  /** What it does around the optimizer's update, such as a schedule; undefined where the options ask for nothing. */
  readonly hook?: (options: z.output<S>) => UpdateHook<z.output<S>, K, string> | undefined;
  /** The adapted output of a site. */
  readonly build: (context: BuildContext<z.output<S>, K | H, T>) => Value;
  /** The same as weights; a reason where that is not possible, for some sites or for all. */
  readonly merge: string | ((context: MergeContext<z.output<S>, K | H, T>) => Merged | string);
  /**
   * The reverse: what merged weights, given in the place of the base model's, were made of; a reason where they do not say. Absent:
   * what merging makes of weights of zeros is subtracted, which is right where it adds the same to any weights.
   */
  readonly unmerge?: string | ((context: MergeContext<z.output<S>, K | H, T>) => Merged | string);
  /**
   * Whether an output layer whose weight is the table of an adapted embedding is adapted with it, by the same tensors: its site
   * then has the embedding's path in `tiedTo`. `both`: the embedding of a chosen output layer, too.
   */
  readonly tied?: (options: z.output<S>) => Tying;
  /** What it holds constant where it is differentiated, and why; absent: its gradient is the derivative of what it computes. */
  readonly detaches?: (options: z.output<S>) => string | undefined;
  /** Why its result for one row depends on the other rows of a batch; absent: it does not. */
  readonly mixesRows?: string;
  /**
   * Whether adapters that act at once are each built on the module with those before it, as PEFT has them; absent: what it computes
   * beside another one is not said.
   */
  readonly stacks?: (options: z.output<S>) => boolean;
  /** How each token chooses among adapters of the method that act at once; absent: it cannot. */
  readonly routing?: Routing<z.ZodObject, z.output<S>>;
  /** How several adapters become one; absent: they cannot. */
  readonly combination?: Combination<z.output<S>>;
  /** Why adapter folders cannot carry it, since they lack what PEFT and we make differently; absent: they can, both ways. */
  readonly unportable?: (options: z.output<S>) => Unportable;
  /** What the starting values need of batches of data; undefined where they need none. */
  readonly dataStart?: (sites: readonly SiteOf<T>[], options: z.output<S>) => DataStart | undefined;
  /** What folders for PEFT hold in place of the options and tensors themselves, of the same method and by the same formula. */
  readonly toPeft?: (form: PeftForm & { readonly options: z.output<S> }) => PeftForm;
  /** The reverse for tensors: those under our keys, from a folder's. */
  readonly restore?: (
    tensors: ReadonlyMap<string, Tensor>,
    options: z.output<S>,
  ) => ReadonlyMap<string, Tensor>;
  /**
   * Methods that options bring along, attached to modules of their own. Where their options name no targets, these are the table
   * of the input's tokens.
   */
  readonly companions?: (options: z.output<S>) => readonly BoundAdapter[];
}

/** A method with the names of its parameters erased: what shared code works with. */
export interface Adapter<S extends z.ZodObject = z.ZodObject> {
  readonly name: string;
  readonly peftType: string;
  readonly summary: string;
  readonly formula: string;
  readonly paper: string;
  readonly options: S;
  readonly peftConfig: Readonly<Record<string, unknown>>;
  readonly sites: readonly AnySiteKind[];
  readonly combination: AnyCombination | undefined;
  readonly routing: AnyRouting | undefined;
  bind(options: unknown): BoundAdapter;
}

/** A method with its options parsed: what a site is adapted with. */
export interface BoundAdapter {
  readonly name: string;
  readonly peftType: string;
  /** Parsed options under PEFT's names, defaults included. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly peftConfig: Readonly<Record<string, unknown>>;
  readonly absentInPeft: readonly string[];
  readonly notesConv1d: boolean;
  readonly sites: readonly AnySiteKind[];
  readonly identityAtStart: boolean;
  readonly tied: Tying;
  readonly detaches: string | undefined;
  readonly mixesRows: string | undefined;
  readonly stacks: boolean;
  readonly unportable: Unportable;
  readonly companions: readonly BoundAdapter[];
  readonly hook: BoundHook | undefined;
  /** What a method of prompts or attention does beyond modules; undefined for all others. */
  readonly structure: Structure | undefined;
  /** Whether a site can be adapted; a reason where not, be it the kind. */
  accepts(site: AnySite): true | string;
  trainsWhole(parameter: BaseName): boolean;
  parameters(site: AnySite, sites: readonly AnySite[]): Readonly<Record<string, ParameterSpec>>;
  shared(sites: readonly AnySite[]): Readonly<Record<string, ParameterSpec>>;
  /** What a checkpoint holds beside the saved tensors: what is made of shared tensors that are not saved. */
  checkpoint(params: Readonly<Record<string, Value>>, b: OpBuilder): Readonly<Record<string, Value>>;
  /** The reverse, where it can be done: trained tensors from a checkpoint's. */
  restore(tensors: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor>;
  dataStart(sites: readonly AnySite[]): DataStart | undefined;
  /** Options and tensors as folders for PEFT hold them. */
  toPeft(tensors: ReadonlyMap<string, Tensor>): PeftForm;
  penalty(params: readonly Readonly<Record<string, Value>>[], b: OpBuilder): Value | undefined;
  build(context: Omit<BuildContext<unknown, string>, "options">): Value;
  merge(context: Omit<MergeContext<unknown, string>, "options">): Merged | string;
  unmerge(context: Omit<MergeContext<unknown, string>, "options">): Merged | string;
}

/**
 * Declares a method, the default export of a file in `passes/adapters/` or of a file given with `--use`.
 *
 * @see docs/new-method.md
 */
export function defineAdapter<
  S extends z.ZodObject,
  K extends string,
  T extends SiteKind = SiteKind,
  H extends string = never,
>(spec: AdapterSpec<S, K, T, H>): Adapter<S> {
  const { name, peftType, summary, formula, paper, options: schema, peftConfig, sites } = spec;
  const takes = (site: AnySite): site is SiteOf<T> => sites.some((kind) => kind === site.kind);
  const own = (site: AnySite): SiteOf<T> => {
    if (takes(site)) return site;
    throw new InternalError(`${name} was given "${site.path}", which is of kind ${site.kind}`);
  };
  return {
    name,
    peftType,
    summary,
    formula,
    paper,
    options: schema,
    peftConfig,
    sites,
    combination:
      spec.combination &&
      eraseCombination(
        spec.combination,
        (given) => schema.parse(given),
        (given, path) => spec.optionsFor?.(given, path) ?? given,
      ),
    routing:
      spec.routing &&
      eraseRouting(spec.routing, (given, site) => {
        const options = schema.parse(given);
        return spec.optionsFor?.(options, ownerPath(site)) ?? options;
      }),
    bind(given) {
      const options = schema.parse(given);
      const hook = spec.hook?.(options);
      const optionsAt = (site: AnySite): z.output<S> =>
        spec.optionsFor?.(options, ownerPath(site)) ?? options;
      const at = (
        context: Omit<MergeContext<unknown, string>, "options">,
      ): MergeContext<z.output<S>, string, T> => ({
        ...context,
        site: own(context.site),
        options: optionsAt(context.site),
      });
      return {
        name,
        peftType,
        options,
        peftConfig,
        absentInPeft: spec.absentInPeft ?? [],
        notesConv1d: spec.notesConv1d ?? "fan_in_fan_out" in peftConfig,
        sites,
        identityAtStart: spec.identityAtStart(options),
        tied: spec.tied?.(options) ?? "none",
        detaches: spec.detaches?.(options),
        mixesRows: spec.mixesRows,
        stacks: spec.stacks?.(options) ?? false,
        unportable: spec.unportable?.(options) ?? {},
        companions: spec.companions?.(options) ?? [],
        hook: hook === undefined ? undefined : bindHook(name, hook, options),
        structure: undefined,
        checkpoint: () => ({}),
        restore: (tensors) => spec.restore?.(tensors, options) ?? tensors,
        dataStart: (all) => spec.dataStart?.(all.filter(takes), options),
        toPeft: (tensors) => spec.toPeft?.({ options, tensors }) ?? { options, tensors },
        trainsWhole: (parameter) => spec.trainsWhole?.(parameter, options) ?? false,
        accepts: (site) =>
          takes(site) ? (spec.accepts?.(site, optionsAt(site)) ?? true) : `it is of kind ${site.kind}`,
        parameters: (site, all) => spec.parameters(own(site), optionsAt(site), all.map(own)),
        penalty: (params, b) => spec.penalty?.(params, options, b),
        shared: (all) => spec.shared?.(all.map(own), options) ?? {},
        build: (context) =>
          spec.build({ ...context, site: own(context.site), options: optionsAt(context.site) }),
        merge: (context) => mergedBy(spec.merge, at(context)),
        unmerge: (context) =>
          spec.unmerge === undefined
            ? withoutAdded(spec.merge, at(context))
            : mergedBy(spec.unmerge, at(context)),
      };
    },
  };
}

type Merging<C> = string | ((context: C) => Merged | string);

function mergedBy<C>(merge: Merging<C>, context: C): Merged | string {
  return typeof merge === "string" ? merge : merge(context);
}

/** Merged weights less what merging makes of zeros: the reverse of one that adds the same to any weights. */
export function withoutAdded<
  C extends { readonly weight: Value; readonly bias: Value | undefined; readonly b: OpBuilder },
>(merge: Merging<C>, context: C): Merged | string {
  const { weight, bias, b } = context;
  const zeros = { weight: b.sub(weight, weight), bias: bias && b.sub(bias, bias) };
  const added = mergedBy(merge, { ...context, ...zeros });
  if (typeof added === "string") return added;
  return {
    ...(added.weight === undefined ? {} : { weight: b.sub(weight, added.weight) }),
    ...(added.bias === undefined || bias === undefined ? {} : { bias: b.sub(bias, added.bias) }),
  };
}
