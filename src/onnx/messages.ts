/** ONNX messages as plain objects: what decoding gives and encoding takes. An absent field is an absent property. */
import type { Int64 } from "./integers.ts";

/** Fields that the schema does not know, tags included, as their bytes. */
interface Unknowns {
  $unknowns?: Uint8Array[];
}

export interface EntryMessage extends Unknowns {
  key?: string;
  value?: string;
}

export interface OpsetMessage extends Unknowns {
  domain?: string;
  version?: Int64;
}

/** Has `dim_value`, `dim_param` or neither. */
export interface DimensionMessage extends Unknowns {
  dim_value?: Int64;
  dim_param?: string;
  denotation?: string;
}

export interface ShapeMessage extends Unknowns {
  dim?: DimensionMessage[];
}

interface TensorTypeMessage extends Unknowns {
  elem_type?: number;
  shape?: ShapeMessage;
}

interface ElementTypeMessage extends Unknowns {
  elem_type?: TypeMessage;
}

/** Has one of the fields that end in `_type`, or none. */
export interface TypeMessage extends Unknowns {
  tensor_type?: TensorTypeMessage;
  sequence_type?: ElementTypeMessage;
  map_type?: { key_type?: number; value_type?: TypeMessage } & Unknowns;
  opaque_type?: { domain?: string; name?: string } & Unknowns;
  sparse_tensor_type?: TensorTypeMessage;
  optional_type?: ElementTypeMessage;
  denotation?: string;
}

export interface ValueInfoMessage extends Unknowns {
  name?: string;
  type?: TypeMessage;
  doc_string?: string;
  metadata_props?: EntryMessage[];
}

export interface TensorMessage extends Unknowns {
  dims?: Int64[];
  data_type?: number;
  segment?: { begin?: Int64; end?: Int64 } & Unknowns;
  float_data?: number[];
  int32_data?: number[];
  string_data?: Uint8Array[];
  int64_data?: Int64[];
  name?: string;
  raw_data?: Uint8Array;
  double_data?: number[];
  uint64_data?: Int64[];
  doc_string?: string;
  external_data?: EntryMessage[];
  /** 0 for here, 1 for external data. */
  data_location?: number;
  metadata_props?: EntryMessage[];
  /** Ours, see `schema.ts`. */
  weight_index?: number[];
}

export interface SparseTensorMessage extends Unknowns {
  values?: TensorMessage;
  indices?: TensorMessage;
  dims?: Int64[];
}

export interface AttributeMessage extends Unknowns {
  name?: string;
  f?: number;
  i?: Int64;
  s?: Uint8Array;
  t?: TensorMessage;
  g?: GraphMessage;
  floats?: number[];
  ints?: Int64[];
  strings?: Uint8Array[];
  tensors?: TensorMessage[];
  graphs?: GraphMessage[];
  doc_string?: string;
  tp?: TypeMessage;
  type_protos?: TypeMessage[];
  type?: number;
  ref_attr_name?: string;
  sparse_tensor?: SparseTensorMessage;
  sparse_tensors?: SparseTensorMessage[];
}

interface SimpleShardedDimMessage extends Unknowns {
  dim_value?: Int64;
  dim_param?: string;
  num_shards?: Int64;
}

interface ShardedDimMessage extends Unknowns {
  axis?: Int64;
  simple_sharding?: SimpleShardedDimMessage[];
}

interface ShardingSpecMessage extends Unknowns {
  tensor_name?: string;
  device?: Int64[];
  index_to_device_group_map?: ({ key?: Int64; value?: Int64[] } & Unknowns)[];
  sharded_dim?: ShardedDimMessage[];
}

/** How one node is spread over the devices of a {@link DeviceConfigurationMessage}. */
export interface NodeDeviceConfigurationMessage extends Unknowns {
  configuration_id?: string;
  sharding_spec?: ShardingSpecMessage[];
  pipeline_stage?: number;
}

export interface DeviceConfigurationMessage extends Unknowns {
  name?: string;
  num_devices?: number;
  device?: string[];
}

export interface NodeMessage extends Unknowns {
  input?: string[];
  output?: string[];
  name?: string;
  op_type?: string;
  attribute?: AttributeMessage[];
  doc_string?: string;
  domain?: string;
  overload?: string;
  metadata_props?: EntryMessage[];
  device_configurations?: NodeDeviceConfigurationMessage[];
}

/** Names the tensors that hold a tensor's scale, zero point and the like. */
export interface TensorAnnotationMessage extends Unknowns {
  tensor_name?: string;
  quant_parameter_tensor_names?: EntryMessage[];
}

export interface GraphMessage extends Unknowns {
  node?: NodeMessage[];
  name?: string;
  initializer?: TensorMessage[];
  doc_string?: string;
  input?: ValueInfoMessage[];
  output?: ValueInfoMessage[];
  value_info?: ValueInfoMessage[];
  quantization_annotation?: TensorAnnotationMessage[];
  sparse_initializer?: SparseTensorMessage[];
  metadata_props?: EntryMessage[];
}

export interface FunctionMessage extends Unknowns {
  name?: string;
  input?: string[];
  output?: string[];
  attribute?: string[];
  node?: NodeMessage[];
  doc_string?: string;
  opset_import?: OpsetMessage[];
  domain?: string;
  attribute_proto?: AttributeMessage[];
  value_info?: ValueInfoMessage[];
  overload?: string;
  metadata_props?: EntryMessage[];
}

export interface TrainingInfoMessage extends Unknowns {
  initialization?: GraphMessage;
  algorithm?: GraphMessage;
  initialization_binding?: EntryMessage[];
  update_binding?: EntryMessage[];
}

export interface ModelMessage extends Unknowns {
  ir_version?: Int64;
  producer_name?: string;
  producer_version?: string;
  domain?: string;
  model_version?: Int64;
  doc_string?: string;
  graph?: GraphMessage;
  opset_import?: OpsetMessage[];
  metadata_props?: EntryMessage[];
  training_info?: TrainingInfoMessage[];
  functions?: FunctionMessage[];
  configuration?: DeviceConfigurationMessage[];
}
