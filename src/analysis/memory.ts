/** What running a graph once takes: replays ONNX Runtime's requests for memory, node by node. */
import { InternalError } from "../diagnostics/define.ts";
import { byteLength } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { countElements, staticShape } from "../ir/shape.ts";
import type { Value } from "../ir/value.ts";
import type { Region } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";
import { Arena } from "./arena.ts";
import { type BufferPlan, planBuffers } from "./buffers.ts";
import { executionOrder } from "./execution-order.ts";

/** One node at work. */
export interface Moment {
  readonly node: Node;
  /** Bytes of all values that are there while the node runs, those of its results included. */
  readonly live: number;
}

/** What a run takes beyond the weights. */
export interface MemoryUse {
  readonly moments: readonly Moment[];
  /** Largest sum of bytes of values that are there at once. */
  readonly peak: number;
  /** Bytes that the arena takes from the system: the peak, padding, and what its shape leaves unused. */
  readonly taken: number;
  /** Values at the peak, largest first. */
  readonly holders: readonly { readonly value: Value; readonly bytes: number }[];
  /** Results whose size does not follow from the axes, counted as nothing. */
  readonly unknown: readonly Value[];
}

type Chunk = ReturnType<Arena["allocate"]>;

interface Held {
  readonly chunk: Chunk;
  readonly bytes: number;
}

/** Iterations after which memory has taken the form that it keeps. */
const trips = 2;

/**
 * Replays one run of a graph whose axes have sizes.
 *
 * @param order of the main graph's nodes; the runtime's unless given.
 */
export function memoryUse(graph: Graph, order: readonly Node[] = executionOrder(graph)): MemoryUse {
  const replay = new Replay();
  replay.run(planBuffers(graph, order));
  return replay.result();
}

/** Bytes of a value, undefined where its shape is not known. */
export function bytesOf(value: Value): number | undefined {
  const type = value.tensorType;
  const shape = staticShape(type?.shape);
  return type === undefined || shape === undefined ? undefined : byteLength(type.dtype, countElements(shape));
}

class Replay {
  readonly #arena = new Arena();
  readonly #moments: Moment[] = [];
  readonly #held = new Map<Value, Held>();
  readonly #unknown = new Set<Value>();
  #live = 0;
  #peak = 0;
  #holders: { value: Value; bytes: number }[] = [];

  run(plan: BufferPlan): void {
    for (const node of plan.order) {
      const stacked =
        opOf(node)
          ?.regions(node)
          .flatMap((region) => this.#runBody(node, region)) ?? [];
      for (const result of node.outputs) {
        if (result !== null && plan.owners.get(result) === result && !this.#held.has(result))
          this.#hold(result);
      }
      this.#note(node);
      for (const output of stacked) this.#release(output);
      for (const owner of plan.released.get(node) ?? []) this.#release(owner);
    }
  }

  /** Runs a body, whose results become the node's own where they are whole. Gives those that the node has yet to copy. */
  #runBody(node: Node, { body, carries, leaves }: Region): Value[] {
    // The results of the branch that was replayed before this one; only one of them runs.
    for (const result of node.outputs) if (result !== null) this.#release(result);
    const plan = planBuffers(body, executionOrder(body));
    const repeats = carries.some((input) => input !== undefined) || body.inputs.length > 0;
    const [count] = node.op === "Loop" ? (node.input(0)?.content ?? []) : [];
    const most = typeof count === "number" ? Math.min(count, trips) : trips;
    for (let i = 0; i < (repeats ? most : 1); i++) {
      const before = body.outputs.flatMap((output) => this.#takeOver(output) ?? []);
      this.run(plan);
      before.forEach((held) => this.#drop(held));
    }
    return body.outputs.filter((output, index) => {
      const result = node.outputs[leaves[index] ?? -1];
      if (result == null || bytesOf(result) !== bytesOf(output)) return true;
      const held = this.#takeOver(output);
      if (held !== undefined) this.#held.set(result, held);
      return false;
    });
  }

  /** Lets go of what a value lies in without giving it back. */
  #takeOver(value: Value): Held | undefined {
    const held = this.#held.get(value);
    this.#held.delete(value);
    return held;
  }

  #hold(value: Value): void {
    const bytes = bytesOf(value);
    if (bytes === undefined) this.#unknown.add(value);
    const size = bytes ?? 0;
    this.#held.set(value, { chunk: this.#arena.allocate(size), bytes: size });
    this.#live += size;
  }

  #release(value: Value): void {
    const held = this.#takeOver(value);
    if (held !== undefined) this.#drop(held);
  }

  #drop({ chunk, bytes }: Held): void {
    this.#arena.release(chunk);
    this.#live -= bytes;
  }

  #note(node: Node): void {
    this.#moments.push({ node, live: this.#live });
    if (this.#live <= this.#peak) return;
    this.#peak = this.#live;
    this.#holders = [...this.#held].map(([value, { bytes }]) => ({ value, bytes }));
  }

  result(): MemoryUse {
    if (this.#live < 0) throw new InternalError("more memory was given back than taken");
    return {
      moments: this.#moments,
      peak: this.#peak,
      taken: this.#arena.touched,
      holders: this.#holders.sort((a, b) => b.bytes - a.bytes),
      unknown: [...this.#unknown],
    };
  }
}
