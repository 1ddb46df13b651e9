/** Types of operators on text. */
import { expect, test } from "vitest";
import { Graph } from "../../src/ir/graph.ts";
import { formatType, tensorType } from "../../src/ir/type.ts";
import { OpBuilder } from "../../src/ops/builder.ts";

test("StringConcat broadcasts, RegexFullMatch gives truth values", () => {
  const graph = new Graph();
  const b = new OpBuilder({ graph }, 20);
  const x = graph.addInput({ name: "x", type: tensorType("string", [2, 1]) });
  const y = graph.addInput({ name: "y", type: tensorType("string", [3]) });
  const joined = b.op("StringConcat", [x, y]);
  expect(formatType(joined.type)).toBe("string[2, 3]");
  expect(formatType(b.op("RegexFullMatch", [joined], { pattern: "a.*" }).type)).toBe("bool[2, 3]");
});
