/** Which oracle cases the methods of this package are expected to pass; everything else is listed, never counted. */

/** Cases by name, for every model that has them. */
const built: ReadonlySet<string> = new Set([
  "lora",
  "ia3",
  "loha",
  "loha-grouped",
  "loha-effective",
  "miss",
  "miss-mini",
  "miss-bat",
  "lokr",
  "lokr-both",
  "lokr-lycoris",
  "lokr-effective",
  "hra",
  "hra-gs",
  "gralora",
  "gralora-hybrid",
  "delora",
  "hira",
  "beft",
  "lora-rslora",
  "lora-gaussian",
  "lora-init-false",
  "lora-orthogonal",
  "lora-biases-all",
  "lora-biases-only",
  "lora-all-linear",
  "lora-embedding",
  "lora-patterns",
  "lora-layers",
  "lora-layers-pattern",
  "lora-exclude",
  "lora-regex",
  "lora-save",
  "lora-save-head",
  "lora-save-norm",
  "lora-head",
  "lora-named",
  "lora-disabled",
  "lora-sgd",
  "lora-accumulate",
  "lora-accumulate-tokens",
  "lora-bf16",
  "lora-fp16",
  "lora-dora",
  "lora-dora-embedding",
  "lora-dora-rslora",
  "lora-bias",
  "ln_tuning",
  "vera",
  "adalora",
  "randlora",
  "waveft",
  "waveft-db4",
  "waveft-noidwt",
  "vera-unsaved",
  "shira",
  "road",
  "road-2",
  "road-4",
  "fourierft",
  "fourierft-zero",
  "prompt_tuning",
  "prompt_tuning-vocab",
  "p_tuning",
  "p_tuning-lstm",
  "prefix_tuning",
  "prefix_tuning-projection",
  "multitask_prompt_tuning",
  "cartridge",
  "c3a",
  "oft",
  "boft",
  "boft-m2",
  "boft-num",
  "oft-exact",
  "oft-share-r",
  "c3a-zero",
]);

export function isBuilt(name: string): boolean {
  return built.has(name);
}

/**
 * Options in which a case differs from its configuration. The image models of the set yield logits alone, and PEFT adds
 * AdaLoRA's penalty only to a loss that the model itself yields: there the set's loss and gradients are without it. PEFT
 * made the set without its CUDA extension, and so with one butterfly factor for BOFT whatever the configuration says.
 */
export function adjustedOptions(model: string, name: string): Readonly<Record<string, unknown>> {
  if (name === "adalora" && (model === "vit" || model === "smallconv")) return { orth_reg_weight: 0 };
  return name === "boft-m2" ? { boft_n_butterfly_factor: 1 } : {};
}
