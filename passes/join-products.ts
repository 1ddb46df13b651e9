/** Makes one product of the thin ones that adapters on one value take. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { joinProducts } from "../src/rewrite/join-products.ts";

export default definePass({
  name: "join-products",
  summary:
    "Join the thin products of one value with several trained matrices, such as LoRA's A on queries and values",
  options: z.strictObject({}),
  statistics: { joined: "products that are now part of another" },
  run: (model, { stat }) => {
    const joined = joinProducts(model.graph, model.opset);
    stat("joined", joined);
    return joined > 0;
  },
});
