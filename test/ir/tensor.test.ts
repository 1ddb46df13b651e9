/** Parts of tensors: the right bytes, and no more work than they take. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { emptyState, takeState } from "../../src/compile/state.ts";
import { zeroTensor } from "../../src/ir/constant.ts";
import { Graph } from "../../src/ir/graph.ts";
import { setRole } from "../../src/ir/role.ts";
import { partOfBytes, Tensor } from "../../src/ir/tensor.ts";
import { tensorType } from "../../src/ir/type.ts";
import { flattenParameters } from "../../src/training/flatten.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-compile-tensor-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bytes = Uint8Array.from({ length: 16 }, (_, i) => i);

describe("a part of a tensor", () => {
  const file = join(folder, "weights");
  writeFileSync(file, Uint8Array.from([9, 9, 9, ...bytes, 9]));
  const range = { file, offset: 3, length: 16 };
  test.each([
    ["inline", new Tensor("float32", [4], { kind: "inline", bytes })],
    ["in a file", new Tensor("float32", [4], { kind: "file", range })],
    ["computed", new Tensor("float32", [4], { kind: "lazy", compute: () => bytes })],
  ])("%s", (_, tensor) => {
    expect([...partOfBytes(tensor, 4, 12)]).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test("of zeros", () => {
    expect([...partOfBytes(zeroTensor("float32", [1 << 28]), 8, 12)]).toEqual([0, 0, 0, 0]);
  });
});

test("every parameter of a flat vector is computed once when the state is written", () => {
  const graph = new Graph();
  const computed: string[] = [];
  for (const [index, size] of [3, 0, 2, 5].entries()) {
    const key = `key${index}`;
    const compute = (): Uint8Array => {
      computed.push(key);
      return new Uint8Array(Float32Array.from({ length: size }, (_, i) => 10 * index + i).buffer);
    };
    const initializer = new Tensor("float32", [size], { kind: "lazy", compute });
    setRole(graph.addInput({ name: key, type: tensorType("float32", [size]), initializer }), "param", {
      key,
    });
  }
  flattenParameters(graph, 21);
  const state = emptyState();
  takeState(graph, state);
  const values = [...state.tensors].map(([key, tensor]) => [
    key,
    [...new Float32Array(Uint8Array.from(tensor.bytes()).buffer)],
  ]);
  expect(values).toEqual([
    ["key0", [0, 1, 2]],
    ["key1", []],
    ["key2", [20, 21]],
    ["key3", [30, 31, 32, 33, 34]],
  ]);
  expect(computed).toEqual(["key0", "key2", "key3"]);
});
