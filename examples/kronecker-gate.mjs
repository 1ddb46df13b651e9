// A fine-tuning method that nobody has published, which docs/new-method.md takes from its formula to a comparison: every output
// feature of a frozen layer is scaled by a sum of Kronecker products of two short vectors.
//
//   peft-compile model.onnx --use examples/kronecker-gate.mjs --method kronecker-gate --target q_proj,v_proj
import { defineAdapter, filled, normal, targetOptions } from "peft-compile/extend";
import { z } from "zod";

const options = z.strictObject({
  r: z.int().min(1).default(4).describe("number of products that are summed"),
  block: z.int().min(1).default(8).describe("length of the second factor; divides the number of outputs"),
  ...targetOptions,
});

export default defineAdapter({
  name: "kronecker-gate",
  peftType: "KRONECKER_GATE",
  summary: "Scales the outputs of frozen linear layers by a low-rank Kronecker product",
  formula: "y = (1 + sum_k u_k (x) v_k) * (W x + b), with (x) the Kronecker product and k from 1 to r",
  paper: "not published",
  options,
  peftConfig: {},
  sites: ["linear"],
  accepts: ({ outFeatures }, { block }) =>
    outFeatures % block === 0 || `its ${outFeatures} outputs are not a multiple of block ${block}`,
  identityAtStart: () => true,
  parameters: ({ outFeatures }, { r, block }) => ({
    u: { key: "kronecker_gate_u", shape: [outFeatures / block, r], init: filled(0) },
    v: { key: "kronecker_gate_v", shape: [r, block], init: normal(1) },
  }),
  build: ({ y, params: { u, v }, b }) => b.add(y, b.mul(y, b.reshape(b.matmul(u, v), [-1]))),
  merge: (site) => scaled(site, gateOf(site)),
  unmerge: (site) => scaled(site, site.b.div(1, gateOf(site))),
});

/** What each output feature is multiplied with. */
function gateOf({ params: { u, v }, b }) {
  return b.add(b.reshape(b.matmul(u, v), [-1]), 1);
}

function scaled({ weight, bias, b }, factors) {
  const rows = b.mul(weight, b.reshape(factors, [-1, 1]));
  return bias === undefined ? { weight: rows } : { weight: rows, bias: b.mul(bias, factors) };
}
