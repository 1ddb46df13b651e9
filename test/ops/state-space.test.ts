/** CausalConvWithState, LinearAttention and SwiGLU: operators that are newer than what the runtime loads. */
import { describe, expect, test } from "vitest";
import { floatAttribute } from "../../src/ir/attribute.ts";
import { checkOp, checkRuntime } from "../harness/check-op.ts";
import { appendBackward } from "../harness/gradient.ts";
import { loweredCase } from "../harness/lower.ts";
import { buildCase, evaluateCase, type Naming, type OpCase, type OperandSpec } from "../harness/op-case.ts";

const newer = {
  noRuntime: "the runtime loads nothing beyond opset 26",
};

for (const activation of ["none", "silu", "swish"]) {
  const attributes = { activation };
  const [x, w]: readonly OperandSpec[] = [{ shape: [2, 3, 5] }, { shape: [3, 1, 4] }];
  const conv = { op: "CausalConvWithState", opset: 27, attributes, outputs: 2 };
  if (x === undefined || w === undefined) continue;
  const options = { ...newer, namings: ["static"] as const };
  checkOp(`${activation}, nothing optional`, { ...conv, inputs: [x, w] }, options);
  checkOp(
    `${activation}, bias and past`,
    { ...conv, inputs: [x, w, { shape: [3] }, { shape: [2, 3, 3] }] },
    options,
  );
  checkOp(`${activation}, shorter than the kernel`, { ...conv, inputs: [{ shape: [2, 3, 2] }, w] }, options);
  checkOp(`${activation}, a kernel of 1`, { ...conv, inputs: [x, { shape: [3, 1, 1] }] }, options);
}

checkOp("default", { op: "SwiGLU", opset: 28, inputs: [{ shape: [2, 3] }, { shape: [2, 3] }] }, newer);
checkOp(
  "alpha",
  {
    op: "SwiGLU",
    opset: 28,
    attributes: { alpha: floatAttribute(1.5) },
    inputs: [{ shape: [2, 3] }, { shape: [2, 3] }],
  },
  newer,
);

const [batch, tokens, keys, values] = [2, 3, 2, 3];
function attention(
  rule: string,
  heads: number,
  queryHeads: number,
  parts: Partial<OpCase> & {
    readonly perKey?: boolean;
    readonly oneRate?: boolean;
    readonly past?: boolean;
  } = {},
): OpCase {
  const { perKey = false, oneRate = false, past = false } = parts;
  const packed = (width: number): OperandSpec => ({ shape: [batch, tokens, width], range: [-1, 1] });
  return {
    op: "LinearAttention",
    opset: 27,
    attributes: { update_rule: rule, kv_num_heads: heads, q_num_heads: queryHeads, ...parts.attributes },
    inputs: [
      packed(queryHeads * keys),
      packed(heads * keys),
      packed(heads * values),
      past ? { shape: [batch, heads, keys, values] } : null,
      rule.startsWith("gated") ? packed(perKey ? heads * keys : heads) : null,
      rule.endsWith("delta") ? packed(oneRate ? 1 : heads) : null,
    ],
    outputs: 2,
  };
}
for (const rule of ["linear", "gated", "delta", "gated_delta"]) {
  checkOp(rule, attention(rule, 2, 2), newer);
  checkOp(`${rule} from a state`, attention(rule, 2, 2, { past: true }), newer);
  checkOp(`${rule}, heads that share keys`, attention(rule, 2, 4, { past: true }), newer);
}
checkOp("a decay for each key", attention("gated", 2, 2, { perKey: true }), newer);
checkOp("one rate for all heads", attention("delta", 2, 2, { oneRate: true }), newer);
checkOp("a scale", attention("linear", 1, 2, { attributes: { scale: floatAttribute(0.3) } }), newer);

