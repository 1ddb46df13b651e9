/** The arena: what it takes from the system, reuses and leaves as padding. */
import { describe, expect, it } from "vitest";
import { Arena } from "../../src/analysis/arena.ts";

const mib = 2 ** 20;

describe("the arena", () => {
  it("takes what was given back before it takes more", () => {
    const arena = new Arena();
    const first = arena.allocate(4 * mib);
    arena.release(first);
    arena.allocate(4 * mib);
    expect(arena.touched).toBe(4 * mib);
  });

  it("joins neighbours that are free", () => {
    const arena = new Arena();
    arena.release(arena.allocate(8 * mib));
    const chunks = [2, 2, 4].map((size) => arena.allocate(size * mib));
    for (const chunk of [chunks[1], chunks[0], chunks[2]]) arena.release(chunk);
    expect(arena.used).toBe(0);
    arena.allocate(8 * mib);
    expect(arena.touched).toBe(8 * mib);
  });

  it("does not split a chunk below twice the size, and counts the rest as used", () => {
    const arena = new Arena();
    const large = arena.allocate(3 * mib);
    arena.allocate(1 * mib);
    arena.release(large);
    const before = arena.used;
    arena.allocate(2 * mib);
    expect(arena.used - before).toBe(3 * mib);
  });

  it("rounds requests up to 256 bytes, and takes nothing for none", () => {
    const arena = new Arena();
    arena.allocate(1);
    arena.allocate(0);
    expect(arena.used).toBe(256);
  });
});
