/** Properties of text over generated strings, names, numbers and dimensions. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inlineTensor } from "../../src/ir/constant.ts";
import {
  addDims,
  type Dim,
  floorDivDims,
  maxDims,
  minDims,
  modDims,
  mulDims,
  subDims,
  symbol,
} from "../../src/ir/dim.ts";
import { byteLength, dtypes } from "../../src/ir/dtype.ts";
import { Model } from "../../src/ir/model.ts";
import { Node } from "../../src/ir/node.ts";
import { Tensor } from "../../src/ir/tensor.ts";
import { tensorType } from "../../src/ir/type.ts";
import { Value } from "../../src/ir/value.ts";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";

const runs = { numRuns: 300 };

/** Every string of UTF-16 units, halves of pairs, zero and line breaks included. */
const anyString = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({
    unit: fc.constantFrom('"', "\\", "#", "!", "\n", "\r", "\0", "\ud800", "\udc00", "a", "0", " ", ",", ")"),
  }),
);

/** The model that a model's text stands for; checks that it prints the same again. */
function reread(model: Model): Model {
  const text = printModel(model);
  const parsed = parseModel(text);
  expect(printModel(parsed)).toBe(text);
  return parsed;
}

function onlyNode(model: Model): Node {
  const { first } = model.graph;
  if (first === undefined) throw new Error("the model lost its node");
  return first;
}

describe("strings", () => {
  test("attributes, documentation and metadata keep every string", () => {
    fc.assert(
      fc.property(
        anyString,
        fc.array(anyString),
        fc.dictionary(anyString, anyString),
        (text, texts, metadata) => {
          const model = new Model();
          model.docString = text;
          model.producerName = text;
          for (const [key, value] of Object.entries(metadata)) model.metadata.set(key, value);
          const node = new Node({
            op: "Op",
            inputs: [],
            attributes: { one: text, many: { kind: "strings", value: texts } },
          });
          node.docString = text;
          for (const [key, value] of Object.entries(metadata)) node.metadata.set(key, value);
          model.graph.insert(node);
          const parsed = reread(model);
          const found = onlyNode(parsed);
          expect(found.attributes.get("one")).toEqual({ kind: "string", value: text });
          expect(found.attributes.get("many")).toEqual({ kind: "strings", value: texts });
          expect([parsed.docString, parsed.producerName, found.docString]).toEqual([text, text, text]);
          expect(Object.fromEntries(parsed.metadata)).toEqual(Object.fromEntries(model.metadata));
          expect(Object.fromEntries(found.metadata)).toEqual(Object.fromEntries(node.metadata));
        },
      ),
      runs,
    );
  });

  test("tensors of strings keep every byte", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (values) => {
        const model = new Model();
        const tensor = { kind: "strings", values } as const;
        model.graph.addInitializer(stringTensor(values.length, tensor), "s");
        const [found] = reread(model).graph.initializers;
        const source = found?.initializer?.source;
        const bytes =
          source?.kind === "strings" ? source.values.map((value) => Uint8Array.from(value)) : undefined;
        expect(bytes).toEqual(values);
      }),
      runs,
    );
  });
});

describe("names", () => {
  test("values, nodes, operators and attributes keep every name", () => {
    fc.assert(
      fc.property(anyString, anyString, anyString, anyString, (value, op, attribute, domain) => {
        fc.pre(domain !== "ai.onnx" && attribute !== "__proto__");
        const model = new Model();
        model.graph.name = value;
        const x = model.graph.addInput({ name: value });
        const node = new Node({ op, domain, name: value, inputs: [x], attributes: { [attribute]: 1 } });
        model.graph.insert(node);
        model.graph.addOutput(node.output());
        const parsed = reread(model);
        const found = onlyNode(parsed);
        expect(parsed.graph.name).toBe(value);
        if (value !== "") expect(parsed.graph.inputs[0]?.name).toBe(value);
        expect([found.op, found.domain, found.name]).toEqual([op, domain, value]);
        expect([...found.attributes.keys()]).toEqual([attribute]);
      }),
      runs,
    );
  });

  test("equal and clashing names of many values print apart", () => {
    const name = fc.constantFrom("", "x", "x_1", "a b", "a_b", "a\0b", "float", "value");
    fc.assert(
      fc.property(fc.array(name, { maxLength: 12 }), (names) => {
        const model = new Model();
        const inputs = names.map((wish) => model.graph.addInput({ name: wish }));
        const node = new Node({ op: "Sum", inputs, outputs: names.map((wish) => new Value({ name: wish })) });
        model.graph.insert(node);
        const found = onlyNode(reread(model));
        expect(new Set([...found.inputs, ...found.outputs]).size).toBe(names.length * 2);
      }),
      runs,
    );
  });
});

