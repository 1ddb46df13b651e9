/** One-node models of an older opset, upgraded to the one that the rules speak. */
import { baseOpset } from "../../src/ops/versions.ts";
import { upgradeGraph } from "../../src/rewrite/upgrade.ts";
import { type BuiltCase, buildCase, type OpCase } from "./op-case.ts";

/** Builds the case in its own opset and upgrades it. */
export function upgradedCase(spec: OpCase, to: number = baseOpset): BuiltCase {
  const built = buildCase(spec, "static");
  const { graph } = built.model;
  upgradeGraph(graph, built.opset, to);
  built.model.opsets.set("", to);
  return { ...built, opset: to, outputs: [...graph.outputs] };
}
