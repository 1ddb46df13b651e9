/** Rules for operators that ONNX tries out and no runtime has. */
import { opOf } from "../../ops/registry.ts";
import { nodeRule, type Rule } from "../rule.ts";

const writeFlexAttention = nodeRule("write-out-flex-attention", {
  roots: ["ai.onnx.preview.FlexAttention"],
  when: (node) =>
    node.inputs.every((input) => input?.tensorType?.shape?.length === 4) || "a rank is not known",
  build: (node, b) => opOf(node)?.expand(node, b)[0] ?? node.output(0),
});

export const previewRules: readonly Rule[] = [writeFlexAttention];
