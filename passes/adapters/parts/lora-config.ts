/** Fields of PEFT's LoraConfig that nothing here is built for, with PEFT's defaults. */
export const absentOfLora: Readonly<Record<string, unknown>> = {
  arrow_config: null,
  fan_in_fan_out: false,
  layer_replication: null,
  megatron_config: null,
  megatron_core: "megatron.core",
};

/** Fields that are options of LoRA, and that AdaLoraConfig inherits. */
export const inheritedFromLora: Readonly<Record<string, unknown>> = {
  ...absentOfLora,
  alora_invocation_tokens: null,
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  kasa_config: null,
  loftq_config: {},
  lora_ga_config: null,
  monteclora_config: null,
  qalora_group_size: 16,
  target_parameters: null,
  trainable_token_indices: null,
  use_bdlora: null,
  use_qalora: false,
  velora_config: null,
};
