/** Weight decay apart from the gradient (Loshchilov and Hutter 2017), as several optimizers have it. */
import { z } from "zod";
import type { Value } from "../../../src/ir/value.ts";
import type { UpdateContext } from "../../../src/training/define-optimizer.ts";

export const decayOption = z.number().nonnegative().describe("share of lr by which every parameter shrinks");

/** The parameter after decay. */
export function decoupled(
  { param, lr, b }: Pick<UpdateContext<unknown, never>, "param" | "lr" | "b">,
  decay: number,
): Value {
  return decay === 0 ? param : b.mul(param, b.sub(1, b.mul(lr, decay)));
}
