/** Makes constants of the inputs that need not be fed. */
import { z } from "zod";
import { smallIntegers } from "../src/ir/constant.ts";
import { replaceValue } from "../src/ir/replace.ts";
import { roleOf } from "../src/ir/role.ts";
import { definePass } from "../src/pass/define.ts";

/**
 * Batches have nothing for such inputs, exporters list weights among them, and the runtime's binding for Node drops what it
 * is fed for one. Inputs with a role are what an earlier compilation made, and stay.
 */
export default definePass({
  name: "hold-defaults",
  summary: "Hold inputs that have a default at that value",
  options: z.strictObject({}),
  statistics: { held: "inputs that became constants" },
  run: ({ graph }, { stat, remark }) => {
    const held = graph.inputs.filter(
      (input) => input.initializer !== undefined && roleOf(input) === undefined,
    );
    for (const input of held) {
      const { initializer: tensor } = input;
      if (tensor === undefined) continue;
      const constant = graph.addInitializer(tensor, input.name);
      if (tensor.dims.length <= 1) constant.content = smallIntegers(tensor);
      for (const [key, text] of input.metadata) constant.metadata.set(key, text);
      replaceValue(input, constant);
      graph.removeInput(input);
    }
    if (held.length === 0) return false;
    stat("held", held.length);
    const [first] = held;
    remark(
      held.length === 1
        ? `input "${first?.name ?? ""}" keeps its default`
        : `${held.length} inputs ("${first?.name ?? ""}"...) keep their defaults`,
    );
    return true;
  },
});
