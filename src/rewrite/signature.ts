/** Text that is equal for nodes which compute the same, and for constants which hold the same. */
import type { Attribute } from "../ir/attribute.ts";
import type { Node } from "../ir/node.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { opOf } from "../ops/registry.ts";
import { isCommutative, isStandard } from "../ops/traits.ts";

/** Tensors larger than this many bytes are compared by identity, so that weights are never read. */
const contentLimit = 4096;

/** Signatures under one numbering of values and large tensors. */
export class Signatures {
  readonly #values = new Map<Value, number>();
  readonly #tensors = new Map<Tensor, number>();

  /** Signature of a node; undefined where one of its attributes cannot be compared. */
  ofNode(node: Node): string | undefined {
    const operands = node.inputs.map((input) =>
      input === null ? "" : String(this.#number(this.#values, input)),
    );
    if (operands.length === 2 && isCommutative(node)) operands.sort();
    const defaults = opOf(node)?.attributes ?? {};
    const attributes: string[] = [];
    for (const [name, attribute] of node.attributes) {
      if ("value" in attribute && attribute.value === defaults[name]?.fallback) continue;
      const text = this.#ofAttribute(attribute);
      if (text === undefined) return undefined;
      attributes.push(`${name}=${text}`);
    }
    const results = node.outputs.map((output) => (output === null ? "0" : "1")).join("");
    const domain = isStandard(node.domain) ? "" : node.domain;
    return JSON.stringify([domain, node.op, node.overload, operands, attributes.sort(), results]);
  }

  /** Signature of a constant: its content where it is small, else its identity. */
  ofTensor(tensor: Tensor | undefined): string | undefined {
    if (tensor === undefined) return undefined;
    const { source, dtype, dims } = tensor;
    const head = `${dtype}[${dims}]`;
    if (source.kind === "strings") return `${head}${JSON.stringify(source.values.map(hex))}`;
    if (tensor.byteLength > contentLimit) return `${head}#${this.#number(this.#tensors, tensor)}`;
    return head + hex(tensor.bytes());
  }

  #ofAttribute(attribute: Attribute): string | undefined {
    switch (attribute.kind) {
      case "tensor":
        return this.ofTensor(attribute.value);
      case "int":
      case "ints":
        return `i${attribute.value}`;
      case "float":
        return `f${printFloat(attribute.value)}`;
      case "floats":
        return `f${attribute.value.map(printFloat).join()}`;
      case "string":
        return `s${printText(attribute.value)}`;
      case "strings":
        return `s${JSON.stringify(attribute.value.map(printText))}`;
      default:
        return undefined;
    }
  }

  #number<K>(numbers: Map<K, number>, key: K): number {
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, numbers.size);
    return numbers.size - 1;
  }
}

function printFloat(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function printText(text: string | Uint8Array): string {
  return typeof text === "string" ? JSON.stringify(text) : `x${hex(text)}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