describe("numbers", () => {
  test("int attributes keep 64 bits", () => {
    const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    fc.assert(
      fc.property(fc.array(int64, { minLength: 1 }), (values) => {
        const model = new Model();
        model.graph.insert(
          new Node({ op: "Op", inputs: [], attributes: { ints: { kind: "ints", value: values } } }),
        );
        const attribute = onlyNode(reread(model)).attributes.get("ints");
        expect(attribute?.kind === "ints" ? attribute.value.map(BigInt) : undefined).toEqual(values);
      }),
      runs,
    );
  });

  test("float attributes keep float32", () => {
    fc.assert(
      fc.property(fc.array(fc.double(), { minLength: 1 }), (values) => {
        const model = new Model();
        model.graph.insert(
          new Node({ op: "Op", inputs: [], attributes: { floats: { kind: "floats", value: values } } }),
        );
        const attribute = onlyNode(reread(model)).attributes.get("floats");
        expect(attribute).toEqual({ kind: "floats", value: values.map(Math.fround) });
      }),
      runs,
    );
  });

  test.each(dtypes.filter((dtype) => dtype !== "string"))("tensors of %s keep every bit", (dtype) => {
    fc.assert(
      fc.property(fc.nat({ max: 9 }), fc.uint8Array({ minLength: 160, maxLength: 160 }), (size, data) => {
        const bytes = data.slice(0, byteLength(dtype, size));
        const model = new Model();
        model.graph.addInitializer(inlineTensor(dtype, [size], bytes), "w");
        model.graph.insert(
          new Node({ op: "Op", inputs: [], attributes: { value: inlineTensor(dtype, [size, 1], bytes) } }),
        );
        const parsed = reread(model);
        const [found] = parsed.graph.initializers;
        const attribute = onlyNode(parsed).attributes.get("value");
        expect(found?.initializer?.bytes()).toEqual(bytes);
        expect(attribute?.kind === "tensor" ? attribute.value.bytes() : undefined).toEqual(bytes);
      }),
      { numRuns: 60 },
    );
  });
});

describe("dimensions", () => {
  const operations = [addDims, subDims, mulDims, floorDivDims, modDims, maxDims, minDims];
  const { dim } = fc.letrec<{ dim: Dim }>((tie) => ({
    dim: fc.oneof(
      { maxDepth: 3 },
      fc.integer({ min: -9, max: 99 }),
      fc.constantFrom("batch", "seq", "n_1", "max", "odd name", "2").map(symbol),
      fc
        .tuple(fc.constantFrom(...operations), tie("dim"), tie("dim"))
        .map(([operation, left, right]) => operation(left, right)),
    ),
  }));

  test("expressions of inputs and results keep their canonical text", () => {
    fc.assert(
      fc.property(dim, (size) => {
        const model = new Model();
        const x = model.graph.addInput({ name: "x", type: tensorType("float32", [size]) });
        const y = new Value({ name: "y", type: tensorType("float32", [size, 1]) });
        model.graph.insert(new Node({ op: "Op", inputs: [x], outputs: [y] }));
        const parsed = reread(model);
        const isUnknown = String(size).includes("?");
        const sizes = [parsed.graph.inputs[0], onlyNode(parsed).output()].map(
          (value) => value?.tensorType?.shape?.[0],
        );
        if (!isUnknown) expect(sizes.map(String)).toEqual([String(size), String(size)]);
      }),
      { numRuns: 1000 },
    );
  });
});

function stringTensor(
  size: number,
  source: { readonly kind: "strings"; readonly values: readonly Uint8Array[] },
): Tensor {
  return new Tensor("string", [size], source);
}
