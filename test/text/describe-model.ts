/** A model as plain data, names and identities included, so that tests can compare two. */
import type { Attribute, AttributeKind } from "../../src/ir/attribute.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Model } from "../../src/ir/model.ts";
import type { Node } from "../../src/ir/node.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { formatType, type ValueType } from "../../src/ir/type.ts";
import type { Value } from "../../src/ir/value.ts";

/** Everything that text keeps. Values are described by the name that they have. */
export function describeModel(model: Model): unknown {
  const { irVersion, opsets, producerName, producerVersion, domain, modelVersion, docString, metadata } =
    model;
  return {
    irVersion,
    opsets: [...opsets],
    producerName,
    producerVersion,
    domain,
    modelVersion: String(modelVersion),
    docString,
    metadata: sorted(metadata),
    graph: describeGraph(model.graph),
    functions: [...model.functions].map(([key, fn]) => ({
      key,
      domain: fn.domain,
      name: fn.name,
      overload: fn.overload,
      opsets: [...fn.opsets],
      attributes: fn.attributes,
      defaults: [...fn.defaults].map(([name, attribute]) => [name, describeAttribute(attribute)]),
      docString: fn.docString,
      metadata: sorted(fn.metadata),
      body: describeGraph(fn.body),
    })),
  };
}

function describeGraph(graph: Graph): unknown {
  return {
    name: graph.name,
    docString: graph.docString,
    metadata: sorted(graph.metadata),
    inputs: graph.inputs.map(describeValue),
    initializers: [...graph.initializers].map(describeValue),
    outputs: graph.outputs.map(({ name }) => name),
    nodes: [...graph.nodes()].map(describeNode),
  };
}

function describeNode(node: Node): unknown {
  return {
    op: node.op,
    domain: node.domain,
    overload: node.overload,
    name: node.name,
    docString: node.docString,
    metadata: sorted(node.metadata),
    inputs: node.inputs.map((input) => input?.name ?? null),
    outputs: node.outputs.map((output) => (output === null ? null : describeValue(output))),
    attributes: [...node.attributes].map(([name, attribute]) => [name, describeAttribute(attribute)]),
  };
}

/** Dimensions with unknown parts are all alike here, since text does not keep which of them are equal. */
function describeType(type: ValueType | undefined): string {
  return formatType(type).replace(/[^[\], ]*\?\d+[^[\], ]*/g, "?");
}

function describeValue(value: Value): unknown {
  return {
    name: value.name,
    type: describeType(value.type),
    docString: value.docString,
    metadata: sorted(value.metadata),
    data: value.initializer === undefined ? undefined : describeTensor(value.initializer, value.name),
  };
}

function describeTensor(tensor: Tensor, valueName = ""): unknown {
  const { source } = tensor;
  const data =
    source.kind === "file"
      ? source.range
      : source.kind === "strings"
        ? source.values.map((value) => Buffer.from(value).toString("hex"))
        : Buffer.from(tensor.bytes()).toString("hex");
  const name = tensor.name === valueName ? "" : tensor.name;
  return { dtype: tensor.dtype, dims: tensor.dims, name, docString: tensor.docString, data };
}

type Describers = {
  readonly [K in AttributeKind]: (value: Extract<Attribute, { kind: K }>["value"]) => unknown;
};

const text = (value: string | Uint8Array): string =>
  typeof value === "string" ? JSON.stringify(value) : Buffer.from(value).toString("hex");
const sparse: Describers["sparse"] = ({ values, indices, dims }) => [
  describeTensor(values),
  describeTensor(indices),
  dims,
];
const number = (value: number): string => (Object.is(value, -0) ? "-0" : String(Math.fround(value)));

const describers: Describers = {
  int: (value) => BigInt(value).toString(),
  float: number,
  string: text,
  tensor: (value) => describeTensor(value),
  graph: describeGraph,
  sparse,
  type: describeType,
  ints: (value) => value.map((item) => BigInt(item).toString()),
  floats: (value) => value.map(number),
  strings: (value) => value.map(text),
  tensors: (value) => value.map((tensor) => describeTensor(tensor)),
  graphs: (value) => value.map(describeGraph),
  sparses: (value) => value.map(sparse),
  types: (value) => value.map(describeType),
};

function describeAttribute(attribute: Attribute): unknown {
  if (attribute.kind === "reference") return attribute;
  // The describer of a kind takes the value of that kind, which a union of functions cannot say.
  const describe: (value: never) => unknown = describers[attribute.kind];
  return [attribute.kind, describe(attribute.value as never)];
}

function sorted(map: ReadonlyMap<string, string>): [string, string][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}
