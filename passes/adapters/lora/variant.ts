/** What a variant of LoRA says of itself: the parts in which it differs from plain LoRA. */
import type { BuildContext, MergeContext, Merged } from "../../../src/adapt/define.ts";
import type { LayerSite } from "../../../src/analysis/sites.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { Specs } from "./factors.ts";
import type { Options } from "./options.ts";

export type LayerKind = LayerSite["kind"];
export type LoraContext = BuildContext<Options, string, LayerKind>;
export type LoraMergeContext = MergeContext<Options, string, LayerKind>;

export interface LoraVariant {
  /** The option that asks for it. */
  readonly option: keyof Options;
  readonly isAsked: (o: Options) => boolean;
  /** Kinds of module that it is defined for. */
  readonly kinds: readonly LayerKind[];
  /** Whether a module that it is not asked for is adapted by plain LoRA; a reason against a module where it is. */
  readonly appliesTo?: (site: LayerSite, o: Options) => boolean;
  readonly accepts?: (site: LayerSite, o: Options) => true | string;
  /** Tensors of a module, made from those of plain LoRA. */
  readonly parameters?: (plain: Specs, site: LayerSite, o: Options) => Specs;
  /** The adapted output, where plain LoRA yields another. */
  readonly build?: (context: LoraContext) => Value;
  /** The weights with the adapter inside, where those of plain LoRA are others; a reason where there are none. */
  readonly merge?: (context: LoraMergeContext) => Merged | string;
  /** Why merged weights do not say what they were, where merging does more than add to them. */
  readonly unmerge?: string;
}
