/** Adapter folders of LoRA: plain LoRA of twice the rank in place of an update beside a weight that lost its start. */
import type { PeftForm } from "../../../src/adapt/define.ts";
import { Tensor } from "../../../src/ir/tensor.ts";
import { fromTensor } from "../../../src/ops/ndarray.ts";
import type { Options } from "./options.ts";
import { hasTakenStart } from "./starts.ts";

/**
 * Options and tensors as PEFT takes them, on the weights as they were: B A - B0 A0 as [B, -B0] [A; A0], as PEFT's own conversion
 * writes it. Options that PEFT does not have are left out.
 */
export function plainForm({ options, tensors }: PeftForm & { readonly options: Options }): PeftForm {
  const { auxiliary_loss: _, ...known } = options;
  if (!hasTakenStart(options)) return { options: known, tensors };
  const wider = new Map<string, Tensor>();
  for (const [key, tensor] of tensors) {
    const [, path, factor] = /^base_model\.(.*)\.lora_([AB])\.weight$/.exec(key) ?? [];
    const [, ofTable] = /\.lora_embedding_([AB])$/.exec(key) ?? [];
    const which = factor ?? ofTable;
    // Tables lose nothing, but their factors have the same rank.
    const taken = path === undefined ? undefined : tensors.get(`frozen.${path}.lora_${factor}.taken`);
    wider.set(key, which === "A" ? below(tensor, taken) : which === "B" ? beside(tensor, taken) : tensor);
  }
  // The scaling stays: with twice the rank, lora_alpha grows as much, or by the root of 2 where the root of the rank divides it.
  const growth = known.use_rslora ? Math.SQRT2 : 2;
  const each = (values: Readonly<Record<string, number>>, by: number): Record<string, number> =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value * by]));
  return {
    options: {
      ...known,
      init_lora_weights: true,
      corda_config: null,
      lora_ga_config: null,
      r: 2 * known.r,
      lora_alpha: growth * known.lora_alpha,
      rank_pattern: each(known.rank_pattern, 2),
      alpha_pattern: each(known.alpha_pattern, growth),
    },
    tensors: wider,
  };
}

/** [A; A0] by rows, zeros where there is no A0. */
function below(first: Tensor, second: Tensor | undefined): Tensor {
  const [rows = 0, columns = 0] = first.dims;
  const compute = (): Uint8Array => {
    const values = new Float32Array(2 * rows * columns);
    values.set(fromTensor(first).numbers);
    if (second !== undefined) values.set(fromTensor(second).numbers, rows * columns);
    return new Uint8Array(values.buffer);
  };
  return new Tensor("float32", [2 * rows, columns], { kind: "lazy", compute });
}

/** [B, -B0] by columns, zeros where there is no B0. */
function beside(first: Tensor, second: Tensor | undefined): Tensor {
  const [rows = 0, columns = 0] = first.dims;
  const compute = (): Uint8Array => {
    const left = fromTensor(first).numbers;
    const right = second === undefined ? [] : fromTensor(second).numbers;
    const values = new Float32Array(2 * rows * columns);
    for (let row = 0; row < rows; row++)
      for (let i = 0; i < columns; i++) {
        values[2 * row * columns + i] = left[row * columns + i] ?? 0;
        values[(2 * row + 1) * columns + i] = 0 - (right[row * columns + i] ?? 0);
      }
    return new Uint8Array(values.buffer);
  };
  return new Tensor("float32", [rows, 2 * columns], { kind: "lazy", compute });
}
