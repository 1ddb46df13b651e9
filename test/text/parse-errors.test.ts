/** Tests of refused text: place, expectation and what stood there; and that hostile text costs neither time nor memory. */
import { describe, expect, test } from "vitest";
import { type Diagnostic, DiagnosticError } from "../../src/diagnostics/define.ts";
import { parseGraph, parseModel } from "../../src/text/parse.ts";

function refusal(read: () => unknown): Diagnostic {
  try {
    read();
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics[0];
    throw error;
  }
  throw new Error("the text was taken");
}

const graphRefusal = (text: string): Diagnostic => refusal(() => parseGraph(text));

describe("syntax", () => {
  test.each([
    ["", "1:1", "the name of a graph", "the end of the text"],
    ["f () => ()", "1:11", '"{"', "the end of the text"],
    ["f (float[2 x) => () {}", "1:12", '"," or "]"', '"x"'],
    ["f (float[2,] x) => () {}", "1:12", "a dimension: a number, a name or ?", '"]"'],
    ["f (x)\n -> () {}", "2:2", '"=>"', '"-"'],
    ["f (x) = > () {}", "1:7", '"=>"', '"="'],
    ["f (x) => (y) { y = }", "1:20", "an operator", '"}"'],
    ["f (x) => (y) {\n  y = Op <a 1> (x)\n}", "2:13", '"="', '"1"'],
    ["f (x) => (y) { y = Op <a = > (x) }", "1:28", "the value of an attribute", '">"'],
    [
      "f (x) => (y) { y = Op <a = []> (x) }",
      "1:28",
      "the kind of an empty list, as in axes: ints = []",
      "[]",
    ],
    [
      "f (x) => (y) { y = Op <a = [1, 2.5]> (x) }",
      "1:28",
      "a list of kind int throughout",
      "an element of kind float",
    ],
    ["f (x) => (y) { y = Op <a: ints = 1> (x) }", "1:25", "a value of kind ints", "one of kind int"],
    ["f (x) => (y) { y = Op <a: real = 1> (x) }", "1:27", "a kind of attribute such as ints", '"real"'],
    ["f (x) => (y) { y = Op <a = @b> (x) }", "1:26", "the kind of the attribute", "a reference"],
    ['f (x) => (y) { y = Op <a = "s> (x) }', "1:28", 'a closing "', "the end of the text"],
    ["f (x) => (y) { y = Op (x x) }", "1:26", '")"', '"x"'],
    ["f (w = {1}) => () {}", "1:4", "a type before the name of data", '"w"'],
    ["f (float[N] w = {1}) => () {}", "1:4", "a tensor type with numbers as dimensions", "float32[N]"],
    ["f (float[] w = {1}) => () {}", "1:4", "a tensor type with numbers as dimensions", "float32[...]"],
    [
      "f (seq(float) w = {1}) => () {}",
      "1:4",
      "a tensor type with numbers as dimensions",
      "sequence of float32[]",
    ],
    ["f () => () <float[1] w = 1> {}", "1:26", 'data in "{" and "}", or "[" and the place of a file', '"1"'],
    ["f (seq(double[2) x) => () {}", "1:16", '"," or "]"', '")"'],
    ["f (map(seq, float) x) => () {}", "1:8", "an element type such as float", '"seq"'],
    ["f () => () {} g", "1:15", "the end of the text", '"g"'],
  ])("%s", (text, place, expected, got) => {
    const found = graphRefusal(text);
    expect(found).toMatchObject({ code: "E_TEXT_SYNTAX", place, expected, got });
    expect(found.next).toContain("docs/text-format.md");
  });

  test("the header names the fields it knows", () => {
    const found = refusal(() => parseModel('<ir_version: 8, opsets: ["" : 17]> f () => () {}'));
    expect(found).toMatchObject({ code: "E_TEXT_SYNTAX", place: "1:17", got: '"opsets"' });
    expect(found.expected).toContain("opset_import");
  });

  test("places name the file", () => {
    expect(refusal(() => parseModel("f", { file: "a/b.onnxtxt" })).place).toBe("a/b.onnxtxt:1:2");
  });
});

