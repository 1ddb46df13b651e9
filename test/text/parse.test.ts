/** Tests of reading text that people and the reference printer write. */
import { describe, expect, test } from "vitest";
import { formatType } from "../../src/ir/type.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { parseGraph, parseModel } from "../../src/text/parse.ts";
import { printGraph, printModel } from "../../src/text/print.ts";

/** The text that a text prints as, without the default header. */
function reprint(text: string): string {
  const model = parseModel(text);
  verifyModel(model);
  return printModel(model, { header: "unless-default" });
}

test("a graph without a header is a model of IR version 10 and opset 20", () => {
  const model = parseModel("f (float[2,3] x) => (float L) { L = ReduceSum <keepdims = 0> (x) }");
  expect(model.irVersion).toBe(10);
  expect([...model.opsets]).toEqual([["", 20]]);
  expect(model.graph.name).toBe("f");
  expect(model.origin).toBeUndefined();
});

test("the text of a file has the file as origin", () => {
  expect(parseModel("f () => () {}", { file: "/models/a.onnxtxt" }).origin).toEqual({
    file: "/models/a.onnxtxt",
    folder: "/models",
  });
});

test("every field of the header is read", () => {
  const text = `<
  ir_version: 8,
  opset_import: ["" : 17, "com.microsoft" : 1],
  producer_name: "p",
  producer_version: "1",
  domain: "d",
  doc_string: "s",
  model_version: 9007199254740993,
  metadata_props: ["k": "v"]
>
g () => () {}
`;
  const model = parseModel(text);
  expect(model.modelVersion).toBe(9007199254740993n);
  expect(printModel(model)).toBe(text);
});

test("types of results are read from comments, header lists and the list of types", () => {
  const text = `f (float[N] x) => (float[N,2] z) <int64[4] b> {
  a = A (x)   # float[N]
  b = B (a)
  c, d = C (b)# ?, seq(float[2*N + 1])
  e = E (c)   # only a remark
  g = G (e)   # float16 is what this should be
  h, "", i = H (g)
    # float[2]
  z = Z (h, i, d)
}`;
  expect(reprint(text)).toBe(`f (float[N] x) => (float[N,2] z) {
  a = A (x)  # float[N]
  b = B (a)  # int64[4]
  c, d = C (b)  # ?, seq(float[2*N + 1])
  e = E (c)
  g = G (e)
  h, "", i = H (g)
  z = Z (h, i, d)
}
`);
});

test("dimensions in comments may be quoted, spaced and not in order", () => {
  const graph = parseGraph(`f (x) => () {
  a = A (x) # float[ "batch" , seq * batch, max( 3,min(b,a) ),? , floordiv(a+a, 2)]
}`);
  expect(formatType(graph.first?.output().type)).toMatch(
    /^float32\[batch, batch\*seq, max\(3, min\(a, b\)\), \?\d+, a\]$/,
  );
});

test("the list of types widens the type of an initializer", () => {
  const graph = parseGraph("f () => () <float[2] w = {1, 2}, float[N] w, float[3] nobody> {}");
  const [w] = graph.initializers;
  expect(formatType(w?.type)).toBe("float32[N]");
  expect(printGraph(graph)).toBe("f () => () <float[2] w = {1, 2}, float[N] w> {}\n");
});

test("an initializer with the name of an input is its default", () => {
  const graph = parseGraph("f (float[N] x, int64 y = {3}) => () <float[2] x = {1, 2}> {}");
  expect(graph.initializers.size).toBe(0);
  expect(graph.inputs.map(({ initializer }) => initializer?.dims)).toEqual([[2], []]);
});

