/** Damaged texts: each is refused with a diagnostic, or is a model that prints and reads back. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";
import { samples } from "./samples/index.ts";

const options = { folder: "/models/a", locations: "anywhere", inlineElements: 0 } as const;
const texts = Object.values(samples).map((make) => printModel(make(), options));

/** A cut, a copy of a part elsewhere, or a character of the grammar put in. */
const damage = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  from: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.nat({ max: 30 }),
  kind: fc.constantFrom("cut", "copy", "put"),
  character: fc.constantFrom(...'<>()[]{}=,:.@"\\#!?-0e_ \n', "#! {}", "float", "nan", "1e400", "\0"),
});

test("damaged texts never make anything but a diagnostic", () => {
  let taken = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...texts),
      fc.array(damage, { minLength: 1, maxLength: 3 }),
      (whole, damages) => {
        let text = whole;
        for (const { at, from, length, kind, character } of damages) {
          const place = Math.floor(at * text.length);
          const start = Math.floor(from * text.length);
          const put = kind === "cut" ? "" : kind === "copy" ? text.slice(start, start + length) : character;
          text = text.slice(0, place) + put + text.slice(kind === "cut" ? place + length : place);
        }
        try {
          const model = parseModel(text, options);
          taken += 1;
          verifyModel(model);
          const printed = printModel(model, options);
          expect(printModel(parseModel(printed, options), options)).toBe(printed);
        } catch (error) {
          if (!(error instanceof DiagnosticError)) throw error;
          expect(error.code).toMatch(/^E_TEXT_/);
          expect(error.diagnostics[0].place).toMatch(/^\d+:\d+$/);
        }
      },
    ),
    { numRuns: 3000 },
  );
  expect(taken).toBeGreaterThan(100);
});

test("the example of docs/text-format.md prints as it stands there", () => {
  const page = readFileSync(new URL("../../docs/text-format.md", import.meta.url), "utf8");
  const example = /```\n(<ir_version.*?)```/s.exec(page)?.[1] ?? "";
  expect(printModel(parseModel(example, options), options)).toBe(example);
});
