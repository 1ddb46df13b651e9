/** Adds unscaling, clipping, the skip of steps that are not finite, and the optimizer's update. */
import { z } from "zod";
import { nearNames } from "../src/diagnostics/define.ts";
import { trainingErrors } from "../src/diagnostics/training.ts";
import { inPhase } from "../src/ir/phase.ts";
import { definePass } from "../src/pass/define.ts";
import { type GivenOptions, resolveOptions } from "../src/pass/options.ts";
import type { BoundOptimizer } from "../src/training/define-optimizer.ts";
import { addOptimizer } from "../src/training/optimize.ts";
import { scalingFrom, scalingOptions } from "../src/training/scaling.ts";
import { bindAdapter } from "./adapt.ts";
import { optimizers } from "./optimizers/index.ts";

export default definePass({
  name: "optimize",
  summary: "Add the optimizer's update of parameters and state",
  options: z.strictObject({
    kind: z.string().default("adamw").describe("name of the optimizer"),
    options: z.string().default("{}").describe("its options as JSON"),
    method: z
      .string()
      .default("")
      .describe("name of the method that was attached; empty: none has a part in it"),
    method_options: z
      .string()
      .default("{}")
      .describe("the method's options, as the adapt pass was given them"),
    clip: z
      .number()
      .nonnegative()
      .default(0)
      .describe("global norm to which gradients are cut down; 0 does not"),
    ...scalingOptions,
  }),
  statistics: { nodes: "nodes added" },
  run: (model, { options, stat }) => {
    const before = model.graph.size;
    inPhase(model.graph, "update", () =>
      addOptimizer(model.graph, {
        opset: model.opset,
        optimizer: bindOptimizer(options.kind, JSON.parse(options.options)),
        clip: options.clip > 0 ? options.clip : undefined,
        scaling: scalingFrom(options),
        hook:
          options.method === ""
            ? undefined
            : bindAdapter(options.method, JSON.parse(options.method_options)).hook,
      }),
    );
    stat("nodes", model.graph.size - before);
    return true;
  },
});

/**
 * Finds an optimizer and parses its options.
 *
 * @throws DiagnosticError `E_OPTIMIZER_UNKNOWN`, `E_UNKNOWN_OPTION`, or `E_BAD_OPTION` naming option, bound and value.
 */
export function bindOptimizer(name: string, options: GivenOptions): BoundOptimizer {
  const names = optimizers.map((optimizer) => optimizer.name);
  const optimizer = optimizers.find((candidate) => candidate.name === name);
  if (optimizer === undefined) throw trainingErrors.E_OPTIMIZER_UNKNOWN(name, nearNames(name, names), names);
  return optimizer.bind(resolveOptions(`optimizer "${name}"`, optimizer.options, options));
}