describe("nodes", () => {
  test("attributes may stand before or after operands", () => {
    const text = 'f (x) => () { [n] y = A <a = 1> (x) z = B (y, ) <b = 2.5> w = C(,x) = D() v=E ("", w) }';
    expect(reprint(text)).toBe(`f (x) => () {
  [n] y = A <a = 1> (x)
  z = B <b = 2.5> (y)
  w = C ("", x)
  = D ()
  v = E ("", w)
}
`);
  });

  test("every kind may be named, as the reference printer does", () => {
    const attributes = [
      "a: int = 1",
      "b: float = 1",
      'c: string = "s"',
      "d: tensor = float[1] {1}",
      "e: tensor = int64[1] name = {1}",
      "f: type_proto = seq(float)",
      "g: ints = [1, 2]",
      "h: floats = [1, 2.5, inf]",
      'i: strings = ["s"]',
      "j: graph = g (float x) => (float x) {}",
      "k: type_protos = [float, optional(int64[2])]",
      "l: ints = @axes",
    ];
    expect(reprint(`f () => () { y = Op () <${attributes.join(", ")}> }`)).toBe(`f () => () {
  y = Op () <
    a = 1,
    b = 1.0,
    c = "s",
    d = float[1] {1},
    e = int64[1] name {1},
    f = seq(float),
    g = [1, 2],
    h = [1.0, 2.5, inf],
    i = ["s"],
    j = g (float x) => (float x) {},
    k: type_protos = [float, optional(int64[2])],
    l: ints = @axes
  >
}
`);
  });

  test("ai.onnx may be written out", () => {
    const model = parseModel('<opset_import: ["ai.onnx" : 21]> f (x) => () { y = ai.onnx.Neg (x) }');
    expect(model.opset).toBe(21);
    expect(model.graph.first?.domain).toBe("");
  });

  test("bodies see the values around them, and may hide them", () => {
    const model = parseModel(`f (x, c) => (y) {
  t = Abs (x)
  y = If (c) <
    then_branch = a () => (t) { t = Neg (t) },
    else_branch = b () => (x) {}
  >
}`);
    verifyModel(model);
    const [t, y] = [...model.graph.nodes()];
    const [then, otherwise] = y?.subgraphs() ?? [];
    expect(then?.first?.input(0)).toBe(t?.output());
    expect(then?.outputs[0]).toBe(then?.first?.output());
    expect(otherwise?.outputs[0]).toBe(model.graph.inputs[0]);
    expect(printModel(model)).toContain("a () => (t_1) {\n      t_1 = Neg (t)");
  });
});

test("functions are read", () => {
  const text = `<ir_version: 10, opset_import: ["" : 20, "d" : 1]>
main (x) => (y) {
  y = d.F:v <p = 2> (x)
}

<domain: "d", overload: "v", opset_import: ["" : 20], doc_string: "s">
F <p, q = 1.5> (float[N] x) => (float[N] y) {
  t = Op <p: int = @p> (x)  # float[N]
  y = Neg (t)
}
`;
  const model = parseModel(text);
  expect([...model.functions.keys()]).toEqual(["d::F::v"]);
  expect(printModel(model)).toBe(text);
});

test("a function may type its results in a list", () => {
  const [fn] = parseModel(
    'f () => () {} <opset_import: ["":1]> F (x) => (y) <float[2] t> { t = A (x) y = B (t) }',
  ).functions.values();
  expect(formatType(fn?.body.first?.output().type)).toBe("float32[2]");
});

describe("external data", () => {
  const text = (entries: string): string => `f () => () <float[2] w = [${entries}]> {}`;
  const source = (entries: string, options = {}): unknown => {
    const [w] = parseGraph(text(entries), { folder: "/models", ...options }).initializers;
    return w?.initializer?.source;
  };

  test("is a range of a file", () => {
    expect(source('"location": "a/w.bin", "offset": "16", "length": "8", "checksum": "0"')).toEqual({
      kind: "file",
      range: { file: "/models/a/w.bin", offset: 16, length: 8 },
    });
    expect(source('"location": "w.bin"')).toEqual({
      kind: "file",
      range: { file: "/models/w.bin", offset: 0, length: 8 },
    });
  });

  test("outside of the folder is taken only where the text is trusted", () => {
    expect(() => source('"location": "/etc/passwd"')).toThrow(/E_TEXT_LOCATION/);
    expect(source('"location": "/w.bin"', { locations: "anywhere" })).toMatchObject({
      range: { file: "/w.bin" },
    });
    expect(source('"location": "../w.bin"', { locations: "anywhere" })).toMatchObject({
      range: { file: "/w.bin" },
    });
  });
});

test("who reads ONNX files can check the places of data", () => {
  const claims: unknown[] = [];
  const graph = parseGraph('f () => () <float[2] w = ["location": "../w", "offset": "4"]> {}', {
    folder: "/models",
    resolve: (...claim) => {
      claims.push(claim);
      return { file: "/checked", offset: 4, length: 8 };
    },
  });
  expect(claims).toEqual([[{ tensor: "w", location: "../w", offset: 4, length: undefined }, "/models", 8]]);
  expect([...graph.initializers][0]?.initializer?.source).toMatchObject({ range: { file: "/checked" } });
});

test("parseGraph and printGraph keep a graph", () => {
  const text = '#! {"doc": "d"}\ng (float[2] x) => (float[2] y) {\n  y = Neg (x)\n}\n';
  expect(printGraph(parseGraph(text))).toBe(text);
});

test("printGraph shows a body with the names of its model", () => {
  const model = parseModel(`f (x, c) => (y) {
  y = If (c) <then_branch = a () => (x_1) { x_1 = Neg (x) }, else_branch = b () => (z) { z = Abs (x) }>
}`);
  const [, otherwise] = model.graph.first?.subgraphs() ?? [];
  expect(otherwise && printGraph(otherwise)).toBe("b () => (z) {\n  z = Abs (x)\n}\n");
});
