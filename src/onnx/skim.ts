/** Reads the structure of a model file and leaves the bytes of its weights where they are. */
import { onnxErrors } from "../diagnostics/onnx.ts";
import type { ByteSource } from "./byte-source.ts";
import { weightIndexField } from "./schema.ts";
import { encodeTag, joinBytes, rewriteModel, wireTypes } from "./wire-rewrite.ts";

/** Where the data of a tensor lies in the source, and the field of TensorProto that holds it. */
export interface DataRange {
  readonly field: number;
  readonly offset: number;
  readonly length: number;
}

/** The model without its weights: each tensor whose data was left out has a `weight_index` into `ranges`. */
export interface Skimmed {
  readonly skeleton: Uint8Array;
  readonly ranges: readonly DataRange[];
}

/** Data below this many bytes stays in the skeleton: shapes, axes and scalars are read at once. */
const inlineLimit = 1024;

/** Largest skeleton that is taken in: far above any real graph, and below what typed arrays and strings can hold. */
const skeletonLimit = 2 ** 30;

/** The fields of TensorProto that hold elements of fixed or packed size: raw_data and the typed fields. */
export const dataFields = { float: 4, int32: 5, int64: 7, raw: 9, double: 10, uint64: 11 } as const;

const dataFieldNumbers: ReadonlySet<number> = new Set(Object.values(dataFields));

/**
 * Walks the model and keeps everything but large tensor data. Peak memory is the size of what is kept, twice, and a
 * window of the file.
 *
 * @throws DiagnosticError `E_ONNX_TRUNCATED`, `E_ONNX_MALFORMED`, `E_ONNX_NESTING`, `E_ONNX_STRUCTURE`.
 */
export function skimModel(source: ByteSource): Skimmed {
  const ranges: DataRange[] = [];
  const { pieces, byteLength } = rewriteModel<Uint8Array>(source, {
    shortest: inlineLimit,
    replace({ number, wireType, at, start, end }) {
      if (number === weightIndexField) {
        throw onnxErrors.E_ONNX_MALFORMED(source.name, `reserved field ${number} at byte ${at}`);
      }
      if (wireType !== wireTypes.bytes || !dataFieldNumbers.has(number) || end - start < inlineLimit)
        return undefined;
      const index = ranges.push({ field: number, offset: start, length: end - start }) - 1;
      return [encodeTag(weightIndexField, wireTypes.varint, index)];
    },
    limit: skeletonLimit,
    tooLong: () => onnxErrors.E_ONNX_STRUCTURE(source.name, skeletonLimit),
  });
  return { skeleton: joinBytes(pieces, byteLength), ranges };
}
