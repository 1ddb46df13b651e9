/** Lets a Loop hand values of its body over to the backward one. */
import { InternalError } from "../../diagnostics/define.ts";
import { unknownDim } from "../../ir/dim.ts";
import { dtypeCode } from "../../ir/dtype.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Node } from "../../ir/node.ts";
import { type TensorType, tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { OpBuilder } from "../builder.ts";
import { tripsOf } from "./loop-length.ts";
import { hasFixedShape } from "./reverse-body.ts";

/** Reads what an iteration had saved, in a body that knows the number of that iteration. */
export type Reader = (inside: OpBuilder, iteration: Value) => Value;

/** Adds results to a Loop: stacks of values whose shape stays the same, sequences of the others. */
export class LoopSaver {
  readonly #node: Node;
  readonly #body: Graph;
  readonly #b: OpBuilder;
  readonly #fixed: readonly Value[];
  #states: number;
  #stack: Value | undefined;

  /** `fixed` are values with the same shape in every iteration, which other shapes are measured by. */
  constructor(node: Node, body: Graph, b: OpBuilder, fixed: readonly Value[]) {
    this.#node = node;
    this.#body = body;
    this.#b = b;
    this.#fixed = fixed;
    this.#states = body.inputs.length - 2;
  }

  /** Whether all iterations give the value one shape, so that it can be stacked. */
  isFixed(value: Value): boolean {
    return hasFixedShape(value, this.#fixed);
  }

  /** Saves a value of the body in each iteration. @throws InternalError for one that is no tensor. */
  save(value: Value): Reader {
    const type = value.tensorType;
    if (type === undefined) throw new InternalError(`"${value.name}" cannot be saved by a Loop`);
    return this.isFixed(value) ? this.#saveStack(value, type) : this.#saveSequence(value, type);
  }

  /** The number of iterations, an int64 scalar. */
  count(): Value {
    const [iteration] = this.#body.inputs;
    if (this.#stack === undefined && iteration !== undefined) this.save(iteration);
    if (this.#stack === undefined) throw new InternalError("a Loop counts its iterations");
    return this.#b.dim(this.#stack, 0);
  }

  #saveStack(value: Value, { dtype, shape = [] }: TensorType): Reader {
    const node = this.#node;
    this.#body.addOutput(this.#inside().op("Identity", [value]));
    const trips = this.#stack?.tensorType?.shape?.[0] ?? tripsOf(node.input(0), node.input(1), this.#body);
    const stack = node.addOutput({ name: `${value.name}.stack`, type: tensorType(dtype, [trips, ...shape]) });
    this.#stack ??= stack;
    return (inside, iteration) => inside.gather(stack, iteration, 0);
  }

  #saveSequence(value: Value, { dtype, shape }: TensorType): Reader {
    const node = this.#node;
    const [body, states] = [this.#body, this.#states];
    if (node.graph === undefined) throw new InternalError("a Loop stands in no graph");
    const empty = this.#b
      .at({ graph: node.graph, before: node })
      .op("SequenceEmpty", [], { dtype: dtypeCode(dtype) });
    const type = {
      kind: "sequence",
      element: tensorType(
        dtype,
        shape?.map(() => unknownDim()),
      ),
    } as const;
    node.setInput(states + 2, empty);
    const before = body.addInput({ name: `${value.name}.sequence`, type });
    const after = this.#inside().op("SequenceInsert", [before, value]);
    after.type = type;
    body.setOutputs(body.outputs.toSpliced(states + 1, 0, after));
    const sequence = node.addOutput({ name: `${value.name}.sequence`, type }, states);
    this.#states += 1;
    return (inside, iteration) => inside.op("SequenceAt", [sequence, iteration]);
  }

  #inside(): OpBuilder {
    return new OpBuilder({ graph: this.#body }, this.#b.opset);
  }
}
