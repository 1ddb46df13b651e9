/** Fields that can only be 0 need not be in the data; all others do. */
import { expect, it } from "vitest";
import { assembleBatch, type Field } from "../../src/data/batch.ts";

const makers = new Map<string, () => Field>([
  ["input_ids", () => ({ dtype: "int64", shape: [3, 1], data: BigInt64Array.of(5n, 6n, 7n) }) as const],
]);
const ids = { name: "input_ids", dtype: "int64" } as const;
const tasks = { name: "task_ids", dtype: "int64" } as const;

it("gives zeros for every example", () => {
  const batch = assembleBatch("some.txt", makers, [{ ...tasks, zeros: true }, ids]);
  expect(batch.task_ids).toEqual({ dtype: "int64", shape: [3], data: BigInt64Array.of(0n, 0n, 0n) });
});

it("takes them from the data where they are there", () => {
  const own = { dtype: "int64", shape: [3], data: BigInt64Array.of(0n, 0n, 0n) } as const;
  const batch = assembleBatch("some.npz", new Map([...makers, ["task_ids", () => own]]), [
    ids,
    { ...tasks, zeros: true },
  ]);
  expect(batch.task_ids?.data).toBe(own.data);
});

it("asks for a field that can be more", () => {
  expect(() => assembleBatch("some.txt", makers, [ids, tasks])).toThrow('the data does not give "task_ids"');
});
