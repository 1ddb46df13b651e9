/** Written files: weights where they should be, limits kept, nothing half written. */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { copyFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { float32Tensor } from "../../src/ir/constant.ts";
import { Model } from "../../src/ir/model.ts";
import { Tensor } from "../../src/ir/tensor.ts";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModel, writeModel } from "../../src/onnx/write.ts";
import { errorCode } from "./error-code.ts";
import { temporaryFolder } from "./fixture-files.ts";
import { adder, initializersOf, large } from "./small-models.ts";

/** Code of the diagnostic that a promise is rejected with. */
async function rejection(action: Promise<unknown>): Promise<string> {
  const error: unknown = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return errorCode(() => {
    if (error !== undefined) throw error;
  });
}

describe("limits", () => {
  test("of the runtime are checked when asked", () => {
    const at = (opset: number, irVersion: number): string => {
      const model = new Model({ opsets: [["", opset]], irVersion });
      encodeModel(model);
      return errorCode(() => encodeModel(model, { checkLimits: true }));
    };
    expect([at(26, 13), at(27, 13), at(26, 14)]).toEqual(["none", "E_ONNX_VERSION", "E_ONNX_VERSION"]);
  });

  test("of protobuf: 2 GiB, noticed before anything is read", () => {
    const file = join(temporaryFolder(), "holes.bin");
    const descriptor = openSync(file, "w");
    ftruncateSync(descriptor, 2 ** 31);
    closeSync(descriptor);
    const tensor = new Tensor("float32", [2 ** 29], {
      kind: "file",
      range: { file, offset: 0, length: 2 ** 31 },
    });
    expect(errorCode(() => encodeModel(adder(tensor)))).toBe("E_ONNX_TOO_LARGE");
  });
});

describe("files", () => {
  const files = (folder: string): string[] => readdirSync(folder).sort();

  test("with weights inside are what encoding gives", async () => {
    const path = join(temporaryFolder(), "made", "model.onnx");
    const model = readModel("fixtures/models/stories260k/model-dynamo.onnx");
    await writeModel(model, path);
    expect(files(join(path, ".."))).toEqual(["model.onnx"]);
    expect(Buffer.compare(readFileSync(path), encodeModel(model))).toBe(0);
  });

  test("with weights beside them: each tensor once, aligned", async () => {
    const path = join(temporaryFolder(), "model.onnx");
    const shared = large(3);
    const model = adder(shared);
    model.graph.addInitializer(float32Tensor([5]), "small");
    model.graph.addInitializer(float32Tensor(Array(301).fill(4)), "odd");
    model.graph.addInitializer(shared, "again");
    model.graph.addInitializer(large(6), "last");
    await writeModel(model, path, { weights: "external" });
    const read = readModel(path).graph;
    const places = [...initializersOf(read)].map(([name, { source }]) => [
      name,
      source.kind === "file" ? source.range.offset : source.kind,
    ]);
    expect(places).toEqual([
      ["w", 0],
      ["small", "inline"],
      ["odd", 4032],
      ["again", 0],
      ["last", 5248],
    ]);
    for (const [name, tensor] of initializersOf(model.graph)) {
      expect(initializersOf(read).get(name)?.bytes()).toEqual(tensor.bytes());
    }
    expect(statSync(`${path}.data`).size).toBe(5248 + 4000);
  });

  test("that refer to weights where they lie, in the model file itself and in data files", async () => {
    const folder = temporaryFolder();
    await copyFile("fixtures/models/stories260k/model.onnx", join(folder, "model.onnx"));
    const model = readModel(join(folder, "model.onnx"));
    await writeModel(model, join(folder, "derived.onnx"), { weights: "reference" });
    expect(statSync(join(folder, "derived.onnx")).size).toBeLessThan(400_000);
    const derived = readModel(join(folder, "derived.onnx"));
    for (const [name, tensor] of initializersOf(derived.graph)) {
      expect(tensor.source).toEqual(initializersOf(model.graph).get(name)?.source);
    }
    const elsewhere = encodeModel(derived, { weights: "reference", folder });
    expect(Buffer.compare(elsewhere, readFileSync(join(folder, "derived.onnx")))).toBe(0);
  });

  test("cannot refer to weights outside their folder, or through links", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "model.onnx");
    await copyFile("fixtures/models/stories260k/model.onnx", file);
    const model = readModel(file);
    const refer = (folder: string, read = model): string =>
      errorCode(() => encodeModel(read, { weights: "reference", folder }));
    mkdirSync(join(folder, "sub"));
    expect(refer(join(folder, "sub"))).toBe("E_WEIGHTS_ELSEWHERE");
    expect(refer(resolve(folder, ".."))).toBe("none");
    symlinkSync(file, join(folder, "link.onnx"));
    expect(refer(folder, readModel(join(folder, "link.onnx")))).toBe("E_EXTERNAL_LINK");
    expect(refer(folder, readModel(join(folder, "link.onnx"), { followLinks: true }))).toBe("none");
  });

  test("that hold the weights that are needed are not replaced", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "model.onnx");
    await writeModel(adder(large(2)), path);
    const model = readModel(path);
    expect(await rejection(writeModel(model, path, { weights: "reference" }))).toBe("E_WEIGHTS_OVERWRITTEN");
    await writeModel(model, path, { weights: "external" });
    const external = readModel(path);
    expect(await rejection(writeModel(external, path, { weights: "external" }))).toBe(
      "E_WEIGHTS_OVERWRITTEN",
    );
    await writeModel(external, path);
    expect(initializersOf(readModel(path).graph).get("w")?.bytes()).toEqual(large(2).bytes());
  });

  test("are not touched when writing fails", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "model.onnx");
    writeFileSync(path, "before");
    const broken = new Tensor("float32", [1000], {
      kind: "lazy",
      compute: () => {
        throw new Error("no data");
      },
    });
    await expect(writeModel(adder(broken), path)).rejects.toThrow("no data");
    const short = new Tensor("float32", [1000], { kind: "lazy", compute: () => new Uint8Array(10) });
    await expect(writeModel(adder(short), path)).rejects.toThrow("internal:");
    expect(readFileSync(path, "utf8")).toBe("before");
    expect(files(folder)).toEqual(["model.onnx"]);
  });
});
