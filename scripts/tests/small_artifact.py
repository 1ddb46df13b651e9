"""Writes a tiny training artifact: a frozen matrix W, a trained bias b, mean squared error, plain SGD."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from safetensors.numpy import save_file

WEIGHTS = np.arange(6, dtype=np.float32).reshape(3, 2) / 10
FORWARD = [("MatMul", ["x", "W"], ["h"]), ("Add", ["h", "b"], ["logits"]), ("Sub", ["logits", "y"], ["e"])]
LOSS = [("Mul", ["e", "e"], ["e2"]), ("ReduceMean", ["e2"], ["loss"])]
GRADIENT = [("ReduceMean", ["e", "rows"], ["db"])]
UPDATE = [
    ("Mul", ["db", "lr"], ["move"]),
    ("Sub", ["b", "move"], ["b.next"]),
    ("Add", ["t", "one"], ["t.next"]),
]

SHAPES: dict[str, list[int | str]] = {
    "x": ["batch", 3],
    "y": ["batch", 2],
    "logits": ["batch", 2],
    "loss": [],
    "lr": [],
}
SHAPES |= {"b": [2], "b.next": [2], "db": [2], "t": [], "t.next": []}
ROLES = {"x": "batch", "y": "label", "b": "param", "t": "state", "lr": "hyper", "db": "grad", "loss": "loss"}
ROLES |= {"logits": "logits", "b.next": "next", "t.next": "next"}
EXTRA = {"b": {"key": "layer.bias"}, "t": {"key": "layer.bias/t"}, "lr": {"hyper": "lr"}}
EXTRA |= {"b.next": {"feeds": "b"}, "t.next": {"feeds": "t"}}
GRAPHS = {
    "train": (FORWARD + LOSS + GRADIENT + UPDATE, ["x", "y", "b", "t", "lr"], ["loss", "b.next", "t.next"]),
    "grad": (FORWARD + LOSS + GRADIENT, ["x", "y", "b"], ["loss", "db"]),
    "apply": (UPDATE, ["b", "t", "db", "lr"], ["b.next", "t.next"]),
    "eval": (FORWARD + LOSS, ["x", "y", "b"], ["logits", "loss"]),
}


def port(name: str) -> dict[str, object]:
    return {
        "name": name,
        "role": ROLES[name],
        "dtype": "float32",
        "shape": SHAPES[name],
        **EXTRA.get(name, {}),
    }


def tensor(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPES[name])


def frozen_matrix() -> TensorProto:
    matrix = TensorProto(name="W", data_type=TensorProto.FLOAT, dims=WEIGHTS.shape)
    matrix.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", "4"), ("length", str(WEIGHTS.nbytes))):
        matrix.external_data.add(key=key, value=value)
    return matrix


def model_of(name: str, opset: int = 20) -> onnx.ModelProto:
    nodes, inputs, outputs = GRAPHS[name]
    made = []
    for op, reads, writes in nodes:
        attributes = {"keepdims": 0} if op == "ReduceMean" else {}
        made.append(helper.make_node(op, reads, writes, name=f"{op}/{writes[0]}", **attributes))
    constants = {
        "W": frozen_matrix(),
        "rows": helper.make_tensor("rows", TensorProto.INT64, [1], [0]),
        "one": helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
    }
    used = {read for _, reads, _ in nodes for read in reads}
    graph = helper.make_graph(
        made,
        name,
        [tensor(value) for value in inputs],
        [tensor(value) for value in outputs],
        [constant for key, constant in constants.items() if key in used],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def write_artifact(root: Path) -> Path:
    """Writes `root`/source and `root`/artifact, and returns the latter."""
    source, artifact = root / "source", root / "artifact"
    source.mkdir()
    artifact.mkdir()
    (source / "weights.bin").write_bytes(b"\0\0\0\0" + WEIGHTS.tobytes())
    manifest: dict[str, object] = {
        "format": "peft-compile/1",
        "source": {"model": "model.onnx", "folder": "../source", "weights": "reference"},
        "precision": "fp32",
        "optimizer": {"name": "sgd", "options": {"lr": 0.5}},
        "task": {"name": "regression"},
        "state": "state.safetensors",
    }
    graphs = {}
    for name, (_, inputs, outputs) in GRAPHS.items():
        onnx.save(model_of(name), artifact / f"{name}.onnx")
        ports = {"inputs": [port(value) for value in inputs], "outputs": [port(value) for value in outputs]}
        graphs[name] = {"file": f"{name}.onnx", **ports}
    (artifact / "manifest.json").write_text(json.dumps({**manifest, "graphs": graphs}))
    state = {"layer.bias": np.array([0.5, -1], np.float32)}
    save_file(state, artifact / "state.safetensors", metadata={"layer.bias/t": "0"})
    return artifact
