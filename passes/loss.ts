/** Adds a loss to the graph, with the label inputs it reads. */
import { z } from "zod";
import { takeJudged, takePenalties } from "../src/adapt/penalty.ts";
import { nearNames } from "../src/diagnostics/define.ts";
import { trainingErrors } from "../src/diagnostics/training.ts";
import { subDims } from "../src/ir/dim.ts";
import type { Graph } from "../src/ir/graph.ts";
import { setRole, virtualOf } from "../src/ir/role.ts";
import { shapesConflict } from "../src/ir/shape.ts";
import { formatType, type TensorType, tensorType } from "../src/ir/type.ts";
import type { Value } from "../src/ir/value.ts";
import { OpBuilder } from "../src/ops/builder.ts";
import { dtypeOf } from "../src/ops/facts.ts";
import { definePass } from "../src/pass/define.ts";
import { type GivenOptions, resolveOptions } from "../src/pass/options.ts";
import type { LossResult } from "../src/training/define-loss.ts";
import { markDivisor } from "../src/training/divisor.ts";
import { floatOutputs, logitsOutput } from "../src/training/tasks.ts";
import { losses } from "./losses/index.ts";

export default definePass({
  name: "loss",
  summary: "Add a loss over the model's output",
  options: z.strictObject({
    kind: z.string().default("cross-entropy").describe("name of the loss"),
    options: z.string().default("{}").describe("options of the loss as JSON"),
    logits: z
      .string()
      .default("")
      .describe("output that is judged; `*` is every float output, each against a target of its own"),
  }),
  statistics: { terms: "outputs judged" },
  run: (model, { options, stat }) => {
    const { graph } = model;
    const b = new OpBuilder({ graph }, model.opset);
    const loss = losses.find(({ name }) => name === options.kind);
    if (loss === undefined) {
      throw trainingErrors.E_LOSS_UNKNOWN(
        options.kind,
        nearNames(
          options.kind,
          losses.map(({ name }) => name),
        ),
        losses.map(({ name }) => name),
      );
    }
    const penalties = takePenalties(graph);
    const beside = takeJudged(graph);
    const judged = chooseOutputs(floatOutputs(graph), logitsOutput(graph), options.logits);
    const many = options.logits === "*";
    const given: GivenOptions = JSON.parse(options.options);
    const termOf = (output: Value): LossResult => {
      const scores = b.cast(output, "float32");
      const extra = many ? { labels: `target.${output.name}` } : {};
      return loss.build({
        options: resolveOptions(`loss "${loss.name}"`, loss.options, { ...given, ...extra }),
        graph,
        b,
        logits: scores,
        label: (field, dtype, shape, ignored) => {
          const virtual = ignored === undefined ? 0 : virtualOf(output);
          const own = shape.map((dim, axis) => (axis === 1 ? subDims(dim, virtual) : dim));
          const input = setRole(labelInput(graph, field, tensorType(dtype, own)), "label", { field });
          return ignored === undefined ? input : padded(b, input, virtual, ignored);
        },
      });
    };
    const terms = judged.map(termOf);
    stat("terms", terms.length);
    const [first, ...rest] = terms;
    if (first === undefined)
      throw trainingErrors.E_NO_OUTPUT(graph.outputs.map((o) => `${o.name}: ${formatType(o.type)}`));
    const ofOutputs = rest.reduce((sum, term) => b.add(sum, term.loss), first.loss);
    const besides = beside.map(({ output, weight }) => ({ ...termOf(output), weight }));
    const added = [...penalties, ...besides.map((term) => b.mul(term.loss, term.weight))];
    const total = added.reduce((sum, term) => b.add(sum, term), ofOutputs);
    const count = rest.reduce((sum, term) => b.add(sum, term.count), first.count);
    // With terms of the parameters alone, the loss is not a sum over rows any more.
    if (penalties.length === 0)
      for (const { divisor } of [...terms, ...besides]) if (divisor !== undefined) markDivisor(divisor);
    for (const input of graph.inputs)
      if (!input.metadata.has("peft.role")) setRole(input, "batch", { field: input.name });
    for (const output of graph.outputs)
      setRole(output, judged.includes(output) && !many ? "logits" : "output", virtualFact(output));
    addOutput(total, "loss");
    addOutput(count, "tokens");
    return true;

    function addOutput(value: Value, name: "loss" | "tokens"): void {
      value.name = name;
      graph.addOutput(
        name === "loss" ? setRole(value, "loss") : setRole(value, "metric", { kind: "tokens" }),
      );
    }
  },
});

/** Labels with those of virtual tokens in front. */
function padded(b: OpBuilder, labels: Value, count: number, label: number): Value {
  if (count === 0) return labels;
  const shape = b.concat([b.unsqueeze(b.dim(labels, 0), [0]), b.ints([count])], 0);
  return b.concat([b.expand(b.scalar(label, dtypeOf(labels)), shape), labels], 1);
}

function virtualFact(output: Value): { virtual?: string } {
  const virtual = virtualOf(output);
  return virtual === 0 ? {} : { virtual: String(virtual) };
}

/** The model's own input of this name where it fits, since both read the same field of a batch; else a new one. */
function labelInput(graph: Graph, name: string, type: TensorType): Value {
  const known = graph.inputs.find((input) => input.name === name);
  if (known === undefined) return graph.addInput({ name, type });
  const own = known.tensorType;
  const fits =
    own !== undefined &&
    own.dtype === type.dtype &&
    (own.shape === undefined || type.shape === undefined || !shapesConflict(own.shape, type.shape));
  if (!fits) throw trainingErrors.E_NAME_TAKEN(name, formatType(type), formatType(known.type));
  return known;
}

function chooseOutputs(floats: readonly Value[], usual: Value | undefined, wanted: string): readonly Value[] {
  if (wanted === "*") return floats;
  if (wanted === "") return usual === undefined ? [] : [usual];
  const found = floats.filter(({ name }) => name === wanted);
  if (found.length === 0)
    throw trainingErrors.E_OUTPUT_NOT_FOUND(
      wanted,
      floats.map(({ name }) => name),
    );
  return found;
}
