/** New rows of parameters that several modules share, put together to new parameters. */
import type { BaseParameter } from "../adapt/saved.ts";
import { InternalError } from "../diagnostics/define.ts";
import { byteLength } from "../ir/dtype.ts";
import { countElements } from "../ir/shape.ts";
import { Tensor } from "../ir/tensor.ts";
import { transposedTensor } from "../ir/transposed.ts";
import type { Value } from "../ir/value.ts";
import { convertTensor } from "../ops/convert-tensor.ts";

type Rows = NonNullable<BaseParameter["rows"]>;
type Parameter = Pick<BaseParameter, "value" | "storedAs" | "uses">;

interface Packed {
  readonly parameter: Parameter;
  readonly pieces: { readonly rows: Rows; readonly tensor: Tensor }[];
}

/** Collects new rows by the parameter that they belong to. */
export class PackedWeights {
  readonly #packed = new Map<Value, Packed>();

  /** @param tensor the rows in PyTorch's layout, of any float type. */
  add(parameter: Parameter, rows: Rows, tensor: Tensor): void {
    const known = this.#packed.get(parameter.value) ?? { parameter, pieces: [] };
    known.pieces.push({ rows, tensor });
    this.#packed.set(parameter.value, known);
  }

  /** The parameters in PyTorch's layout, each with its new rows among the old. */
  all(): {
    readonly parameter: Parameter;
    readonly tensor: Tensor;
  }[] {
    return [...this.#packed.values()].map(({ parameter, pieces }) => {
      const { value, storedAs } = parameter;
      const stored = value.initializer;
      if (stored === undefined) throw new InternalError(`"${value.name}" has no data`);
      const old = storedAs === "transposed" ? transposedTensor(stored) : stored;
      const compute = (): Uint8Array => {
        const bytes = Uint8Array.from(old.bytes());
        const width = byteLength(old.dtype, countElements(old.dims.slice(1)));
        for (const { rows, tensor } of pieces)
          bytes.set(convertTensor(tensor, old.dtype).bytes(), rows.start * width);
        return bytes;
      };
      return {
        parameter,
        tensor: new Tensor(old.dtype, old.dims, { kind: "lazy", compute }),
      };
    });
  }
}
