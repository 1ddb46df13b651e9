"""Trains an artifact with nothing but ONNX Runtime and NumPy: roles of the manifest in, no import of peft-compile.

    python examples/train_from_artifact.py DIR [STEPS]

It learns one made-up batch by heart at a constant rate. Put your own data, and the manifest's schedule, in their place.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

folder, steps = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
manifest = json.loads((folder / "manifest.json").read_text())
graph = manifest["graphs"]["train"]

# Frozen weights stay in the user's own model file: the runtime is told where that lies.
options = ort.SessionOptions()
weights = str((folder / manifest["source"]["folder"]).resolve())
options.add_session_config_entry("session.model_external_initializers_file_folder_path", weights)
session = ort.InferenceSession((folder / graph["file"]).read_bytes(), options)

# state.safetensors: length of the header, header (JSON), tensors; scalars stand in the header's metadata.
data = (folder / manifest["state"]).read_bytes()
start = 8 + int.from_bytes(data[:8], "little")
tensors = json.loads(data[8:start])
scalars = tensors.pop("__metadata__")


def initial_value(port):
    if "slices" not in port:
        return np.array(scalars[port["key"]]).astype(port["dtype"])
    flat = np.zeros(port["shape"], np.float32)
    for part in port["slices"]:
        begin, end = (start + offset for offset in tensors[part["key"]]["data_offsets"])
        values = np.frombuffer(data[begin:end], np.float32)
        flat[part["offset"] : part["offset"] + values.size] = values
    return flat


def example(port):
    """Two examples of sixteen positions: ids where a table bounds them, labels of two kinds, masks of ones."""
    shape = [d if isinstance(d, int) else 16 if axis else 2 for axis, d in enumerate(port["shape"])]
    index = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    if port["dtype"] == "float32":
        return (index % 7 / 7).astype(np.float32)
    below = port.get("below", 2 if port["role"] == "label" else None)
    return np.ones_like(index) if below is None else 7 * index % below


def feed_for(port, step):
    if port["role"] == "hyper":
        return np.array(manifest["optimizer"]["options"]["lr"], np.float32)
    if port["role"] == "rng":
        return np.array(step, np.uint64)
    return example(port) if port["role"] in ("batch", "label") else initial_value(port)


# What an output of role `next` gives is fed to the input that it names, one step later.
state = {}
names = [port["name"] for port in graph["outputs"]]
for step in range(1, steps + 1):
    feeds = {p["name"]: state[p["name"]] if p["name"] in state else feed_for(p, step) for p in graph["inputs"]}
    results = dict(zip(names, session.run(names, feeds), strict=True))
    for port in graph["outputs"]:
        if port["role"] == "next":
            state[port["feeds"]] = results[port["name"]]
        if port["role"] == "loss":
            print(f"step {step} loss {float(results[port['name']]):.4f}")
