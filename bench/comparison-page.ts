/** The page that compares methods: a row for each, in the order of what they reach. */
import { z } from "zod";

export const rowsSchema = z.array(
  z.strictObject({
    method: z.string(),
    summary: z.string(),
    /** Trained elements. */
    trained: z.number(),
    lr: z.number(),
    flags: z.array(z.string()),
    /** Held-out loss in nats per token, of the fresh adapter and after training. */
    before: z.number(),
    after: z.number(),
  }),
);

export type Row = z.output<typeof rowsSchema>[number];

const introduction = `# Methods compared

Every method trains [stories260k](../fixtures/README.md), a Llama with 260 thousand parameters, on Tiny Shakespeare: 100 steps of AdamW with 4 windows of
32 tokens, the same windows for each. Methods that adapt linear layers are given q_proj, k_proj, v_proj and o_proj, and their own defaults but for what the
table says. The loss is that of 6000 held-out characters, in nats per token, of the fresh adapter and after training: a method whose start is not the
identity, or that adds a term of its own, begins higher. So short a run shows that a method trains, and how fast it starts; it ranks nothing else.

\`npm run bench:methods\` makes this page, \`npm run bench:methods -- lora\` one row of it.

![Held-out loss against trained parameters](comparison.svg)
`;

export function comparisonPage(rows: readonly Row[]): string {
  const sorted = [...rows].sort((a, b) => a.after - b.after);
  return [
    introduction,
    "| method | trained | loss before | after | lr | given |",
    "| --- | ---: | ---: | ---: | ---: | --- |",
    ...sorted.map(
      ({ method, trained, before, after, lr, flags }) =>
        `| [${method}](methods/${method}.md) | ${trained} | ${before.toFixed(3)} | ${after.toFixed(3)} | ${lr} | ${flags.length === 0 ? "" : `\`${flags.join(" ")}\``} |`,
    ),
    "",
  ].join("\n");
}
