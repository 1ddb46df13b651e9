/** Groups of channels brought to mean 0 and variance 1 by an operator that every provider has. */
import { floatAttribute } from "../../ir/attribute.ts";
import { inlineTensor } from "../../ir/constant.ts";
import type { DType } from "../../ir/dtype.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { encodeElements } from "../elements.ts";
import { dtypeOf } from "../facts.ts";

/** Normalizes each of `groups` groups of the channels (axis 1) of `x [N, C, ...]`. Gives `[N, groups, -1]`. */
export function normalizeGroups(b: OpBuilder, x: Value, groups: number, epsilon: number): Value {
  const grouped = b.reshape(x, [0, groups, -1]);
  const dtype = dtypeOf(x);
  const [ones, zeros] = [filled(b, 1, groups, dtype), filled(b, 0, groups, dtype)];
  return b.op("InstanceNormalization", [grouped, ones, zeros], { epsilon: floatAttribute(epsilon) });
}

function filled(b: OpBuilder, value: number, length: number, dtype: DType): Value {
  return b.constant(
    inlineTensor(dtype, [length], encodeElements(dtype, new Float64Array(length).fill(value))),
  );
}
