/** Adds the gradients of all parameters to a graph with a loss. */
import { differentiate } from "../autodiff/differentiate.ts";
import { lostPathFinder } from "../autodiff/lost-path.ts";
import { labelOf } from "../autodiff/path.ts";
import { InternalError } from "../diagnostics/define.ts";
import { trainingErrors } from "../diagnostics/training.ts";
import type { Graph } from "../ir/graph.ts";
import { roleFact, setRole, withRole } from "../ir/role.ts";
import { OpBuilder } from "../ops/builder.ts";
import { type LossScaling, lossScaleInput } from "./optimize.ts";

/**
 * Differentiates the loss output by every parameter input. Each gradient becomes an output under the parameter's key; one
 * that the loss does not depend on is zero. Under loss scaling, gradients are those of scale * loss.
 *
 * @throws DiagnosticError `E_PARAM_LOST` where the loss depends on a parameter in a way that has no gradient.
 */
export function addBackward(graph: Graph, opset: number, scaling: LossScaling | undefined): void {
  const [loss] = withRole(graph.outputs, "loss");
  if (loss === undefined) throw new InternalError("the graph has no loss to differentiate");
  const params = withRole(graph.inputs, "param");
  const b = new OpBuilder({ graph }, opset);
  const gradient = scaling === undefined ? b.scalar(1, "float32") : lossScaleInput(graph, scaling);
  const gradients = differentiate(graph, [{ value: loss, gradient }], params, opset);
  const tail = new OpBuilder({ graph }, opset);
  const findLost = lostPathFinder(graph, [loss]);
  params.forEach((param, i) => {
    const key = roleFact(param, "key");
    if (key === undefined) throw new InternalError(`parameter "${param.name}" has no key`);
    const lost = findLost(param, gradients[i]);
    if (lost !== undefined) throw trainingErrors.E_PARAM_LOST(key, labelOf(lost.node), lost.path);
    const found = gradients[i] ?? tail.zerosLike(param);
    // An output of its own even where two parameters share a gradient.
    const output =
      found.producer === undefined || [...found.uses].some((use) => use.kind === "output")
        ? tail.op("Identity", [found])
        : found;
    output.name = `grad.${key}`;
    graph.addOutput(setRole(output, "grad", { key }));
  });
}
