/** Conversion of fields to the element types that a model reads. */
import { describe, expect, it } from "vitest";
import { castField, type Field } from "../../src/data/batch.ts";

describe("conversion of element types", () => {
  const field = (dtype: Field["dtype"], data: Field["data"]): Field => ({
    dtype,
    shape: [data.length],
    data,
  });
  const integers = field("int64", BigInt64Array.of(0n, 1n, -2n));

  it("keeps a field of the right type as it is", () => {
    expect(castField("x", integers, "int64")).toBe(integers);
  });

  it("carries integers to any type that holds them", () => {
    expect(castField("x", integers, "int32").data).toEqual(Int32Array.of(0, 1, -2));
    expect(castField("x", integers, "int8").data).toEqual(Int8Array.of(0, 1, -2));
    expect(castField("x", integers, "float32").data).toEqual(Float32Array.of(0, 1, -2));
    expect(castField("x", integers, "float16").data).toEqual(Uint16Array.of(0, 0x3c00, 0xc000));
    expect(castField("x", integers, "bfloat16").data).toEqual(Uint16Array.of(0, 0x3f80, 0xc000));
    expect(castField("x", field("bool", Uint8Array.of(0, 1)), "int64").data).toEqual(
      BigInt64Array.of(0n, 1n),
    );
    expect(castField("x", field("uint8", Uint8Array.of(0, 1)), "bool").data).toEqual(Uint8Array.of(0, 1));
    expect(castField("x", field("uint64", BigUint64Array.of(7n)), "int64").data).toEqual(
      BigInt64Array.of(7n),
    );
  });

  it("refuses integers that do not fit", () => {
    expect(() => castField("x", integers, "uint8")).toThrow(/E_FIELD_RANGE[\s\S]*-2/);
    expect(() => castField("x", integers, "uint64")).toThrow(/E_FIELD_RANGE/);
    expect(() => castField("x", field("uint8", Uint8Array.of(2)), "bool")).toThrow(/E_FIELD_RANGE/);
    expect(() => castField("x", field("uint64", BigUint64Array.of(2n ** 63n)), "int64")).toThrow(
      /E_FIELD_RANGE/,
    );
    expect(() => castField("x", field("int64", BigInt64Array.of(2n ** 40n)), "int32")).toThrow(
      /E_FIELD_RANGE/,
    );
  });

  it("rounds floats to floats, and makes no integers of them", () => {
    const halves = field("float16", Uint16Array.of(0x3c00, 0x7bff));
    expect(castField("x", halves, "float32").data).toEqual(Float32Array.of(1, 65504));
    expect(castField("x", halves, "float64").data).toEqual(Float64Array.of(1, 65504));
    expect(castField("x", halves, "bfloat16").data).toEqual(Uint16Array.of(0x3f80, 0x4780));
    expect(castField("x", field("float64", Float64Array.of(0.1)), "float32").data).toEqual(
      Float32Array.of(0.1),
    );
    expect(() => castField("x", field("float32", Float32Array.of(1)), "int64")).toThrow(/E_FIELD_DTYPE/);
    expect(() => castField("x", field("float8e5m2", Uint8Array.of(1)), "float32")).toThrow(/E_FIELD_DTYPE/);
    expect(() => castField("x", integers, "float8e5m2")).toThrow(/E_FIELD_DTYPE/);
  });
});
