/** Merged weights in the place of quantised ones: the nearest numbers under the file's own scales, and what rounding lost. */
import type { NumberLayout } from "../analysis/number-layout.ts";
import { dequantizedNow, type QuantizedWeight } from "../analysis/quantized-weight.ts";
import type { Site, SiteParameter } from "../analysis/sites.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { InternalError } from "../diagnostics/define.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { fromTensor } from "../ops/ndarray.ts";

/** What merging into the numbers of one weight lost. All three are Euclidean norms over the weight's elements. */
export interface RoundingLoss {
  readonly path: string;
  readonly weight: number;
  /** Of what training added. */
  readonly update: number;
  /** Of what is missing afterwards: 1e-3 of `weight` is little, all of `update` means that nothing was merged. */
  readonly error: number;
}

interface Pending {
  readonly path: string;
  readonly parameter: SiteParameter;
  readonly quantized: QuantizedWeight;
  readonly layout: NumberLayout;
  /** Both laid out as the file lays out its numbers. */
  readonly before: Float64Array<ArrayBuffer>;
  readonly after: Float64Array<ArrayBuffer>;
}

/** Refuses weights whose numbers cannot be written anew. */
export function requireLayout(site: Site, quantized: QuantizedWeight): NumberLayout {
  if (quantized.layout === undefined) throw adaptErrors.E_REQUANTIZE(site.path, quantized.description);
  return quantized.layout;
}

/** Collects merged weights by the numbers that hold them, since several modules may share a tensor. */
export class RequantizedWeights {
  readonly #pending = new Map<Value, Pending>();

  /** @param tensor the module's merged weight, float, in PyTorch's layout. */
  add(site: Site, quantized: QuantizedWeight, tensor: Tensor): void {
    const { weight } = site;
    const known = this.#pending.get(weight.value) ?? open(site, quantized);
    this.#pending.set(weight.value, known);
    const merged = fromTensor(tensor).numbers;
    const [first = 0, ...rest] = quantized.shape;
    const second = rest.reduce((product, dim) => product * dim, 1);
    const isTorch = weight.storedAs === "torch";
    const start = weight.rows?.start ?? 0;
    const columns = isTorch ? second : first;
    merged.forEach((value, i) => {
      const [row, column] = [start + Math.floor(i / columns), i % columns];
      known.after[isTorch ? row * second + column : column * second + row] = value;
    });
  }

  /** New numbers for each tensor, and the losses. */
  all(): { readonly parameter: SiteParameter; readonly tensor: Tensor; readonly loss: RoundingLoss }[] {
    return [...this.#pending.values()].map((pending) => {
      const { path, parameter, before, after } = pending;
      const { numbers, values } = nearest(pending);
      const norm = (of: (i: number) => number): number =>
        Math.sqrt(after.reduce((sum, _, i) => sum + of(i) ** 2, 0));
      const loss = {
        path,
        weight: norm((i) => after[i] ?? 0),
        update: norm((i) => (after[i] ?? 0) - (before[i] ?? 0)),
        error: norm((i) => (after[i] ?? 0) - (values[i] ?? 0)),
      };
      return { parameter, tensor: pending.layout.pack(numbers), loss };
    });
  }
}

function open(site: Site, quantized: QuantizedWeight): Pending {
  const layout = requireLayout(site, quantized);
  const before = valuesOf(quantized);
  return { path: site.path, parameter: site.weight, quantized, layout, before, after: before.slice() };
}

/** The weight's elements under the file's numbers, or under others. */
function valuesOf(quantized: QuantizedWeight, numbers?: Tensor): Float64Array<ArrayBuffer> {
  const array = dequantizedNow(quantized, numbers);
  if (array === undefined) throw new InternalError("a quantised weight has no data");
  return Float64Array.from(array.numbers);
}

interface Nearest {
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly values: Float64Array<ArrayBuffer>;
}

/** For each element the number whose value lies nearest. */
function nearest(pending: Pending): Nearest {
  const { quantized, layout, after } = pending;
  const under = (number: number): Float64Array<ArrayBuffer> =>
    valuesOf(quantized, layout.pack(new Float64Array(after.length).fill(number)));
  if (!layout.linear) return nearestInTable(pending, under);
  const { lowest, highest } = layout;
  const [least, most] = [under(lowest), under(highest)];
  const numbers = after.map((value, i) => {
    const from = least[i] ?? 0;
    const step = ((most[i] ?? 0) - from) / (highest - lowest);
    const steps = step === 0 ? 0 : Math.round((value - from) / step);
    return lowest + Math.min(highest - lowest, Math.max(0, steps));
  });
  return { numbers, values: valuesOf(quantized, layout.pack(numbers)) };
}

function nearestInTable(
  { layout, after }: Pending,
  under: (number: number) => Float64Array<ArrayBuffer>,
): Nearest {
  const numbers = new Float64Array(after.length);
  const values = under(layout.lowest);
  numbers.fill(layout.lowest);
  for (let number = layout.lowest + 1; number <= layout.highest; number++) {
    under(number).forEach((candidate, i) => {
      const wanted = after[i] ?? 0;
      if (Math.abs(candidate - wanted) >= Math.abs((values[i] ?? 0) - wanted)) return;
      numbers[i] = number;
      values[i] = candidate;
    });
  }
  return { numbers, values };
}
