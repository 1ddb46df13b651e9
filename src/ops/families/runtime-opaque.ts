/** Operators of com.microsoft that models may hold, but that nothing is differentiated through, each with its reason. */
import { defineOp, none, refuse } from "../define.ts";
import type { Op } from "../record.ts";

function opaque(type: string, reason: string): Op {
  return defineOp({
    type,
    domain: "com.microsoft",
    versions: [1],
    inputs: ["xs..."],
    outputs: ["ys..."],
    attributes: {},
    infer: () => [],
    evaluate: refuse(reason),
    precision: "full",
    gradient: none(reason),
  });
}

const search =
  "it runs a decoder in a loop and picks tokens, which have no gradient: train the decoder that it holds, as a model of its own";
const decoding =
  "it decodes one token at a time in a buffer that it shares with its results: export the decoder for whole prompts";
const ordered =
  "its whole numbers lie in tiles of a GPU's own (COL32 and the like), which its schema does not define: take the model before that step, or one quantised by QDQ";
const device =
  "it holds what was compiled for one device, and not its arithmetic: take the model before that step";

export const BeamSearch = opaque("BeamSearch", search);
export const GreedySearch = opaque("GreedySearch", search);
export const Sampling = opaque("Sampling", search);
export const WhisperBeamSearch = opaque("WhisperBeamSearch", search);

export const DecoderMaskedMultiHeadAttention = opaque("DecoderMaskedMultiHeadAttention", decoding);
export const DecoderMaskedSelfAttention = opaque("DecoderMaskedSelfAttention", decoding);
export const PagedAttention = opaque("PagedAttention", decoding);
export const SparseAttention = opaque(
  "SparseAttention",
  "which blocks it reads is known at run time only: export the model with dense attention",
);
export const LongformerAttention = opaque(
  "LongformerAttention",
  "only the CUDA provider has it, and nothing could check its windows here: export the model without the fusion",
);
export const DecoderAttention = opaque(
  "DecoderAttention",
  "flags at run time choose between two kinds of attention: export the model without the fusion",
);

export const RelativePositionBias = opaque(
  "RelativePositionBias",
  "its schema leaves open in which order the kernel of CUDA, the only provider that has it, reads the table: export the model without the fusion",
);

export const QOrderedAttention = opaque("QOrderedAttention", ordered);
export const QOrderedGelu = opaque("QOrderedGelu", ordered);
export const QOrderedLayerNormalization = opaque("QOrderedLayerNormalization", ordered);
export const QOrderedLongformerAttention = opaque("QOrderedLongformerAttention", ordered);
export const QOrderedMatMul = opaque("QOrderedMatMul", ordered);

export const EPContext = opaque("EPContext", device);
export const Snpe = opaque("Snpe", device);