describe.each<Naming>(["static", "shared"])("in the runtime, with %s sizes", (naming) => {
  const both = [{ shape: [2, 3] }, { shape: [2, 3] }];
  const convolution = { op: "CausalConvWithState", outputs: 2 };
  const rows: readonly OpCase[] = [
    { op: "SwiGLU", inputs: both },
    { op: "SwiGLU", inputs: both, attributes: { alpha: floatAttribute(0.5) } },
    attention("gated_delta", 2, 4, { past: true }),
    attention("linear", 2, 2),
    ...(naming === "static"
      ? [
          {
            ...convolution,
            inputs: [{ shape: [2, 3, 5] }, { shape: [3, 1, 4] }, { shape: [3] }, { shape: [2, 3, 3] }],
          },
        ]
      : []),
  ];
  test.each(rows)("$op and its gradient", async (spec) => {
    const lowered = loweredCase(spec, naming);
    const ops = [...lowered.model.graph.nodes()].map(({ op }) => op);
    expect(ops).not.toContain(spec.op);
    await checkRuntime(lowered);
    await checkRuntime(appendBackward(loweredCase(spec, naming)));
  });
});

describe("against onnx.reference", () => {
  /** Eighths from -1 to 1, as the numbers of the reference were made. */
  const ramp = (step: number, ...shape: readonly number[]): OperandSpec => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    return { shape, values: Array.from({ length: size }, (_, i) => (((i * step) % 17) - 8) / 8) };
  };
  const rows: readonly (readonly [OpCase, readonly (readonly number[])[]])[] = [
    [
      {
        op: "LinearAttention",
        opset: 27,
        attributes: { update_rule: "gated_delta", kv_num_heads: 1, q_num_heads: 2 },
        inputs: [
          ramp(3, 1, 2, 4),
          ramp(5, 1, 2, 2),
          ramp(7, 1, 2, 2),
          ramp(4, 1, 1, 2, 2),
          ramp(6, 1, 2, 1),
          ramp(9, 1, 2, 1),
        ],
        outputs: 2,
      },
      [
        [1.45406, 0.25822, 0.2615, 0.08324, -0.61195, -0.10935, 0.89425, 0.20632],
        [-1.30689, -0.34518, -0.24226, 0.02051],
      ],
    ],
    [
      {
        op: "CausalConvWithState",
        opset: 27,
        attributes: { activation: "silu" },
        inputs: [ramp(3, 1, 2, 3), ramp(5, 2, 1, 2), ramp(7, 2), ramp(4, 1, 2, 1)],
        outputs: 2,
      },
      [
        [0.22225, 0.13086, -0.12098, -0.06538, 0.20113, 0.5226],
        [-0.25, 0.875],
      ],
    ],
    [
      {
        op: "SwiGLU",
        opset: 28,
        attributes: { alpha: floatAttribute(1.5) },
        inputs: [ramp(3, 2, 2), ramp(5, 2, 2)],
      },
      [[0.18243, 0.06595, -0.02546, 0.0598]],
    ],
  ];
  test.each(rows)("$op", (spec, wanted) => {
    const got = evaluateCase(buildCase(spec, "static"));
    expect(got.map((y) => y.toNumbers().map((v) => Math.round(v * 1e5) / 1e5))).toEqual(wanted);
  });
});

describe("what does not fit", () => {
  test.each([
    [attention("quadratic", 2, 2), /E_BAD_ATTRIBUTE[\s\S]*one of linear/],
    [attention("linear", 2, 3), /E_BAD_ATTRIBUTE[\s\S]*a multiple of 2/],
    [
      { ...attention("linear", 2, 2), attributes: { update_rule: "gated", kv_num_heads: 2, q_num_heads: 2 } },
      /E_BAD_OPERAND[\s\S]*decay/,
    ],
    [
      { ...attention("delta", 2, 2), attributes: { update_rule: "linear", kv_num_heads: 2, q_num_heads: 2 } },
      /E_BAD_OPERAND[\s\S]*beta/,
    ],
    [
      { ...attention("linear", 2, 2), attributes: { update_rule: "linear", q_num_heads: 2 } },
      /E_BAD_ATTRIBUTE[\s\S]*kv_num_heads/,
    ],
  ] as const)("%o", (spec, message) => {
    expect(() => evaluateCase(buildCase(spec, "static"))).toThrow(message);
  });
});
