/** Products and look-ups with packed weights: every layout against the runtime, gradients against differences. */
import { describe, expect, it } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";
import { buildCase, type OperandSpec } from "../harness/op-case.ts";

const domain = "com.microsoft";
const bytes = (...shape: readonly number[]): OperandSpec => ({
  shape,
  dtype: "uint8",
  range: [0, 255],
  constant: true,
});
const scales = (...shape: readonly number[]): OperandSpec => ({ shape, range: [0.02, 0.1] });

describe("MatMulNBits", () => {
  const nbits = (
    description: string,
    {
      a = [3, 40],
      N = 6,
      K = 40,
      bits = 4,
      block = 16,
      rest = [],
      level,
      noRuntime,
    }: {
      a?: readonly number[];
      N?: number;
      K?: number;
      bits?: number;
      block?: number;
      rest?: readonly (OperandSpec | null)[];
      level?: number;
      noRuntime?: string;
    },
  ): void => {
    const blocks = Math.ceil(K / block);
    checkOp(
      description,
      {
        op: "MatMulNBits",
        domain,
        inputs: [{ shape: a }, bytes(N, blocks, (block * bits) / 8), scales(N, blocks), ...rest],
        attributes: {
          K,
          N,
          bits,
          block_size: block,
          ...(level === undefined ? {} : { accuracy_level: level }),
        },
      },
      // The runtime wants the size of a bias as a number.
      {
        namings: rest[2] == null ? ["static", "shared"] : ["static"],
        ...(noRuntime === undefined ? {} : { noRuntime }),
      },
    );
  };
  nbits("4 bits, the last block not full", {});
  nbits("4 bits, whole blocks", { a: [2, 3, 32], K: 32 });
  nbits("4 bits, one row", { a: [1, 32], K: 32, block: 32 });
  nbits("8 bits", { bits: 8 });
  nbits("2 bits", { bits: 2 });
  for (const bits of [2, 4, 8]) {
    const packed = bytes(6, Math.ceil((3 * bits) / 8));
    nbits(`${bits} bits, packed zero points`, { bits, rest: [packed] });
    nbits(`${bits} bits, zero points of their own type`, {
      bits,
      rest: [{ shape: [6, 3], range: [0, 3] }],
      ...(bits === 8 ? { noRuntime: "the CPU provider unpacks 2 and 4 bits only" } : {}),
    });
    nbits(`${bits} bits, a bias`, { bits, rest: [null, null, { shape: [6] }] });
  }
  nbits("zero points and a bias", { rest: [bytes(6, 2), null, { shape: [6] }] });
  nbits("data quantised by the runtime", { level: 4, noRuntime: "the runtime rounds the data to 8 bits" });

  it("refuses groups in any order", () => {
    const order: OperandSpec = { shape: [32], dtype: "int32", range: [0, 1], constant: true };
    const inputs = [{ shape: [2, 32] }, bytes(4, 2, 8), scales(4, 2), null, order];
    const attributes = { K: 32, N: 4, block_size: 16 };
    expect(() => buildBackward({ op: "MatMulNBits", domain, inputs, attributes }, "static")).toThrow(/g_idx/);
  });

  it("refuses layouts that it does not know", () => {
    const build = (attributes: Record<string, number>) => () =>
      buildCase(
        { op: "MatMulNBits", domain, inputs: [{ shape: [2, 32] }, bytes(4, 2, 8), scales(4, 2)], attributes },
        "static",
      );
    expect(build({ K: 32, N: 4, bits: 5, block_size: 16 })).toThrow(/"bits"/);
    expect(build({ K: 32, N: 4, bits: 4, block_size: 16, weight_prepacked: 1 })).toThrow(/weight_prepacked/);
    expect(build({ K: 32, N: 4, bits: 4 })).toThrow(/block_size/);
  });
});

describe("MatMulBnb4", () => {
  for (const quant_type of [0, 1]) {
    const bnb = { op: "MatMulBnb4", domain };
    const attributes = { K: 32, N: 5, block_size: 16, quant_type };
    checkOp(`type ${quant_type}`, {
      ...bnb,
      inputs: [{ shape: [2, 3, 32] }, bytes(80), scales(10)],
      attributes,
    });
    checkOp(
      `type ${quant_type}, the weight as it lies`,
      {
        ...bnb,
        inputs: [{ shape: [3, 5] }, bytes(80), scales(10)],
        attributes: { ...attributes, transB: 0 },
      },
      { noRuntime: "the CPU provider's kernel multiplies by the transpose only" },
    );
  }
  checkOp("blocks over several rows, the last one not full", {
    op: "MatMulBnb4",
    domain,
    inputs: [{ shape: [3, 24] }, bytes(36), scales(3)],
    attributes: { K: 24, N: 3, block_size: 32, quant_type: 1 },
  });
  it("refuses types that it does not know", () => {
    const build = () =>
      buildCase(
        {
          op: "MatMulBnb4",
          domain,
          inputs: [{ shape: [2, 32] }, bytes(64), scales(8)],
          attributes: { K: 32, N: 4, block_size: 16, quant_type: 2 },
        },
        "static",
      );
    expect(build).toThrow(/quant_type/);
  });
});

describe("GatherBlockQuantized", () => {
  const ids: OperandSpec = { shape: [2, 3], dtype: "int64", values: [0, 4, 4, 1, -1, 2] };
  const gather = (
    description: string,
    inputs: readonly (OperandSpec | null)[],
    attributes: Record<string, number>,
    opset = 21,
  ): void => {
    checkOp(description, { op: "GatherBlockQuantized", domain, opset, inputs, attributes });
  };
  for (const bits of [2, 4, 8]) {
    const table = bytes(5, (32 * bits) / 8);
    gather(`${bits} bits in bytes`, [table, ids, scales(5, 2)], { bits, block_size: 16 });
    gather(
      `${bits} bits in bytes, zero points`,
      [table, ids, scales(5, 2), bytes(5, Math.ceil((2 * bits) / 8))],
      {
        bits,
        block_size: 16,
      },
    );
  }
  for (const dtype of ["int4", "uint4"] as const) {
    const range = dtype === "int4" ? ([-8, 7] as const) : ([0, 15] as const);
    const table: OperandSpec = { shape: [5, 32], dtype, range, constant: true };
    gather(dtype, [table, ids, scales(5, 2)], { block_size: 16 });
    gather(`${dtype}, zero points`, [table, ids, scales(5, 2), { ...table, shape: [5, 2] }], {
      block_size: 16,
    });
    gather(`${dtype}, columns`, [{ ...table, shape: [32, 5] }, ids, scales(2, 5)], {
      block_size: 16,
      gather_axis: 1,
      quantize_axis: 0,
    });
  }
});
