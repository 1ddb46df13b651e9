/** Describes the inputs and outputs of an emitted graph by role, as the manifest records them. */
import {
  type GraphManifest,
  type InputPort,
  inputRoles,
  type OutputPort,
  outputRoles,
} from "../artifact/manifest.ts";
import { InternalError } from "../diagnostics/define.ts";
import type { Graph } from "../ir/graph.ts";
import { roleFact, roleOf, virtualOf } from "../ir/role.ts";
import type { Value } from "../ir/value.ts";
import { readSlices } from "../training/flatten.ts";

/** The manifest entry of a graph; names must be final. */
export function describeGraph(graph: Graph, file: string, stepsPerRun: number): GraphManifest {
  return {
    file,
    inputs: graph.inputs.map(describeInput),
    outputs: graph.outputs.map(describeOutput),
    stepsPerRun,
  };
}

function describeInput(value: Value): InputPort {
  const role = inputRoles.find((name) => name === roleOf(value));
  if (role === undefined) throw new InternalError(`input "${value.name}" has no role`);
  const field = roleFact(value, "field");
  const key = roleFact(value, "key");
  const hyper = roleFact(value, "kind");
  const below = roleFact(value, "below");
  return {
    ...describePort(value),
    role,
    ...(field === undefined ? {} : { field }),
    ...(key === undefined ? {} : { key }),
    ...(hyper === undefined ? {} : { hyper }),
    ...(below === undefined ? {} : { below: Number(below) }),
    ...slicesOf(value),
  };
}

function describeOutput(value: Value): OutputPort {
  const role = outputRoles.find((name) => name === roleOf(value));
  if (role === undefined) throw new InternalError(`output "${value.name}" has no role`);
  const feeds = roleFact(value, "feeds");
  const metric = roleFact(value, "kind");
  const virtual = virtualOf(value);
  return {
    ...describePort(value),
    role,
    ...(feeds === undefined ? {} : { feeds }),
    ...(metric === undefined ? {} : { metric }),
    ...(virtual === 0 ? {} : { virtual }),
    ...slicesOf(value),
  };
}

function describePort(value: Value): { name: string; dtype: string; shape: (number | string)[] } {
  const type = value.tensorType;
  if (type?.shape === undefined) throw new InternalError(`"${value.name}" has no known type at the boundary`);
  return {
    name: value.name,
    dtype: type.dtype,
    shape: type.shape.map((dim) => (typeof dim === "number" ? dim : dim.key)),
  };
}

function slicesOf(value: Value): { slices?: { key: string; offset: number; shape: number[] }[] } {
  if (roleFact(value, "slices") === undefined) return {};
  return { slices: readSlices(value).map(({ key, offset, shape }) => ({ key, offset, shape: [...shape] })) };
}
