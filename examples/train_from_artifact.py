"""Trains an artifact with nothing but ONNX Runtime and NumPy: roles of the manifest in, no import of peft-compile.

    python examples/train_from_artifact.py DIR [STEPS]     (random token ids; replace `batch` by your own data)
"""

import json
import os
import sys

import numpy as np
import onnxruntime as ort

folder, steps = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
manifest = json.load(open(f"{folder}/manifest.json"))
graph = manifest["graphs"]["train"]
options = ort.SessionOptions()
weights = os.path.abspath(os.path.join(folder, manifest["source"]["folder"]))
options.add_session_config_entry("session.model_external_initializers_file_folder_path", weights)
session = ort.InferenceSession(open(f"{folder}/{graph['file']}", "rb").read(), options)

# state.safetensors: 8 bytes of length, a JSON header, then the tensors; scalars stand in the header.
data = open(f"{folder}/{manifest['state']}", "rb").read()
size = int.from_bytes(data[:8], "little")
header, body = json.loads(data[8 : 8 + size]), data[8 + size :]


def initial(port):
    if "slices" in port:
        parts = [header[s["key"]]["data_offsets"] for s in port["slices"]]
        return np.concatenate([np.frombuffer(body[a:b], np.float32) for a, b in parts])
    return np.array(header["__metadata__"][port["key"]]).astype(port["dtype"])


def batch(port):
    shape = [d if isinstance(d, int) else (2 if i == 0 else 16) for i, d in enumerate(port["shape"])]
    if "mask" in port["name"]:
        return np.ones(shape, np.int64)
    return np.random.randint(0, 2 if port["role"] == "label" else port.get("below", 2), shape)


state = {p["name"]: initial(p) for p in graph["inputs"] if p["role"] in ("param", "state", "scale")}
names = [p["name"] for p in graph["outputs"]]
for step in range(1, steps + 1):
    feeds = dict(state)
    for port in graph["inputs"]:
        if port["role"] in ("batch", "label"):
            feeds[port["name"]] = batch(port)
        if port["role"] == "hyper":
            feeds[port["name"]] = np.array(manifest["optimizer"]["options"]["lr"], np.float32)
        if port["role"] == "rng":
            feeds[port["name"]] = np.array(step, np.uint64)
    results = dict(zip(names, session.run(names, feeds), strict=True))
    for port in graph["outputs"]:
        if port["role"] == "next":
            state[port["feeds"]] = results[port["name"]]
        if port["role"] == "loss":
            print(f"step {step} loss {float(results[port['name']]):.4f}")
