/** Damages model files: bytes at random, or fields of the decoded file in ways that a decoder does not notice. */
import { Random } from "../../src/data/random.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import type { AttributeMessage, GraphMessage, ModelMessage, NodeMessage } from "../../src/onnx/messages.ts";
import { decodeModelMessage, encodeModelMessage } from "../../src/onnx/wire.ts";
import { edges, floatEdges } from "./edges.ts";

/** A damaged copy of a file; the same seed gives the same damage. */
export function mutate(bytes: Uint8Array, seed: number): Uint8Array {
  const random = new Random(seed);
  if (random.below(3) === 0) return damageBytes(bytes, random);
  try {
    return damageFields(bytes, random);
  } catch (error) {
    // A seed of fixtures/hostile that cannot be decoded.
    if (!(error instanceof DiagnosticError)) throw error;
    return damageBytes(bytes, random);
  }
}

function damageBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = Uint8Array.from(bytes);
  for (let count = random.below(8) + 1; count > 0; count--)
    copy[random.below(copy.length)] = random.below(256);
  return random.below(10) === 0 ? copy.subarray(0, random.below(copy.length)) : copy;
}

function damageFields(bytes: Uint8Array, random: Random): Uint8Array {
  const message = decodeModelMessage(bytes, "seed");
  for (let count = random.below(3) + 1; count > 0; count--) {
    const { graph } = message;
    if (graph !== undefined) pick(mutations, random)?.({ message, graph, random });
  }
  return encodeModelMessage(message);
}

interface Place {
  readonly message: ModelMessage;
  readonly graph: GraphMessage;
  readonly random: Random;
}

/** One of the items; undefined where there are none. */
function pick<T>(items: readonly T[], random: Random): T | undefined {
  return items.length === 0 ? undefined : items[random.below(items.length)];
}

function edge(random: Random): number {
  return pick(edges, random) ?? 0;
}

function nodeOf({ graph, random }: Place): NodeMessage {
  const nodes = graph.node ?? [];
  const node = pick(nodes, random) ?? {};
  const body = pick(
    (node.attribute ?? []).flatMap(({ g }) => (g === undefined ? [] : [g])),
    random,
  );
  if (body === undefined || random.below(3) === 0) return node;
  return nodeOf({ message: {}, graph: body, random });
}

function anyValue({ graph, random }: Place): string {
  const names = (graph.node ?? []).flatMap(({ input = [], output = [] }) => [...input, ...output]);
  return pick(["", "nowhere", ...names], random) ?? "";
}

function attributeOf(place: Place): AttributeMessage {
  const node = nodeOf(place);
  node.attribute ??= [];
  const attribute = pick(node.attribute, place.random);
  if (attribute !== undefined) return attribute;
  const added = { name: "axis", type: 2, i: 0 };
  node.attribute.push(added);
  return added;
}

const mutations: readonly ((place: Place) => void)[] = [
  (place) => {
    const node = nodeOf(place);
    const from = nodeOf(place);
    if (from.op_type !== undefined) node.op_type = from.op_type;
  },
  (place) => {
    const inputs = nodeOf(place).input ?? [];
    inputs[place.random.below(inputs.length + 1)] = anyValue(place);
  },
  (place) => {
    nodeOf(place).input?.splice(place.random.below(3), 1);
  },
  (place) => {
    nodeOf(place).input?.reverse();
  },
  (place) => {
    const outputs = nodeOf(place).output ?? [];
    outputs[place.random.below(outputs.length + 1)] = place.random.below(2) === 0 ? "fresh" : anyValue(place);
  },
  (place) => {
    const attribute = attributeOf(place);
    if (attribute.ints !== undefined && attribute.ints.length > 0)
      attribute.ints[place.random.below(attribute.ints.length)] = edge(place.random);
    else if (attribute.i !== undefined) attribute.i = edge(place.random);
    else if (attribute.f !== undefined) attribute.f = pick(floatEdges, place.random) ?? 0;
    else if (attribute.s !== undefined)
      attribute.s = new TextEncoder().encode(pick(["", "SAME_UPPER", "\u0000", "x"], place.random));
  },
  (place) => {
    const attribute = attributeOf(place);
    if (attribute.ints === undefined) attribute.type = place.random.below(14);
    else if (place.random.below(2) === 0) attribute.ints.push(edge(place.random));
    else attribute.ints.pop();
  },
  (place) => {
    const node = nodeOf(place);
    if (node.attribute !== undefined) node.attribute.splice(place.random.below(node.attribute.length + 1), 1);
  },
  ({ graph, random }) => {
    const tensor = pick(graph.initializer ?? [], random);
    if (tensor === undefined) return;
    tensor.dims ??= [];
    tensor.dims[random.below(tensor.dims.length + 1)] = edge(random);
  },
  ({ graph, random }) => {
    const tensor = pick(graph.initializer ?? [], random);
    if (tensor !== undefined) tensor.data_type = random.below(27);
  },
  ({ graph, random }) => {
    const raw = pick(graph.initializer ?? [], random)?.raw_data;
    if (raw !== undefined && raw.length > 0) raw[random.below(raw.length)] = random.below(256);
  },
  ({ graph, random }) => {
    const type = pick([...(graph.input ?? []), ...(graph.output ?? []), ...(graph.value_info ?? [])], random)
      ?.type?.tensor_type;
    if (type === undefined) return;
    if (random.below(2) === 0) type.elem_type = random.below(27);
    else type.shape = { dim: Array.from({ length: random.below(6) }, () => dimension(random)) };
  },
  ({ graph, random }) => {
    const nodes = graph.node ?? [];
    const [node] = nodes.splice(random.below(nodes.length), 1);
    if (node !== undefined && random.below(2) === 0) nodes.splice(random.below(nodes.length + 1), 0, node);
  },
  ({ message, random }) => {
    const imports = message.opset_import ?? [];
    const imported = pick(imports, random);
    if (imported !== undefined)
      imported.version = pick([...edges, 7, 9, 11, 13, 17, 21, 26, 28], random) ?? 0;
  },
];

function dimension(random: Random): { dim_value: number } | { dim_param: string } {
  return random.below(2) === 0
    ? { dim_value: edge(random) }
    : { dim_param: pick(["batch", "seq", "?1", "a*b"], random) ?? "" };
}
