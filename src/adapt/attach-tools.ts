/** What `build` of every kind of method is handed beside sites and parameters. */
import { adaptErrors } from "../diagnostics/adapt.ts";
import type { Graph } from "../ir/graph.ts";
import { setRole } from "../ir/role.ts";
import { shapesConflict } from "../ir/shape.ts";
import { formatType, tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "../ops/builder.ts";
import type { BatchField, Noise } from "./define.ts";

/** What attaching needs beside sites and method. */
export interface AttachOptions {
  readonly opset: number;
  /** Seed of the starting values. */
  readonly seed: number;
  /** Builds dropout in the training graph; absent in every other, where dropout is the identity. */
  readonly dropout?: (b: OpBuilder, x: Value, p: number) => Value;
  /** Builds random numbers in the shape of a value; absent where there are none. */
  readonly noise?: (b: OpBuilder, kind: "normal" | "uniform", like: Value) => Value;
}

export interface AttachTools {
  readonly b: OpBuilder;
  readonly dropout: (x: Value, p: number) => Value;
  readonly noise: Noise;
  readonly field: BatchField;
  readonly training: boolean;
}

export function toolsOf(b: OpBuilder, { dropout, noise }: AttachOptions): AttachTools {
  return {
    b,
    dropout: (x, p) => (p > 0 && dropout !== undefined ? dropout(b, x, p) : x),
    noise: (kind, like) => noise?.(b, kind, like),
    field: batchField(b.graph),
    training: dropout !== undefined,
  };
}

/** Adds an input for a field once, however many sites ask for it. */
function batchField(graph: Graph): BatchField {
  return ({ name, dtype, shape, below }) => {
    const known = graph.inputs.find((input) => input.name === name);
    const type = tensorType(dtype, shape);
    if (known !== undefined) {
      const own = known.tensorType;
      if (own?.dtype !== dtype || (own.shape !== undefined && shapesConflict(own.shape, shape)))
        throw adaptErrors.E_FIELD_TAKEN(name, formatType(type), formatType(known.type));
      return known;
    }
    const facts = { field: name, ...(below === undefined ? {} : { below: String(below) }) };
    return setRole(graph.addInput({ name, type }), "batch", facts);
  };
}
