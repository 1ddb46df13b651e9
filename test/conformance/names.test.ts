/** Shared code names no method: neither PEFT's types nor ours stand in `src/` as identifiers or text, but in generated files. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { adapters } from "../../passes/adapters/index.ts";

const files = readdirSync("src", { withFileTypes: true, recursive: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
  .map((entry) => join(entry.parentPath, entry.name).replaceAll("\\", "/"))
  .filter((file) => !file.startsWith("src/generated/"));

/** PEFT's types, those that no method here has included. */
const types = new Set([...adapters.map(({ peftType }) => peftType), ..."ADAMSS CPT SHADOW XLORA".split(" ")]);

it("names no type of PEFT's in src/", () => {
  const word = new RegExp(`\\b(${[...types].join("|")})\\b`, "g");
  const hits = files.flatMap((file) =>
    readFileSync(file, "utf8")
      .split("\n")
      .flatMap((line, i) => (line.match(word) ?? []).map((name) => `${file}:${i + 1}: ${name}`)),
  );
  expect(files.length).toBeGreaterThan(400);
  expect(hits).toEqual([]);
});