describe("meaning", () => {
  test.each([
    ["f (x) => (y) {\n  y = Neg (z)\n}", "E_TEXT_UNDEFINED", "2:12"],
    ["f (x) => (y) {}", "E_TEXT_UNDEFINED", "1:11"],
    ["f (x) => () { y = A (z) z = B (x) }", "E_TEXT_UNDEFINED", "1:22"],
    ["f (x, x) => () {}", "E_TEXT_REDEFINED", "1:7"],
    ["f (x) => () { x = Neg (x) }", "E_TEXT_REDEFINED", "1:15"],
    ["f (x) => () { y, y = Split (x) }", "E_TEXT_REDEFINED", "1:15"],
    ["f (float x = {1}) => () <float x = {2}> {}", "E_TEXT_REDEFINED", "1:26"],
    ["f (x) => () { y = Op <a = 1, a = 2> (x) }", "E_TEXT_REDEFINED", "1:30"],
    ["f () => () <float[2] w = {1}> {}", "E_TEXT_TENSOR_SIZE", "1:13"],
    ["f () => () <string[1] w = {}> {}", "E_TEXT_TENSOR_SIZE", "1:13"],
    ['f () => () <float[2] w = ["location": "w", "length": "4"]> {}', "E_TEXT_TENSOR_SIZE", "1:13"],
    ['f () => () <string[2] w = ["location": "w"]> {}', "E_TEXT_TENSOR_SIZE", "1:13"],
    ['f () => () <float[2] w = ["location": "w", "offset": "-1"]> {}', "E_TEXT_LITERAL", "1:13"],
    ['f () => () <float[2] w = ["location": "a/../../w"]> {}', "E_TEXT_LOCATION", "1:13"],
    ['f () => () <float[2] w = ["location": "..\\\\w"]> {}', "E_TEXT_LOCATION", "1:13"],
    ['f () => () <float[2] w = ["offset": "0"]> {}', "E_TEXT_LOCATION", "1:13"],
    ["f () => () <int8[1] w = {128}> {}", "E_TEXT_LITERAL", "1:26"],
    ["f () => () <float16[1] w = {1.5}> {}", "E_TEXT_LITERAL", "1:29"],
    ["f () => () <float[1] w = {1e39}> {}", "E_TEXT_LITERAL", "1:27"],
    ["f () => () <uint64[1] w = {-1}> {}", "E_TEXT_LITERAL", "1:28"],
    ["f () => () { y = Op <a = 9223372036854775808> () }", "E_TEXT_LITERAL", "1:26"],
    ["f (float[9007199254740993] x) => () {}", "E_TEXT_LITERAL", "1:10"],
    ["f (x) => () { y, z = Split (x)  # float[2]\n}", "E_TEXT_RESULT_TYPES", "1:15"],
  ])("%s", (text, code, place) => {
    expect(graphRefusal(text)).toMatchObject({ code, place });
  });

  test("an undefined name has suggestions", () => {
    expect(graphRefusal("f (hidden, other) => () { y = Neg (hiden) }").next).toBe('did you mean "hidden"?');
  });

  test("a function is defined once and sees no values around it", () => {
    const fn = '<domain: "d", opset_import: ["" : 20]>\nF (x) => (y) { y = Neg (x) }\n';
    expect(refusal(() => parseModel(`f (z) => () {}\n${fn}${fn}`))).toMatchObject({
      code: "E_TEXT_REDEFINED",
      place: "4:1",
    });
    const captures = fn.replace("Neg (x)", "Neg (z)");
    expect(refusal(() => parseModel(`f (z) => () {}\n${captures}`)).code).toBe("E_TEXT_UNDEFINED");
  });

  test("what was elided cannot be read", () => {
    const text = 'f () => () <\n  #! {"tensor": {"elided": true}}\n  float[1000] w = {}\n> {}';
    expect(graphRefusal(text)).toMatchObject({ code: "E_TEXT_ELIDED", place: "3:3" });
  });
});

