/** Fields of messages that the IR does not model: kept as they are read, and written again. */
import type {
  DeviceConfigurationMessage,
  NodeDeviceConfigurationMessage,
  TensorAnnotationMessage,
  TrainingInfoMessage,
} from "./messages.ts";

/** The fields by name, for models, graphs, nodes and functions alike; each has only some. */
export interface CarriedFields {
  training_info?: TrainingInfoMessage[];
  configuration?: DeviceConfigurationMessage[];
  quantization_annotation?: TensorAnnotationMessage[];
  device_configurations?: NodeDeviceConfigurationMessage[];
  /** Fields that our description of ONNX does not have. */
  $unknowns?: Uint8Array[];
}

/** What the IR holds as `carried`, and only this file looks into. */
class Carried {
  readonly fields: CarriedFields;

  constructor(fields: CarriedFields) {
    this.fields = fields;
  }
}

/** Keeps the fields that are there; undefined where none is. */
export function carry(fields: { [Name in keyof CarriedFields]: CarriedFields[Name] | undefined }): unknown {
  const there = Object.entries(fields).filter(([, field]) => field !== undefined && field.length > 0);
  return there.length === 0 ? undefined : new Carried(Object.fromEntries(there));
}

/** The fields that {@link carry} kept. */
export function carriedFields(carried: unknown): CarriedFields {
  return carried instanceof Carried ? carried.fields : {};
}
