/** What a pass is: a name, typed options and a function that edits a model in place and says whether it did. */
import type { z } from "zod";
import type { Model } from "../ir/model.ts";

/** What a running pass is given beside the model. */
export interface PassContext<O> {
  readonly options: O;
  /** Adds to one of the pass's declared statistics. */
  readonly stat: (name: string, amount?: number) => void;
  /** Tells the user something that they should know, such as a refused rewrite; shown in reports, never thrown. */
  readonly remark: (message: string) => void;
}

/** A pass as its author writes it. */
export interface PassSpec<S extends z.ZodObject, K extends string> {
  /** Name in pipelines, in kebab case, equal to the file's. */
  readonly name: string;
  /** One line for `passes` and the generated documentation. */
  readonly summary: string;
  /** Options with defaults and bounds; descriptions become documentation. */
  readonly options: S;
  /** Counters by name, each with what it counts. */
  readonly statistics: Readonly<Record<K, string>>;
  /** Edits in place; the result says truthfully whether anything changed. */
  readonly run: (
    model: Model,
    context: PassContext<z.output<S>> & { stat: (name: K, amount?: number) => void },
  ) => boolean;
}

/** A pass with the types of its options erased: what the manager runs. */
export interface Pass {
  readonly name: string;
  readonly summary: string;
  readonly options: z.ZodObject;
  readonly statistics: Readonly<Record<string, string>>;
  /** Parses the options, then runs. @throws DiagnosticError from the pass; ZodError for bad options. */
  readonly run: (model: Model, context: PassContext<unknown>) => boolean;
}

/**
 * Declares a pass, the default export of a file in `passes/`.
 *
 * @example
 * export default definePass({
 *   name: "dce", summary: "Drop nodes nobody reads", options: z.strictObject({}),
 *   statistics: { removed: "nodes removed" },
 *   run: (model, { stat }) => ...,
 * });
 */
export function definePass<S extends z.ZodObject, K extends string>(spec: PassSpec<S, K>): Pass {
  return {
    name: spec.name,
    summary: spec.summary,
    options: spec.options,
    statistics: spec.statistics,
    run: (model, context) => spec.run(model, { ...context, options: spec.options.parse(context.options) }),
  };
}
