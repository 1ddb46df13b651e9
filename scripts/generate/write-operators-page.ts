/** Generates `docs/operators.md`: every operator with a record, its gradient, and what the CUDA provider takes. */
import { gradientAnswer } from "../../src/ops/gradient-answer.ts";
import type { Op } from "../../src/ops/record.ts";
import { allOps } from "../../src/ops/registry.ts";
import { newestOpset, versionAt } from "../../src/ops/versions.ts";
import { cudaTypes } from "../../src/providers/cuda-kernels.ts";
import { emitGenerated } from "../generated-files.ts";

const introduction = `# Operators

Generated from the records in [src/ops/families](../src/ops/families) by \`npm run generate\`; \`peft-compile ops NAME\` prints more of each.

- **versions**: those of the operator's schema. Models of ai.onnx from opset 7 on are read.
- **gradient**: \`yes\`, by a rule or through other operators; \`zero\` where the derivative is zero almost everywhere; \`none\` where a loss that depends on a
  trainable through the operator is refused. What follows the word is the reason.
- **precision**: under mixed precision \`low\` is computed in 16 bits, \`follow\` in the type of its operands, \`full\` in float32; \`exact\` does no float arithmetic.
- **CUDA**: element types that ONNX Runtime 1.30's CUDA provider lists kernels with, for the newest version that is emitted: a union over its operands, so
  that not every combination runs; \`any\` where it names none.
`;

const domains = [...new Set(allOps().map(({ domain }) => domain))].sort();
const text = [introduction, ...domains.map(section)].join("\n");
emitGenerated([{ path: "docs/operators.md", text }]);

function section(domain: string): string {
  const ops = allOps()
    .filter((op) => op.domain === domain)
    .sort((a, b) => (a.type < b.type ? -1 : 1));
  const count = (answer: string): number => ops.filter((op) => gradientAnswer(op) === answer).length;
  return [
    `## ${domain || "ai.onnx"}\n`,
    `${ops.length} operators: ${count("yes")} with a gradient, ${count("zero")} whose derivative is zero, ${count("none")} without.\n`,
    "| operator | versions | gradient | precision | CUDA |",
    "| --- | --- | --- | --- | --- |",
    ...ops.map(
      (op) =>
        `| ${op.type} | ${op.versions.join(", ")} | ${gradient(op)} | ${op.precision} | ${cudaCell(op)} |`,
    ),
    "",
  ].join("\n");
}

function gradient(op: Op): string {
  const { reason } = op.gradient;
  return reason === undefined
    ? gradientAnswer(op)
    : `${gradientAnswer(op)}: ${reason.replaceAll("|", "\\|")}`;
}

function cudaCell({ domain, type, versions }: Op): string {
  const version = domain === "" ? versionAt(versions, newestOpset) : versions.at(-1);
  const types = version === undefined ? undefined : cudaTypes(domain, type, version);
  if (types === undefined) return "no";
  return types.size === 0 ? "any" : [...types].join(", ");
}
