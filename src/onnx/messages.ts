/** ONNX messages as plain objects: what decoding gives and encoding takes. */
import type Long from "long";

/** A 64-bit field; whole numbers are accepted for encoding, decoding always gives Long. */
export type Int64 = Long | number;

/** Fields that the schema does not know, kept as their raw bytes. */
export interface Carried {
  $unknowns?: Uint8Array[];
}

export interface EntryMessage extends Carried {
  key?: string;
  value?: string;
}

export interface OpsetMessage extends Carried {
  domain?: string;
  version?: Int64;
}

export interface DimensionMessage extends Carried {
  dim_value?: Int64;
  dim_param?: string;
  denotation?: string;
}

export interface ShapeMessage extends Carried {
  dim?: DimensionMessage[];
}

export interface TensorTypeMessage extends Carried {
  elem_type?: number;
  shape?: ShapeMessage;
}

export interface TypeMessage extends Carried {
  tensor_type?: TensorTypeMessage;
  sequence_type?: { elem_type?: TypeMessage };
  map_type?: { key_type?: number; value_type?: TypeMessage };
  opaque_type?: { domain?: string; name?: string };
  sparse_tensor_type?: TensorTypeMessage;
  optional_type?: { elem_type?: TypeMessage };
  denotation?: string;
}

export interface ValueInfoMessage extends Carried {
  name?: string;
  type?: TypeMessage;
  doc_string?: string;
  metadata_props?: EntryMessage[];
}

export interface TensorMessage extends Carried {
  dims?: Int64[];
  data_type?: number;
  segment?: Carried;
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
  data_location?: number;
  metadata_props?: EntryMessage[];
  /** Ours, see `skim.ts`. */
  range_index?: number;
}

export interface SparseTensorMessage extends Carried {
  values?: TensorMessage;
  indices?: TensorMessage;
  dims?: Int64[];
}

export interface AttributeMessage extends Carried {
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

export interface NodeMessage extends Carried {
  input?: string[];
  output?: string[];
  name?: string;
  op_type?: string;
  attribute?: AttributeMessage[];
  doc_string?: string;
  domain?: string;
  overload?: string;
  metadata_props?: EntryMessage[];
  device_configurations?: Carried[];
}

export interface GraphMessage extends Carried {
  node?: NodeMessage[];
  name?: string;
  initializer?: TensorMessage[];
  doc_string?: string;
  input?: ValueInfoMessage[];
  output?: ValueInfoMessage[];
  value_info?: ValueInfoMessage[];
  quantization_annotation?: Carried[];
  sparse_initializer?: SparseTensorMessage[];
  metadata_props?: EntryMessage[];
}

export interface FunctionMessage extends Carried {
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

export interface ModelMessage extends Carried {
  ir_version?: Int64;
  producer_name?: string;
  producer_version?: string;
  domain?: string;
  model_version?: Int64;
  doc_string?: string;
  graph?: GraphMessage;
  opset_import?: OpsetMessage[];
  metadata_props?: EntryMessage[];
  training_info?: Carried[];
  functions?: FunctionMessage[];
  configuration?: Carried[];
}
