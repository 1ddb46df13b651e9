/** Multiplies by 8- or 4-bit numbers in the place of frozen weights, for less memory and faster products. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { quantizeBase } from "../src/rewrite/quantize-base.ts";

export default definePass({
  name: "quantize-base",
  summary: "Store frozen weights of products as 8- or 4-bit numbers",
  options: z.strictObject({
    bits: z
      .union([z.literal(8), z.literal(4)])
      .default(8)
      .describe("Bits of a number"),
  }),
  statistics: { products: "products that read numbers now" },
  run: (model, { options, stat, remark }) => {
    const { products, relativeError } = quantizeBase(model.graph, model.opset, options.bits);
    stat("products", products);
    if (products > 0) {
      model.opsets.set("com.microsoft", 1);
      remark(
        `int${options.bits} base: ${products} products, weights off by ${(100 * relativeError).toFixed(2)} % (root mean square)`,
      );
    }
    return products > 0;
  },
});
