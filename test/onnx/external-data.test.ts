/** External data: found only inside the model's folder, in regular files with one name. */
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type ExternalClaim, resolveExternal } from "../../src/onnx/external-data.ts";
import type { TensorMessage } from "../../src/onnx/messages.ts";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModelMessage } from "../../src/onnx/wire.ts";
import { errorCode } from "./error-code.ts";
import { makePipe, temporaryFolder } from "./fixture-files.ts";

const size = 8;

/** A folder `model` with data files in it, and a folder beside it that nothing may reach. */
function setUp(): { readonly folder: string; readonly root: string } {
  const root = temporaryFolder();
  const folder = join(root, "model");
  for (const each of ["", "sub", "..odd"]) mkdirSync(join(folder, each), { recursive: true });
  mkdirSync(join(root, "outside"));
  for (const file of ["model/w.bin", "model/sub/w.bin", "model/..odd/w.bin", "outside/secret.bin"]) {
    writeFileSync(
      join(root, file),
      Uint8Array.from({ length: 16 }, (_, i) => i),
    );
  }
  return { folder, root };
}

function claim(location: string, offset = 0, length: number | undefined = size): ExternalClaim {
  return { tensor: "w", location, offset, length };
}

describe("locations", () => {
  test.each(["w.bin", "sub/w.bin", "./w.bin", "..odd/w.bin"])("%s is inside", (location) => {
    const { folder } = setUp();
    expect(resolveExternal(claim(location, 4), folder, size)).toEqual({
      file: join(folder, location),
      offset: 4,
      length: size,
    });
  });

  test.each([
    ["", "E_EXTERNAL_OUTSIDE"],
    [".", "E_EXTERNAL_OUTSIDE"],
    ["sub", "E_EXTERNAL_OUTSIDE"],
    ["w.bin\0.txt", "E_EXTERNAL_OUTSIDE"],
    ["../outside/secret.bin", "E_EXTERNAL_OUTSIDE"],
    ["sub/../w.bin", "E_EXTERNAL_OUTSIDE"],
    ["sub\\..\\..\\outside\\secret.bin", "E_EXTERNAL_OUTSIDE"],
    ["/etc/passwd", "E_EXTERNAL_OUTSIDE"],
    ["\\server\\share", "E_EXTERNAL_OUTSIDE"],
    ["C:\\w.bin", "E_EXTERNAL_OUTSIDE"],
    ["c:w.bin", "E_EXTERNAL_OUTSIDE"],
    ["none.bin", "E_EXTERNAL_MISSING"],
    ["w.bin/w.bin", "E_EXTERNAL_MISSING"],
  ])("%j is refused, also when links are followed", (location, code) => {
    const { folder } = setUp();
    expect(errorCode(() => resolveExternal(claim(location), folder, size))).toBe(code);
    expect(errorCode(() => resolveExternal(claim(location), folder, size, { followLinks: true }))).toBe(code);
  });

  test.each([undefined, ""])("without a folder (%j) nothing is found", (folder) => {
    expect(errorCode(() => resolveExternal(claim("w.bin"), folder, size))).toBe("E_EXTERNAL_NO_FOLDER");
  });

  test("an absolute path is refused even where it leads inside", () => {
    const { folder } = setUp();
    const location = join(folder, "w.bin");
    expect(errorCode(() => resolveExternal(claim(location), folder, size))).toBe("E_EXTERNAL_OUTSIDE");
  });

  test("a folder that is itself reached through a link is not a way out", () => {
    const { folder, root } = setUp();
    const alias = join(root, "alias");
    symlinkSync(folder, alias);
    expect(resolveExternal(claim("sub/w.bin"), alias, size).file).toBe(join(alias, "sub/w.bin"));
  });
});

describe.skipIf(process.platform === "win32")("links and special files", () => {
  test("a symbolic link is refused, or followed when asked", () => {
    const { folder, root } = setUp();
    const secret = join(root, "outside/secret.bin");
    symlinkSync(secret, join(folder, "link.bin"));
    symlinkSync("w.bin", join(folder, "near.bin"));
    symlinkSync(join(root, "outside"), join(folder, "way"));
    const find = (location: string, followLinks: boolean): string =>
      resolveExternal(claim(location), folder, size, { followLinks }).file;
    for (const location of ["link.bin", "near.bin", "way/secret.bin"]) {
      expect(errorCode(() => find(location, false))).toBe("E_EXTERNAL_LINK");
    }
    expect(find("link.bin", true)).toBe(secret);
    expect(find("way/secret.bin", true)).toBe(secret);
    expect(find("near.bin", true)).toBe(join(folder, "w.bin"));
  });

  test("a hard link is refused, or accepted when asked", () => {
    const { folder, root } = setUp();
    linkSync(join(root, "outside/secret.bin"), join(folder, "hard.bin"));
    const find = (followLinks: boolean): unknown =>
      resolveExternal(claim("hard.bin"), folder, size, { followLinks });
    expect(errorCode(() => find(false))).toBe("E_EXTERNAL_LINK");
    expect(find(true)).toMatchObject({ file: join(folder, "hard.bin") });
  });

  test("a link to nowhere, a pipe and a device are refused either way", () => {
    const { folder } = setUp();
    symlinkSync("nowhere", join(folder, "dangling.bin"));
    symlinkSync("/dev/zero", join(folder, "zero.bin"));
    makePipe(join(folder, "pipe.bin"));
    for (const followLinks of [false, true]) {
      const code = (location: string): string =>
        errorCode(() => resolveExternal(claim(location), folder, size, { followLinks }));
      expect(code("dangling.bin")).toBe("E_EXTERNAL_MISSING");
      expect(code("zero.bin")).toBe("E_EXTERNAL_OUTSIDE");
      expect(code("pipe.bin")).toBe("E_EXTERNAL_OUTSIDE");
    }
  });

  test("the refusal names the option that lifts it", () => {
    const { folder } = setUp();
    symlinkSync("w.bin", join(folder, "near.bin"));
    expect(() => resolveExternal(claim("near.bin"), folder, size)).toThrow("--follow-links");
  });
});

