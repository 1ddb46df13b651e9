/** Small random models that move, reshape and compute, with the detours that exporters leave behind. */
import fc from "fast-check";
import { symbol } from "../../src/ir/dim.ts";
import { dtypeCode } from "../../src/ir/dtype.ts";
import { Model } from "../../src/ir/model.ts";
import { tensorType } from "../../src/ir/type.ts";
import type { Value } from "../../src/ir/value.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { rankOf, shapeOf } from "../../src/ops/facts.ts";
import { haveSameShape } from "../../src/rewrite/rules/proofs.ts";

/** One step: what to do, on which value, and a number that decides the rest. */
export type Step = readonly [kind: keyof typeof steps, operand: number, choice: number];

/** Steps of a random model. */
export function stepLists(maxLength: number): fc.Arbitrary<Step[]> {
  const kinds = Object.keys(steps).filter((kind): kind is keyof typeof steps => kind in steps);
  const step = fc.tuple(fc.constantFrom(...kinds), fc.nat(20), fc.nat(20));
  return fc.array(step, { minLength: 1, maxLength });
}

/** The model of some steps over inputs x [n, 3] and y [m, 1, 2]; its outputs are the last values made. */
export function modelOf(list: readonly Step[]): Model {
  const model = new Model();
  const x = model.graph.addInput({ name: "x", type: tensorType("float32", [symbol("n"), 3]) });
  const y = model.graph.addInput({ name: "y", type: tensorType("float32", [symbol("m"), 1, 2]) });
  const b = new OpBuilder({ graph: model.graph }, model.opset);
  const pool = [x, y];
  for (const [kind, operand, choice] of list) {
    const value = pool[operand % pool.length];
    const made = value === undefined ? undefined : steps[kind](b, value, choice, pool);
    if (made !== undefined && rankOf(made) <= 5) pool.push(made);
  }
  for (const output of pool.slice(-3)) model.graph.addOutput(output);
  return model;
}

type Act = (b: OpBuilder, x: Value, choice: number, pool: readonly Value[]) => Value | undefined;

const lastIndex = 2 ** 31 - 1;
const axisOf = (x: Value, choice: number): number | undefined =>
  rankOf(x) === 0 ? undefined : choice % rankOf(x);

/** Dimension `axis` in the two ways of the tracing exporter. */
function tracedDim(b: OpBuilder, x: Value, axis: number): Value {
  const shape = b.op("Shape", [x]);
  if (axis % 2 === 1) return b.slice(shape, { starts: [axis], ends: [axis + 1], axes: [0] });
  return b.unsqueeze(b.op("Gather", [shape, b.int(axis)], { axis: 0 }), [0]);
}

/** The whole shape of `x`, one dimension at a time. */
function tracedShape(b: OpBuilder, x: Value): Value[] {
  return shapeOf(x).map((_, axis) => tracedDim(b, x, axis));
}

const steps = {
  identity: (b, x) => b.op("Identity", [x]),
  dropout: (b, x) => b.op("Dropout", [x]),
  negate: (b, x) => b.neg(x),
  tanh: (b, x) => b.op("Tanh", [x]),
  halve: (b, x) => b.mul(x, 0.5),
  addZero: (b, x) => b.add(x, 0),
  mulOne: (b, x) => b.op("Mul", [b.scalar(1, "float32"), x]),
  addSame: (b, x, choice, pool) => {
    const same = pool.filter((other) => haveSameShape(other, x));
    return b.add(x, same[choice % same.length] ?? x);
  },
  castAndBack: (b, x, choice) => {
    const wide = b.op("Cast", [x], { to: dtypeCode(choice % 2 === 0 ? "float64" : "float16") });
    return b.op("Cast", [wide], { to: dtypeCode("float32") });
  },
  castSame: (b, x) => b.op("Cast", [x], { to: dtypeCode("float32") }),
  rotate: (b, x, choice) => {
    const rank = rankOf(x);
    return b.op("Transpose", [x], {
      perm: Array.from({ length: rank }, (_, axis) => (axis + choice) % rank),
    });
  },
  reverse: (b, x) => b.op("Transpose", [x]),
  unsqueeze: (b, x, choice) => b.unsqueeze(x, [choice % (rankOf(x) + 1)]),
  squeeze: (b, x) => {
    const axis = shapeOf(x).indexOf(1);
    return axis < 0 ? undefined : b.squeeze(x, [axis]);
  },
  flatten: (b, x) => b.reshape(x, [-1]),
  reshapeTraced: (b, x) => b.reshape(x, b.op("Concat", [...tracedShape(b, x), b.ints([1])], { axis: 0 })),
  mergeTraced: (b, x) => {
    if (rankOf(x) < 2) return undefined;
    const [first, second, ...rest] = tracedShape(b, x);
    if (first === undefined || second === undefined) return undefined;
    return b.reshape(x, b.op("Concat", [b.mul(first, second), ...rest], { axis: 0 }));
  },
  splitTraced: (b, x) => {
    const last = shapeOf(x).at(-1);
    if (typeof last !== "number" || last % 2 !== 0) return undefined;
    const outer = tracedShape(b, x).slice(0, -1);
    return b.reshape(x, b.op("Concat", [...outer, b.ints([2]), b.ints([-1])], { axis: 0 }));
  },
  expandOwn: (b, x) => b.expand(x, b.op("Shape", [x])),
  expandTraced: (b, x) => b.expand(x, b.op("Concat", [b.ints([2]), ...tracedShape(b, x)], { axis: 0 })),
  expandAs: (b, x) => {
    // The idiom of expand_as: -1 in the wanted sizes means the size that is there.
    const sizes = b.op("Concat", [b.ints([2]), ...tracedShape(b, x)], { axis: 0 });
    const ones = b.expand(b.int(1), b.op("Shape", [sizes]));
    const keep = b.equal(sizes, b.mul(ones, -1));
    return b.expand(x, b.op("Where", [keep, ones, sizes]));
  },
  sliceAll: (b, x, choice) => {
    const axis = axisOf(x, choice);
    return axis === undefined ? undefined : b.slice(x, { starts: [0], ends: [lastIndex], axes: [axis] });
  },
  sliceTraced: (b, x, choice) => {
    const axis = axisOf(x, choice);
    if (axis === undefined) return undefined;
    return b.op("Slice", [x, b.ints([0]), tracedDim(b, x, axis), b.ints([axis]), b.ints([1])]);
  },
  sliceReversed: (b, x, choice) => {
    const axis = axisOf(x, choice);
    return axis === undefined
      ? undefined
      : b.op("Slice", [x, b.ints([-1]), b.ints([-lastIndex]), b.ints([axis]), b.ints([-1])]);
  },
  concatOne: (b, x, choice) => {
    const axis = axisOf(x, choice);
    return axis === undefined ? undefined : b.op("Concat", [x], { axis });
  },
  concatTwice: (b, x, choice) => {
    const axis = axisOf(x, choice);
    return axis === undefined ? undefined : b.op("Concat", [x, x], { axis });
  },
  chooseTrue: (b, x) => b.op("Where", [b.scalar(1, "bool"), x, b.neg(x)]),
  scaleBySize: (b, x, choice) => {
    const axis = axisOf(x, choice);
    if (axis === undefined) return undefined;
    return b.div(x, b.op("Cast", [b.add(tracedDim(b, x, axis), 1)], { to: dtypeCode("float32") }));
  },
} satisfies Record<string, Act>;
