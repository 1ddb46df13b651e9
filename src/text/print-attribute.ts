/** Prints attributes of nodes and defaults of function attributes. */
import type { Attribute, AttributeInt } from "../ir/attribute.ts";
import type { Graph } from "../ir/graph.ts";
import { someFacts } from "./directive.ts";
import { attributeTypeName } from "./grammar.ts";
import { formatFloat32 } from "./numbers.ts";
import type { PrintContext } from "./print-context.ts";
import { itemFacts, type Printed, printSparse, printString, printTensor } from "./print-tensor.ts";
import { printType } from "./types.ts";

/**
 * An attribute such as `axis = 1`. The kind is named only where the value does not show it. The reference parser reads
 * lists of tensors, graphs and types, and drops what they hold; it has no sparse tensors, so those are three tensors each.
 *
 * @param printBody prints a subgraph.
 */
export function printAttribute(
  name: string,
  attribute: Attribute,
  context: PrintContext,
  printBody: (body: Graph) => string,
): Printed {
  const label = context.aliases.identifier(name);
  const plain = (text: string): Printed => ({ text: `${label} =${text.startsWith("\n") ? "" : " "}${text}` });
  const typed = (kind: string, text: string): string => `${label}: ${kind} = ${text}`;
  const list = (kind: "ints" | "floats" | "strings", texts: readonly string[]): Printed =>
    texts.length === 0 ? { text: typed(attributeTypeName(kind), "[]") } : plain(`[${texts.join(", ")}]`);
  const group = (items: readonly Printed[], sparse?: "one" | "list"): Printed => ({
    text: typed("tensors", `[${items.map(({ text }) => text).join(", ")}]`),
    facts: someFacts({ sparse, items: itemFacts(items) }),
  });

  switch (attribute.kind) {
    case "int":
      return plain(printInt(attribute.value));
    case "float":
      return plain(printFloat(attribute.value));
    case "string":
      return withFacts(printString(attribute.value), plain);
    case "tensor":
      return withFacts(printTensor(attribute.value, context), plain);
    case "graph":
      return plain(printBody(attribute.value));
    case "type":
      return plain(printType(attribute.value, "code", context.aliases));
    case "sparse":
      return group(printSparse(attribute.value, context), "one");
    case "ints":
      return list("ints", attribute.value.map(printInt));
    case "floats":
      return list("floats", attribute.value.map(printFloat));
    case "strings": {
      const items = attribute.value.map(printString);
      const texts = items.map(({ text }) => text);
      return { ...list("strings", texts), facts: someFacts({ items: itemFacts(items) }) };
    }
    case "tensors":
      return group(attribute.value.map((tensor) => printTensor(tensor, context)));
    case "sparses":
      return group(
        attribute.value.flatMap((sparse) => printSparse(sparse, context)),
        "list",
      );
    case "graphs":
      return { text: typed("graphs", `[${attribute.value.map(printBody).join(", ")}]`) };
    case "types": {
      const texts = attribute.value.map((type) => printType(type, "code", context.aliases));
      return { text: typed("type_protos", `[${texts.join(", ")}]`) };
    }
    case "reference": {
      const kind = attributeTypeName(attribute.type);
      return { text: typed(kind, `@${context.aliases.identifier(attribute.value)}`) };
    }
  }
}

function withFacts({ text, facts }: Printed, plain: (text: string) => Printed): Printed {
  return { ...plain(text), facts };
}

function printInt(value: AttributeInt): string {
  return BigInt(value).toString();
}

/** A float attribute is a float32; a point or exponent tells it from an int. */
function printFloat(value: number): string {
  const text = formatFloat32(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}
