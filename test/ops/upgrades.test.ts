/** Every version of every operator, from opset 7 on: the original in the runtime against the upgraded model there. */
import { expect, test } from "vitest";
import type { DType } from "../../src/ir/dtype.ts";
import { lookupOp } from "../../src/ops/registry.ts";
import { baseOpset, newestOpset } from "../../src/ops/versions.ts";
import { difference } from "../harness/compare.ts";
import { buildCase } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";
import { upgradedCase } from "../harness/upgrade.ts";
import { type FormalParameter, type OperatorVersion, operators } from "./operator-list.ts";
import { type VersionedCase, versionedCases } from "./upgrade-cases.ts";

const oldest = 7;

/** Operators whose versions are not walked here, each with the reason. */
const elsewhere: Readonly<Record<string, string>> = Object.fromEntries([
  ["Constant", "test/ops/constant.test.ts: its attributes decide its type"],
  ["ImageDecoder", "the stock runtime has no kernel"],
  ["Multinomial", "it draws"],
  ...["If", "Loop", "Scan", "SequenceMap"].map((op) => [op, "test/ops/control.test.ts: bodies"]),
  ...["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli"].map((op) => [
    op,
    "it draws",
  ]),
  ...["RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"].map((op) => [
    op,
    "test/ops/text.test.ts: it has one version",
  ]),
  ...["Optional", "OptionalGetElement", "OptionalHasElement", "SplitToSequence", "ConcatFromSequence"].map(
    (op) => [op, "sequences"],
  ),
  ...[
    "SequenceAt",
    "SequenceConstruct",
    "SequenceEmpty",
    "SequenceErase",
    "SequenceInsert",
    "SequenceLength",
  ].map((op) => [op, "sequences"]),
]);

/** Versions that the stock runtime has no kernel for, although it loads their opset. */
const notRun: Readonly<Record<string, number>> = { GlobalLpPool: 22, MaxRoiPool: 22, RoiAlign: 22 };

interface Walk {
  readonly op: string;
  readonly version: number;
  readonly spec: VersionedCase;
}

const standard = operators.filter(({ domain }) => domain === "");

/** Versions in force at some opset from 7 to the newest that the runtime loads. */
function versionsInForce(versions: readonly OperatorVersion[]): OperatorVersion[] {
  return versions.filter(
    ({ since, deprecated }, index) =>
      !deprecated &&
      since <= newestOpset &&
      (versions[index + 1]?.since ?? Number.POSITIVE_INFINITY) > oldest,
  );
}

const onnxNames: Partial<Record<DType, string>> = { float32: "float", float64: "double" };

function takes({ inputs, outputs, attributes }: OperatorVersion, spec: VersionedCase): boolean {
  const required = Object.entries(attributes).filter(([, kind]) => kind.endsWith("!"));
  return (
    Object.keys(spec.attributes ?? {}).every((name) => name in attributes) &&
    required.every(([name]) => name in (spec.attributes ?? {})) &&
    (spec.outputs ?? 1) <= (outputs.at(-1)?.variadic === true ? 99 : outputs.length) &&
    inputs.every((formal, index) => formal.optional || formal.variadic || spec.inputs[index] != null) &&
    spec.inputs.every((operand, index) => {
      const formal: FormalParameter | undefined =
        inputs[index] ?? (inputs.at(-1)?.variadic ? inputs.at(-1) : undefined);
      if (operand === null) return formal?.optional === true;
      const dtype = operand.dtype ?? "float32";
      return formal?.types.includes(onnxNames[dtype] ?? dtype) === true;
    })
  );
}

const known = standard.filter(({ name }) => lookupOp("", name) !== undefined);
const walks: Walk[] = known.flatMap(({ name, versions }) =>
  versionsInForce(versions).flatMap((version) =>
    versionedCases
      .filter(
        ({ op, since = 0, until = 99 }) => op === name && since <= version.since && version.since <= until,
      )
      .filter((spec) => takes(version, spec))
      .map((spec) => ({ op: name, version: version.since, spec })),
  ),
);

test.each(known.map(({ name, versions }) => [name, versions] as const))(
  "%s has a case for each version",
  (name, versions) => {
    const walked = new Set(walks.filter(({ op }) => op === name).map(({ version }) => version));
    const missing = versionsInForce(versions)
      .map(({ since }) => since)
      .filter((since) => !walked.has(since) && notRun[name] !== since);
    if (name in elsewhere) expect([...walked], `${name} is walked after all`).toEqual([]);
    else expect(missing).toEqual([]);
  },
);

test.each(
  walks.map((walk) => {
    const operands = walk.spec.inputs.map((operand) => operand?.shape.join("x") ?? "none").join(" ");
    return [
      `${walk.op}-${walk.version} of ${operands} ${JSON.stringify(walk.spec.attributes ?? {})}`,
      walk,
    ] as const;
  }),
)("%s means the same after the upgrade", async (_, { op, version, spec }) => {
  const opset = Math.max(version, oldest);
  const old = buildCase({ ...spec, opset }, "static");
  const upgraded = upgradedCase({ ...spec, opset }, Math.max(opset, baseOpset));
  const wanted = await runModel(old.model, old.feeds);
  const got = await runModel(upgraded.model, upgraded.feeds);
  expect(got.length).toBe(wanted.length);
  wanted.forEach((expected, index) => {
    const actual = got[index];
    if (actual === undefined) throw new Error(`output ${index} is missing`);
    expect(difference(actual, expected, runtimeTolerance(expected.dtype))).toBeUndefined();
  });
  expect(lookupOp("", op)?.versions).toContain(version);
});
