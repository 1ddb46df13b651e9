/** A parameter that the loss depends on without a gradient is refused; one that it does not depend on gets zeros. */
import { expect, test } from "vitest";
import { setRole } from "../../src/ir/role.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { parseModel } from "../../src/text/parse.ts";
import { addBackward } from "../../src/training/backward.ts";
import { valueNamed } from "../autodiff/text-case.ts";

function differentiated(body: string) {
  const model = parseModel(`f (float[2] x, float[2] w) => (float loss) { ${body} }`);
  const { graph } = model;
  inferModel(model);
  setRole(valueNamed(graph, "w"), "param", { key: "layer.w" });
  setRole(valueNamed(graph, "loss"), "loss");
  addBackward(graph, model.opset, undefined);
  return graph;
}

const reduce = "loss = ReduceSum <keepdims = 0> (y)";

test("is refused where it becomes whole numbers", () => {
  const body = `["round"] i = Cast <to = 7> (w) j = Cast <to = 1> (i) y = Mul (x, j) ${reduce}`;
  expect(() => differentiated(body)).toThrow(
    expect.objectContaining({
      code: "E_PARAM_LOST",
      diagnostics: [
        expect.objectContaining({
          message: expect.stringContaining('"layer.w" only through what Cast "round" makes of it'),
          place: '"w" -> Cast "round" -> Cast -> Mul -> ReduceSum -> "loss"',
        }),
      ],
    }),
  );
});

test.each([
  ["does not depend on", `y = Sin (x) ${reduce}`],
  ["takes the shape of", `s = Shape (w) y = Expand (x, s) ${reduce}`],
  ["takes whole parts of, which are floats", `i = Floor (w) y = Mul (x, i) ${reduce}`],
])("gets zeros where the loss %s it", (_, body) => {
  expect(differentiated(body).outputs.map(({ name }) => name)).toEqual(["loss", "grad.layer.w"]);
});
