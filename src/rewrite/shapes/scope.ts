/** What is known, at a place of a graph, of where dimensions can be read and which shape vectors exist already. */
import type { Dim } from "../../ir/dim.ts";
import type { Value } from "../../ir/value.ts";

/** A tensor and the axis of it that has a certain size. */
export interface DimSource {
  readonly value: Value;
  readonly axis: number;
}

/** A table of sources and shape values that grows along a graph; a body's table sees that of the graph around it. */
export class ShapeScope {
  readonly #outer: ShapeScope | undefined;
  readonly #sources = new Map<string, DimSource>();
  readonly #values = new Map<string, Value>();

  constructor(outer?: ShapeScope) {
    this.#outer = outer;
  }

  /** Lets the axes of a tensor be read from now on; the first tensor that has a size stays the one that is read. */
  addSources(value: Value): void {
    value.tensorType?.shape?.forEach((dim, axis) => {
      if (typeof dim === "number" || this.source(dim) !== undefined) return;
      this.#sources.set(dim.key, { value, axis });
    });
  }

  /** Where a dimension can be read; a tensor that has been removed since is forgotten. */
  source(dim: Dim): DimSource | undefined {
    if (typeof dim === "number") return undefined;
    const own = this.#sources.get(dim.key);
    return own !== undefined && stands(own.value) ? own : this.#outer?.source(dim);
  }

  /** Lets an int64 value of rank 0 or 1 be used from now on for everything of the same content. */
  addValue(value: Value): void {
    const key = keyOf(value);
    if (key !== undefined && this.#find(key) === undefined) this.#values.set(key, value);
  }

  /** An int64 value of this content and rank. */
  value(content: readonly Dim[], rank: number): Value | undefined {
    return this.#find(contentKey(content, rank));
  }

  #find(key: string): Value | undefined {
    const own = this.#values.get(key);
    if (own !== undefined && stands(own)) return own;
    return this.#outer === undefined ? undefined : this.#outer.#find(key);
  }
}

/** Whether the value is still part of a graph. */
function stands({ graph, producer }: Value): boolean {
  return graph !== undefined || producer?.graph !== undefined;
}

function keyOf({ content, tensorType }: Value): string | undefined {
  if (content === undefined || tensorType?.dtype !== "int64" || tensorType.shape === undefined)
    return undefined;
  return contentKey(content, tensorType.shape.length);
}

function contentKey(content: readonly Dim[], rank: number): string {
  return `${rank}:${content.map(String).join()}`;
}
