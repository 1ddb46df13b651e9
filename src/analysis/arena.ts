/** The memory arena of ONNX Runtime's CPU provider: which bytes it takes from the system for a sequence of requests. */
import { InternalError } from "../diagnostics/define.ts";

/** A stretch of a region, in use or free. */
interface Chunk {
  address: number;
  size: number;
  used: boolean;
  previous: Chunk | undefined;
  next: Chunk | undefined;
}

const granule = 256;
/** A chunk that is larger than asked for is not split below twice the size, unless so much would be lost. */
const mostWaste = 128 * 2 ** 20;
const firstRegion = 2 ** 20;
const bins = 21;

/**
 * Best fit with coalescing, regions doubling in size (`BFCArena` of ONNX Runtime 1.30 with its defaults, which descends from
 * TensorFlow's). Pages of a region count when they are first handed out, since the system backs them only then.
 */
export class Arena {
  /** Bytes in use, padding included. */
  used = 0;
  /** Bytes that have ever been handed out, which stay with the process. */
  touched = 0;
  readonly #free: Chunk[][] = Array.from({ length: bins }, () => []);
  /** Highest address handed out, by region; all below it was, too, since free chunks are taken from their start. */
  readonly #regions: { readonly start: number; high: number; readonly end: number }[] = [];
  #nextRegion = firstRegion;
  /** Regions are placed downwards, as the system does with mappings. */
  #lowest = 2 ** 46;

  allocate(bytes: number): Chunk | undefined {
    if (bytes === 0) return undefined;
    const size = Math.ceil(bytes / granule) * granule;
    const chunk = this.#find(size) ?? this.#extend(size);
    if (chunk.size >= 2 * size || chunk.size - size >= mostWaste) this.#split(chunk, size);
    chunk.used = true;
    this.used += chunk.size;
    this.#touch(chunk);
    return chunk;
  }

  release(chunk: Chunk | undefined): void {
    if (chunk === undefined) return;
    if (!chunk.used) throw new InternalError("a chunk is released twice");
    chunk.used = false;
    this.used -= chunk.size;
    let whole = chunk;
    if (chunk.next !== undefined && !chunk.next.used) {
      this.#take(chunk.next);
      join(chunk, chunk.next);
    }
    if (chunk.previous !== undefined && !chunk.previous.used) {
      whole = chunk.previous;
      this.#take(whole);
      join(whole, chunk);
    }
    this.#put(whole);
  }

  /** The smallest free chunk that is large enough, of equal ones that with the lowest address. */
  #find(size: number): Chunk | undefined {
    for (let bin = binOf(size); bin < bins; bin++) {
      const chunk = this.#free[bin]?.find((each) => each.size >= size);
      if (chunk === undefined) continue;
      this.#take(chunk);
      return chunk;
    }
    return undefined;
  }

  #extend(size: number): Chunk {
    let grown = false;
    while (this.#nextRegion < size) {
      this.#nextRegion *= 2;
      grown = true;
    }
    const bytes = this.#nextRegion;
    if (!grown) this.#nextRegion *= 2;
    this.#lowest -= bytes + granule;
    const address = this.#lowest;
    this.#regions.push({ start: address, high: address, end: address + bytes });
    return { address, size: bytes, used: false, previous: undefined, next: undefined };
  }

  #split(chunk: Chunk, size: number): void {
    const rest: Chunk = {
      address: chunk.address + size,
      size: chunk.size - size,
      used: false,
      previous: chunk,
      next: chunk.next,
    };
    if (chunk.next !== undefined) chunk.next.previous = rest;
    chunk.next = rest;
    chunk.size = size;
    this.#put(rest);
  }

  #touch({ address, size }: Chunk): void {
    const region = this.#regions.find(({ start, end }) => address >= start && address < end);
    if (region === undefined) throw new InternalError("a chunk lies in no region");
    const high = Math.max(region.high, address + size);
    this.touched += high - region.high;
    region.high = high;
  }

  #put(chunk: Chunk): void {
    const list = this.#free[binOf(chunk.size)] ?? [];
    const at = list.findIndex(
      (each) => each.size > chunk.size || (each.size === chunk.size && each.address > chunk.address),
    );
    list.splice(at < 0 ? list.length : at, 0, chunk);
  }

  #take(chunk: Chunk): void {
    const list = this.#free[binOf(chunk.size)] ?? [];
    const at = list.indexOf(chunk);
    if (at < 0) throw new InternalError("a free chunk is in no bin");
    list.splice(at, 1);
  }
}

/** Lets the first of two neighbours take over the second. */
function join(first: Chunk, second: Chunk): void {
  first.size += second.size;
  first.next = second.next;
  if (second.next !== undefined) second.next.previous = first;
}

function binOf(size: number): number {
  return Math.min(bins - 1, Math.floor(Math.log2(size / granule)));
}