describe("ranges", () => {
  test.each([
    [9, size, "E_EXTERNAL_RANGE"],
    [-1, size, "E_EXTERNAL_RANGE"],
    [Number.NaN, size, "E_EXTERNAL_RANGE"],
    [2 ** 60, size, "E_EXTERNAL_RANGE"],
    [0, Number.NaN, "E_EXTERNAL_RANGE"],
    [0, 17, "E_EXTERNAL_RANGE"],
    [0.5, size, "E_EXTERNAL_RANGE"],
    [0, 4, "E_TENSOR_SIZE"],
    [0, 16, "E_TENSOR_SIZE"],
  ])("offset %d, length %d", (offset, length, code) => {
    const { folder } = setUp();
    expect(errorCode(() => resolveExternal(claim("w.bin", offset, length), folder, size))).toBe(code);
  });

  test("a length that is left out is the tensor's own", () => {
    const { folder } = setUp();
    const whole = { tensor: "w", location: "w.bin", offset: 8, length: undefined };
    expect(resolveExternal(whole, folder, size)).toMatchObject({ offset: 8, length: size });
    expect(errorCode(() => resolveExternal({ ...whole, offset: 9 }, folder, size))).toBe("E_EXTERNAL_RANGE");
  });
});

describe("of models", () => {
  function write(folder: string, facts: Readonly<Record<string, string>>): string {
    const tensor: TensorMessage = {
      name: "w",
      dims: [2],
      data_type: 1,
      data_location: 1,
      external_data: Object.entries(facts).map(([key, value]) => ({ key, value })),
    };
    const path = join(folder, "model.onnx");
    writeFileSync(path, encodeModelMessage({ ir_version: 10, graph: { initializer: [tensor] } }));
    return path;
  }

  test("are byte ranges, read only when asked for", () => {
    const { folder } = setUp();
    const path = write(folder, { location: "w.bin", offset: "4", length: "8", checksum: "unused" });
    const [value] = [...readModel(path).graph.initializers];
    expect(value?.initializer?.source).toEqual({
      kind: "file",
      range: { file: join(folder, "w.bin"), offset: 4, length: 8 },
    });
    expect([...(value?.initializer?.bytes() ?? [])]).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test.each([
    [{}, "E_EXTERNAL_OUTSIDE"],
    [{ location: "w.bin", offset: "0x4" }, "E_EXTERNAL_RANGE"],
    [{ location: "w.bin", offset: "-4" }, "E_EXTERNAL_RANGE"],
    [{ location: "w.bin", offset: "1e1" }, "E_EXTERNAL_RANGE"],
    [{ location: "w.bin", offset: "99999999999999999999" }, "E_EXTERNAL_RANGE"],
    [{ location: "w.bin", length: "7" }, "E_TENSOR_SIZE"],
  ])("claims of %j", (facts, code) => {
    const { folder } = setUp();
    expect(errorCode(() => readModel(write(folder, facts)))).toBe(code);
  });

  test("given as bytes have none, unless a folder is given with them", () => {
    const { folder } = setUp();
    const bytes = encodeModelMessage({
      ir_version: 10,
      graph: {
        initializer: [
          {
            name: "w",
            dims: [4],
            data_type: 1,
            data_location: 1,
            external_data: [{ key: "location", value: "w.bin" }],
          },
        ],
      },
    });
    expect(errorCode(() => readModel(bytes))).toBe("E_EXTERNAL_NO_FOLDER");
    const [value] = [...readModel(bytes, { folder }).graph.initializers];
    expect(value?.initializer?.bytes().length).toBe(16);
  });

  test("that are links themselves are read beside the link, and known by their real file when links are followed", () => {
    const { folder, root } = setUp();
    const real = write(folder, { location: "w.bin", length: "8" });
    const snapshot = join(root, "snapshot");
    mkdirSync(snapshot);
    symlinkSync(real, join(snapshot, "model.onnx"));
    symlinkSync(join(folder, "sub/w.bin"), join(snapshot, "w.bin"));
    const path = join(snapshot, "model.onnx");
    expect(errorCode(() => readModel(path))).toBe("E_EXTERNAL_LINK");
    const model = readModel(path, { followLinks: true });
    expect(model.origin).toEqual({ file: real, folder });
    const [value] = [...model.graph.initializers];
    expect(value?.initializer?.source).toMatchObject({ range: { file: join(folder, "sub/w.bin") } });
  });
});
