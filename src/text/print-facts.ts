/** Facts about values, nodes and graphs for the directives before them. */
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { type Facts, someEntries, someFacts, type ValueFacts } from "./directive.ts";
import type { PrintContext } from "./print-context.ts";

/** Documentation and metadata, where there are any. */
export function describe(thing: {
  readonly docString: string;
  readonly metadata: ReadonlyMap<string, string>;
}): ValueFacts {
  return { doc: someText(thing.docString), metadata: someEntries(thing.metadata) };
}

/** Name and documentation of an initializer's tensor beside what is known of its data. */
export function describeTensor(
  value: Value,
  tensor: Tensor,
  data: Facts | undefined,
  context: PrintContext,
): Facts | undefined {
  const name = tensor.name === context.nameOf(value) ? undefined : someText(tensor.name);
  return someFacts({ name, doc: someText(tensor.docString), ...data });
}

/** The text, or undefined where it is empty. */
function someText(text: string): string | undefined {
  return text === "" ? undefined : text;
}
