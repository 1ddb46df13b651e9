/** A hash of everything in a model but the bytes of its weights: tells whether the file is still the one compiled. */
import { createHash } from "node:crypto";
import { relative } from "node:path";
import { cloneModel } from "../ir/clone.ts";
import type { Model } from "../ir/model.ts";
import { Tensor } from "../ir/tensor.ts";
import { encodeModel } from "../onnx/write.ts";

/** SHA-256 in hex. Weights that lie in files count with type, shape and place, small constants with their bytes. */
export function structureHash(model: Model): string {
  const copy = cloneModel(model);
  const places: string[] = [];
  for (const value of [...copy.graph.initializers, ...copy.graph.inputs]) {
    const tensor = value.initializer;
    if (tensor?.source.kind !== "file") continue;
    const { file, offset, length } = tensor.source.range;
    // Weights inside the model's own file have no other place than that.
    const place = file === model.origin?.file ? "" : relative(model.origin?.folder ?? "", file);
    places.push(`${value.name} ${tensor.dtype}[${tensor.dims}] ${place}@${offset}+${length}`);
    value.initializer = new Tensor(
      tensor.dtype,
      [0],
      { kind: "inline", bytes: new Uint8Array(0) },
      { name: tensor.name },
    );
  }
  return createHash("sha256").update(encodeModel(copy)).update(places.join("\n")).digest("hex");
}
