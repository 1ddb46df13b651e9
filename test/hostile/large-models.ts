/** Models that are large in one way only: lists, names, ranks and chains that no exporter writes. */
import type {
  AttributeMessage,
  GraphMessage,
  NodeMessage,
  ValueInfoMessage,
} from "../../src/onnx/messages.ts";
import { inModel } from "../onnx/small-models.ts";

function floats(name: string, sizes: readonly number[] = [2]): ValueInfoMessage {
  return {
    name,
    type: { tensor_type: { elem_type: 1, shape: { dim: sizes.map((dim_value) => ({ dim_value })) } } },
  };
}

function node(
  op_type: string,
  input: string[],
  output: string[],
  attribute: AttributeMessage[] = [],
): NodeMessage {
  return { op_type, input, output, attribute };
}

function graph(nodes: readonly NodeMessage[], rest: GraphMessage = {}): Uint8Array {
  return inModel({ input: [floats("x")], node: [...nodes], output: [{ name: "y" }], ...rest });
}

const ones = (count: number): number[] => Array<number>(count).fill(1);
const axis = { name: "axis", type: 2, i: 0 };

/** By what is large about them. */
export const largeModels: Readonly<Record<string, () => Uint8Array>> = {
  "a list of 1,000,000 axes": () =>
    graph([node("Transpose", ["x"], ["y"], [{ name: "perm", type: 7, ints: ones(1e6) }])]),
  "a list of 1,000,000 texts": () =>
    graph([
      node(
        "Relu",
        ["x"],
        ["y"],
        [{ name: "texts", type: 8, strings: Array<Uint8Array>(1e6).fill(Uint8Array.of(97)) }],
      ),
    ]),
  "a shape of 1,000,000 sizes": () =>
    graph([node("Reshape", ["x", "s"], ["y"])], {
      initializer: [{ name: "s", data_type: 7, dims: [1e6], int64_data: ones(1e6) }],
    }),
  "a reduction over 1,000,000 axes": () =>
    graph([node("ReduceSum", ["x", "s"], ["y"])], {
      initializer: [{ name: "s", data_type: 7, dims: [1e6], int64_data: ones(1e6) }],
    }),
  "100,000 axes": () =>
    graph([node("Add", ["x", "x"], ["a"]), node("Softmax", ["a"], ["y"])], {
      input: [floats("x", ones(1e5))],
    }),
  "100,000 attributes": () =>
    graph([
      node(
        "Relu",
        ["x"],
        ["y"],
        Array.from({ length: 1e5 }, (_, i) => ({ name: `a${i}`, type: 2, i })),
      ),
    ]),
  "10,000 operands": () => graph([node("Concat", Array<string>(1e4).fill("x"), ["y"], [axis])]),
  "10,000 addends": () => graph([node("Sum", Array<string>(1e4).fill("x"), ["y"])]),
  "10,000 results": () => {
    const results = Array.from({ length: 1e4 }, (_, i) => (i === 0 ? "y" : `r${i}`));
    return graph([node("Split", ["x"], results, [axis, { name: "num_outputs", type: 2, i: 1e4 }])], {
      input: [floats("x", [1e4])],
    });
  },
  "20,000 inputs": () =>
    graph([node("Relu", ["x"], ["y"])], {
      input: [floats("x"), ...Array.from({ length: 2e4 }, (_, i) => floats(`i${i}`))],
    }),
  "names of 5 MB": () =>
    graph([node("Relu", ["x"], ["n".repeat(5e6)]), node("Nope", ["n".repeat(5e6)], ["y"])], {
      name: "g".repeat(5e6),
    }),
  "a chain of 5,000 nodes in reverse": () => {
    const chain = Array.from({ length: 5e3 }, (_, i) =>
      node("Relu", [i === 0 ? "x" : `r${i - 1}`], [i === 5e3 - 1 ? "y" : `r${i}`]),
    );
    return graph(chain.reverse());
  },
};
