/** Batches: named arrays that a model is fed with, and the conversion to the element types that it reads. */
import { dataErrors } from "../diagnostics/data.ts";
import { InternalError } from "../diagnostics/define.ts";
import type { ElementArray, ElementType } from "../formats/element-type.ts";
import { zeroElements } from "../formats/element-type.ts";
import {
  bfloat16ToFloat32Array,
  float16ToFloat32Array,
  float32ToBfloat16Array,
  float32ToFloat16Array,
} from "../formats/half.ts";

/** A dense array, row-major; 16-bit floats as their bits, bool as bytes. */
export interface Field {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  readonly data: ElementArray;
}

/** The arrays of one batch by field name; the first axis of each is the examples. */
export type Batch = Readonly<Record<string, Field>>;

/** A field that the model reads, with the element type that it reads it as. */
export interface FieldRequest {
  readonly name: string;
  readonly dtype: ElementType;
  /** Whether it holds one number of each example that can only be 0, such as the task where there is one: data may lack it. */
  readonly zeros?: boolean;
}

/** Examples that can be put together to batches. */
export interface Dataset {
  /** Number of examples. */
  readonly rows: number;
  /** Names of the fields that it can give. */
  readonly fields: readonly string[];
  /**
   * The fields asked for, of the given examples in the given order.
   *
   * @throws DiagnosticError `E_FIELD_MISSING`, `E_FIELD_DTYPE` or `E_FIELD_RANGE`.
   */
  collate(rows: ArrayLike<number>, wanted: readonly FieldRequest[]): Batch;
  /**
   * How long an example is, in any unit that grows with the length it has in a batch; absent where all are of one length
   * or the batches are padded to one.
   */
  readonly lengthOf?: ((row: number) => number) | undefined;
}

/**
 * Makes the fields asked for, each in the type asked for; the others are not made.
 *
 * @param source Name of the data for messages.
 */
export function assembleBatch(
  source: string,
  makers: ReadonlyMap<string, () => Field>,
  wanted: readonly FieldRequest[],
): Batch {
  const given = wanted.filter(({ name, zeros }) => zeros !== true || makers.has(name));
  const made = given.map(({ name, dtype }): [string, Field] => {
    const make = makers.get(name);
    if (make === undefined) throw dataErrors.E_FIELD_MISSING(source, name, [...makers.keys()]);
    return [name, castField(name, make(), dtype)];
  });
  const rows = made[0]?.[1].shape[0] ?? 0;
  const zeros = wanted
    .filter((request) => !given.includes(request))
    .map(({ name, dtype }): [string, Field] => [
      name,
      { dtype, shape: [rows], data: zeroElements(dtype, rows) },
    ]);
  return Object.fromEntries([...made, ...zeros]);
}

/**
 * Converts a field to another element type. Integers and bool become any type that holds their values, floats become
 * floats of another width (rounded to nearest even); floats do not become integers.
 *
 * @param name Name of the field for messages.
 * @throws DiagnosticError `E_FIELD_DTYPE` or `E_FIELD_RANGE`.
 */
export function castField(name: string, field: Field, dtype: ElementType): Field {
  if (field.dtype === dtype) return field;
  const data = isFloat(field.dtype) ? castFloats(name, field, dtype) : castIntegers(name, field.data, dtype);
  return { dtype, shape: field.shape, data };
}

function isFloat(dtype: ElementType): boolean {
  return dtype.startsWith("float") || dtype === "bfloat16";
}

function castFloats(name: string, field: Field, dtype: ElementType): ElementArray {
  const numbers = widen(field);
  if (numbers !== undefined) {
    if (dtype === "float64") return Float64Array.from(numbers);
    if (dtype === "float32") return Float32Array.from(numbers);
    if (dtype === "float16") return float32ToFloat16Array(Float32Array.from(numbers));
    if (dtype === "bfloat16") return float32ToBfloat16Array(Float32Array.from(numbers));
  }
  throw dataErrors.E_FIELD_DTYPE(name, field.dtype, dtype);
}

/** Values of a float field as numbers; undefined for the types that are not converted. */
function widen({ dtype, data }: Field): Float64Array | Float32Array | undefined {
  if (data instanceof Float64Array || data instanceof Float32Array) return data;
  if (!(data instanceof Uint16Array)) return undefined;
  return dtype === "float16" ? float16ToFloat32Array(data) : bfloat16ToFloat32Array(data);
}

function castIntegers(name: string, data: ElementArray, dtype: ElementType): ElementArray {
  if (dtype === "float16") return float32ToFloat16Array(Float32Array.from(data, Number));
  if (dtype === "bfloat16") return float32ToBfloat16Array(Float32Array.from(data, Number));
  const cast = zeroElements(dtype, data.length);
  const refuse = (value: number | bigint): Error => dataErrors.E_FIELD_RANGE(name, String(value), dtype);
  if (cast instanceof BigInt64Array || cast instanceof BigUint64Array) {
    data.forEach((value: number | bigint, i: number) => {
      cast[i] = BigInt(value);
      if (cast[i] !== BigInt(value)) throw refuse(value);
    });
    return cast;
  }
  if (dtype.startsWith("float8")) throw dataErrors.E_FIELD_DTYPE(name, "integers", dtype);
  const highest = dtype === "bool" ? 1 : Number.POSITIVE_INFINITY;
  data.forEach((value: number | bigint, i: number) => {
    const number = Number(value);
    cast[i] = number;
    // A float takes the nearest value; an integer must be held as it is.
    if (!isFloat(dtype) && (cast[i] !== number || number > highest)) throw refuse(value);
  });
  return cast;
}

/**
 * Cuts a batch along its first axis into batches of so many examples; undefined where a field has another number of them.
 */
export function splitBatch(batch: Batch, counts: readonly number[]): Batch[] | undefined {
  const rows = counts.reduce((sum, count) => sum + count, 0);
  if (Object.values(batch).some(({ shape: [first] }) => first !== rows)) return undefined;
  let at = 0;
  return counts.map((count) => {
    const [from, to] = [at, at + count];
    at = to;
    return Object.fromEntries(
      Object.entries(batch).map(([name, { dtype, shape, data }]) => {
        const width = data.length / rows;
        const cut = { dtype, shape: [count, ...shape.slice(1)], data: data.slice(from * width, to * width) };
        return [name, cut];
      }),
    );
  });
}

/** A field of whole numbers of 32 bits, in the shape given. */
export function integerField(data: Int32Array, shape: readonly number[]): Field {
  if (shape.reduce((product, dim) => product * dim, 1) !== data.length) {
    throw new InternalError(`${data.length} elements do not have the shape ${shape.join("x")}`);
  }
  return { dtype: "int32", shape, data };
}
