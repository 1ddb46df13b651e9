/** What happens where a file declares another type than the one that follows from its nodes. */
import { operatorErrors } from "../diagnostics/operator.ts";
import type { Graph } from "../ir/graph.ts";
import { formatType, type ValueType } from "../ir/type.ts";
import type { OnContradiction } from "../ops/infer.ts";

/**
 * Refuses a declared element type or rank of an output of `graph` that its node contradicts, since who runs the model relies on it;
 * anything else that is declared wrongly is overruled, with a remark.
 *
 * @throws DiagnosticError `E_DECLARED_TYPE`, from the function that is returned.
 */
export function judgeContradictions(graph: Graph, remark: (message: string) => void): OnContradiction {
  return (value, found, declared) => {
    const { op = "", name = "" } = value.producer ?? {};
    const texts = [formatType(declared), formatType(found)] as const;
    if (graph.outputs.includes(value) && !alike(found, declared))
      throw operatorErrors.E_DECLARED_TYPE({ op, name }, value.name, ...texts);
    remark(
      `the file declares "${value.name}" as ${texts[0]}, and ${op} makes it ${texts[1]}: taken as the latter`,
    );
  };
}

/** One element type and rank, as far as both are known; sequences and the like are not told apart. */
function alike(left: ValueType, right: ValueType): boolean {
  if (left.kind !== "tensor" || right.kind !== "tensor")
    return left.kind !== "tensor" && right.kind !== "tensor";
  const [rank, other] = [left.shape?.length, right.shape?.length];
  return left.dtype === right.dtype && (rank === undefined || other === undefined || rank === other);
}
