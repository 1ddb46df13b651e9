/** Finds the inputs whose ids index a table. */
import { findSites } from "../analysis/sites.ts";
import type { Graph } from "../ir/graph.ts";
import { roleFact, setRole } from "../ir/role.ts";
import type { Value } from "../ir/value.ts";
import { opOf } from "../ops/registry.ts";

/** Inputs whose ids index a table say how many rows it has, so that random data stay below, and other data are checked. */
export function markTableInputs(graph: Graph): void {
  for (const site of findSites(graph)) {
    if (site.kind !== "embedding") continue;
    const value = originOf(site.x);
    if (value.graph !== graph || !graph.inputs.includes(value)) continue;
    const known = Number(roleFact(value, "below") ?? site.rows);
    setRole(value, "batch", { field: value.name, below: String(Math.min(known, site.rows)) });
  }
}

/** The value that holds the same elements and is not made from another by changing shape or type alone. */
function originOf(value: Value): Value {
  const { producer } = value;
  const at = producer === undefined ? undefined : opOf(producer)?.carries;
  const from = at === undefined || value.outputIndex !== 0 ? undefined : producer?.input(at);
  return from === undefined ? value : originOf(from);
}