describe("directives", () => {
  test.each([
    ["#! {\nf () => () {}", "1:1", "it is not JSON"],
    ["#! [1]\nf () => () {}", "1:1", "it is no object"],
    ['#! {"docs": "x"}\nf () => () {}', "1:1", '"docs" is not known'],
    ['#! {"doc": 1}\nf () => () {}', "1:1", '"doc" is not a string'],
    ['#! {"metadata": ["a"]}\nf () => () {}', "1:1", '"metadata" is no object'],
    ['#! {"tensor": {"elided": false}}\nf () => () {}', "1:1", '"elided" has a value that it may not have'],
    ['#! {"values": {}}\nf () => () {}', "1:1", '"values" does not belong to a graph'],
    [
      'f (x) => () {\n #! {"aliases": {"a": "b"}}\n y = A (x) }',
      "2:2",
      '"aliases" does not belong to a node',
    ],
    [
      'f (x) => () {\n #! {"doc": "a"}\n #! {"doc": "b"}\n y = A (x) }',
      "3:2",
      "it stands before nothing that it can speak of",
    ],
    [
      'f (x) => () {\n y = A (x)\n #! {"doc": "a"}\n}',
      "3:2",
      "it stands before nothing that it can speak of",
    ],
    [
      'f (x) => () {\n y = A <\n #! {"doc": "a"}\n b = 1> (x)\n}',
      "3:2",
      "it stands before nothing that it can speak of",
    ],
    ['f (x\n#! {"doc": "a"}\n) => () {}', "2:1", "it stands before nothing that it can speak of"],
    ['f () => () {}\n#! {"doc": "a"}', "2:1", "it stands before nothing that it can speak of"],
    ['f (x) => () {\n #! {"values": {"z": {"doc": "a"}}}\n y = A (x) }', "3:2", 'the node has no result "z"'],
    [
      'f (x) => () {\n #! {"attributes": {"b": {"doc": "a"}}}\n y = A <a = 1> (x) }',
      "3:16",
      'the node has no attribute "b"',
    ],
    [
      'f (x) => () {\n #! {"attributes": {"a": {"sparse": "one"}}}\n y = A <a = 1> (x) }',
      "3:11",
      "an attribute is no sparse tensor",
    ],
    [
      'f () => () <\n #! {"tensor": {"bits": {"1": "7f800001"}}}\n float[1] w = {nan}\n> {}',
      "3:2",
      "element 1 cannot have bits 7f800001",
    ],
  ])("%s", (text, place, got) => {
    expect(graphRefusal(text)).toMatchObject({ code: "E_TEXT_DIRECTIVE", place, got });
  });

  test("the header has a fixed set of texts", () => {
    expect(refusal(() => parseModel('#! {"header": {"graph": "x"}}\nf () => () {}')).got).toBe(
      '"graph" is no text of the header',
    );
  });
});

describe("hostile text", () => {
  const many = 200_000;

  test.each([
    ["bodies", `f () => () {${"= Op () <a = g () => () {".repeat(many)}`, "E_TEXT_NESTING"],
    ["types", `f (${"seq(".repeat(many)}`, "E_TEXT_NESTING"],
    [
      "facts in facts",
      `#! ${'{"attributes": {"a": '.repeat(1)}${'{"items": {"0": '.repeat(many)}1${"}}".repeat(many)}}}\nf () => () {}`,
      "E_TEXT_DIRECTIVE",
    ],
    [
      "brackets in a directive",
      `#! ${"[".repeat(many)}${"]".repeat(many)}\nf () => () {}`,
      "E_TEXT_DIRECTIVE",
    ],
    ["an open string", `f (float["${"\\\\".repeat(many)}`, "E_TEXT_SYNTAX"],
    ["a long number", `f () => () { = Op <a = ${"9".repeat(many)}> () }`, "E_TEXT_LITERAL"],
    [
      "a long undefined name",
      `f (${"x".repeat(many)}) => () { = Op (${"y".repeat(many)}) }`,
      "E_TEXT_UNDEFINED",
    ],
    [
      "a tensor that claims much",
      "f () => () <float[1000000000,1000000000] w = {1}> {}",
      "E_TEXT_TENSOR_SIZE",
    ],
    [
      "a tensor of strings that claims much",
      "f () => () <string[9007199254740991] w = {}> {}",
      "E_TEXT_TENSOR_SIZE",
    ],
    [
      "dimensions whose product is no number",
      'f () => () <float[9007199254740991,9007199254740991] w = ["location": "w", "length": "1"]> {}',
      "E_TEXT_TENSOR_SIZE",
    ],
  ])("%s", (_name, text, code) => {
    expect(graphRefusal(text).code).toBe(code);
  });

  test("remarks, blank lines and commas by the thousand", () => {
    const text = `f (x) => () {${"\n# float[\n\n".repeat(20_000)} y = A (${",".repeat(20_000)}) # float[${"(".repeat(20_000)}\n}`;
    expect(parseGraph(text).first?.inputs.length).toBe(20_000);
  });

  test("polynomials that would have a million terms are names", () => {
    const factor = "floordiv(a + b, 1)";
    const text = Array.from({ length: 20 }, () => factor).join("*");
    const [x] = parseGraph(`f (float["${text}"] x) => () { y = A () # float[${text}]\n }`).inputs;
    expect(String(x?.tensorType?.shape?.[0])).toBe(text);
  });
});
