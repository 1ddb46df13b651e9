/** What an initialiser of LoRA says of a module's factors. */
import type { Initializer } from "../../../src/adapt/initializers.ts";

export interface FactorStart {
  readonly A: Initializer;
  readonly B: Initializer;
  /** Whether B is trained. */
  readonly trainsB: boolean;
  /** Whether the weight loses what A and B start with, so that a fresh adapter changes nothing. */
  readonly isTaken: boolean;
  /** The weight in place of the module's own, (out, in); absent where that stays. */
  readonly base?: Initializer;
}
