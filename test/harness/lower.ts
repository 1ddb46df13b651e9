/** One-node models of an opset that the runtime does not load, brought back to the newest that it does. */
import { newestOpset } from "../../src/ops/versions.ts";
import { limitImport, lowerGraph } from "../../src/rewrite/lower.ts";
import { type BuiltCase, buildCase, type Naming, type OpCase } from "./op-case.ts";

/** Builds the case in opset 28 and lowers it. */
export function loweredCase(spec: OpCase, naming: Naming = "static"): BuiltCase {
  const built = buildCase({ ...spec, opset: 28 }, naming);
  const { graph } = built.model;
  lowerGraph(graph, 28, newestOpset);
  limitImport(built.model, newestOpset);
  return { ...built, opset: newestOpset, outputs: [...graph.outputs] };
}
