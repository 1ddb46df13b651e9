/** Adapters of one method as experts that each token chooses from, without training. */
import type { z } from "zod";
import type { Site } from "../analysis/sites.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "../ops/builder.ts";
import type { ParameterSpec } from "./define.ts";

/** An adapter at one module. */
export interface Expert<O> {
  /** Options as they hold for the module. */
  readonly options: O;
  /** Whether it stands for what all have in common, and is not chosen itself. */
  readonly general: boolean;
  /** Name that one of its tensors has among those of all adapters. */
  readonly nameOf: (name: string) => string;
}

export interface RoutingContext<R, O> {
  readonly site: Site;
  readonly x: Value;
  readonly y: Value;
  readonly b: OpBuilder;
  readonly routing: R;
  readonly experts: readonly Expert<O>[];
  /** Tensors of all experts, and those that routing adds. */
  readonly params: Readonly<Record<string, Value>>;
}

/** What a method says of routing. `S` is the schema of its options. */
export interface Routing<S extends z.ZodObject, O> {
  readonly options: S;
  /** Why a module cannot be routed, or true. */
  readonly accepts: (site: Site, experts: readonly Expert<O>[], routing: z.output<S>) => true | string;
  /** Untrained tensors that routing needs, which may start from those of the experts. */
  readonly parameters: (site: Site, experts: readonly Expert<O>[]) => Readonly<Record<string, ParameterSpec>>;
  /** What the module yields. */
  readonly build: (context: RoutingContext<z.output<S>, O>) => Value;
}

/** The same with its types erased: what shared code works with. */
export interface AnyRouting {
  readonly options: z.ZodObject;
  accepts(site: Site, experts: readonly Expert<unknown>[], routing: unknown): true | string;
  parameters(site: Site, experts: readonly Expert<unknown>[]): Readonly<Record<string, ParameterSpec>>;
  build(context: RoutingContext<unknown, unknown>): Value;
}

/** @param optionsAt options as the method reads them, as they hold for one module. */
export function eraseRouting<S extends z.ZodObject, O>(
  { options: schema, accepts, parameters, build }: Routing<S, O>,
  optionsAt: (options: unknown, site: Site) => O,
): AnyRouting {
  const typed = (site: Site, experts: readonly Expert<unknown>[]): Expert<O>[] =>
    experts.map((expert) => ({ ...expert, options: optionsAt(expert.options, site) }));
  return {
    options: schema,
    accepts: (site, experts, routing) => accepts(site, typed(site, experts), schema.parse(routing)),
    parameters: (site, experts) => parameters(site, typed(site, experts)),
    build: (context) =>
      build({
        ...context,
        routing: schema.parse(context.routing),
        experts: typed(context.site, context.experts),
      }),
  };
}
