"""Trains from an artifact with ONNX Runtime alone: feeds by role, carries the state from step to step."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
from safetensors.numpy import load_file

from artifact_manifest import Artifact, GraphFile, ManifestError, Port, Slice

DTYPES = {
    "float": "float32",
    "float32": "float32",
    "double": "float64",
    "float64": "float64",
    "int64": "int64",
    "int32": "int32",
    "uint64": "uint64",
    "uint32": "uint32",
    "int8": "int8",
    "uint8": "uint8",
    "bool": "bool",
}

Arrays = dict[str, np.ndarray]


def dtype_of(port: Port) -> np.dtype:
    if port.dtype not in DTYPES:
        raise ManifestError(f"{port.name}: dtype {port.dtype} is not run here; expected {', '.join(DTYPES)}")
    return np.dtype(DTYPES[port.dtype])


@dataclass
class Sizes:
    """Sizes of symbolic dimensions: those given, else 2 for `batch` and 8 for every other."""

    given: dict[str, int] = field(default_factory=dict)

    def of(self, port: Port) -> tuple[int, ...]:
        return tuple(dim if isinstance(dim, int) else self.size(dim) for dim in port.shape)

    def size(self, dim: str) -> int:
        if dim not in self.given and not dim.isidentifier():
            raise ManifestError(f"dimension {dim!r} is an expression: give its size with --dim '{dim}=N'")
        return self.given.get(dim, 2 if dim.startswith("batch") else 8)


def read_tensors(file: Path) -> Arrays:
    """The arrays of an .npz or .safetensors file; scalars that stand in a safetensors header come along."""
    if file.suffix == ".npz":
        with np.load(file) as archive:
            return dict(archive)
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    arrays = load_file(file)
    for key, text in header.get("__metadata__", {}).items():
        with contextlib.suppress(ValueError):  # the header also holds texts
            arrays.setdefault(key, np.array(int(text) if text.isdigit() else float(text)))
    return arrays


def initial_values(graphs: list[GraphFile], stored: Arrays) -> Arrays:
    """The first value of every input that is kept from step to step, by the name of the input."""
    ports = [port for graph in graphs for port in graph.inputs if port.role in ("param", "state", "scale")]
    return {port.name: stored_value(port, stored) for port in ports}


def stored_value(port: Port, stored: Arrays) -> np.ndarray:
    shape = [dim for dim in port.shape if isinstance(dim, int)]
    if len(shape) != len(port.shape):
        raise ManifestError(f"{port.name}: the shape of a {port.role} is symbolic: {port.shape}")
    parts = port.slices or [Slice(port.key or port.name, 0, shape)]
    flat = np.zeros(int(np.prod(shape)), dtype_of(port))
    for part in parts:
        if part.key not in stored:
            raise ManifestError(f"{port.name}: {part.key} is not in the state file")
        values = stored[part.key].reshape(-1)
        if values.size != int(np.prod(part.shape)):
            raise ManifestError(
                f"{part.key}: the manifest says {part.shape}, the state file {stored[part.key].shape}"
            )
        flat[part.offset : part.offset + values.size] = values
    return flat.reshape(shape)


def random_batch(
    artifact: Artifact, graph: GraphFile, sizes: Sizes, generator: np.random.Generator
) -> Arrays:
    """Made-up values for the batch and label inputs of a graph, within the ranges that the manifest gives."""
    logits = next((port for port in graph.outputs if port.role == "logits"), None)
    columns = logits.shape[-1] if logits and logits.shape and isinstance(logits.shape[-1], int) else None
    batch: Arrays = {}
    for port in graph.inputs:
        shape, dtype = sizes.of(port), dtype_of(port)
        if port.role not in ("batch", "label"):
            continue
        if dtype.kind == "f":
            batch[port.name] = generator.standard_normal(shape).astype(dtype)
        elif dtype.kind == "b" or "mask" in port.name:
            batch[port.name] = np.ones(shape, dtype)
        else:
            below = port.below or (artifact.labels or columns if port.role == "label" else None) or 2
            batch[port.name] = generator.integers(0, below, shape).astype(dtype)
    return batch


def given_batches(graph: GraphFile, arrays: Arrays) -> Iterator[Arrays]:
    """Endless batches from a file; an array with one axis more than its input holds one row a step."""
    ports = [port for port in graph.inputs if port.role in ("batch", "label")]
    missing = [
        port.batch_field or port.name for port in ports if (port.batch_field or port.name) not in arrays
    ]
    if missing:
        raise ManifestError(f"the batch file lacks {', '.join(missing)}; it has {', '.join(sorted(arrays))}")
    step = 0
    while True:
        batch: Arrays = {}
        for port in ports:
            values = arrays[port.batch_field or port.name]
            rows = values[step % len(values)] if values.ndim == len(port.shape) + 1 else values
            batch[port.name] = rows.astype(dtype_of(port))
        yield batch
        step += 1


class Runner:
    """Sessions of some graphs of an artifact, and the values that pass from one run to the next."""

    def __init__(self, artifact: Artifact, names: list[str], optimized: bool) -> None:
        self.artifact = artifact
        self.graphs = [artifact.graphs[name] for name in names]
        self.values = initial_values(self.graphs, read_tensors(artifact.state))
        self.sessions = [open_session(graph, optimized) for graph in self.graphs]
        self.step_number = 0

    def step(self, batch: Arrays, constants: dict[str, float]) -> float:
        """Runs every graph once, in order; returns the loss (their mean over the steps of one run)."""
        passed: Arrays = {**batch}
        following: Arrays = {}
        loss: float | None = None
        for graph, session in zip(self.graphs, self.sessions, strict=True):
            feeds = {port.name: self.feed(port, passed, constants) for port in graph.inputs}
            results = session.run([port.name for port in graph.outputs], feeds)
            for port, result in zip(graph.outputs, results, strict=True):
                if port.role == "loss":
                    loss = float(np.mean(result))
                elif port.role == "grad":
                    passed[port.name] = result
                elif port.role == "next":
                    if port.feeds is None:
                        raise ManifestError(f"output {port.name} has role next and feeds no input")
                    following[port.feeds] = result
        self.values.update(following)
        self.step_number += max(graph.steps_per_run for graph in self.graphs)
        if loss is None:
            raise ManifestError(
                f"no output of {', '.join(graph.name for graph in self.graphs)} has the role loss"
            )
        return loss

    def feed(self, port: Port, passed: Arrays, constants: dict[str, float]) -> np.ndarray:
        if port.name in passed:
            return passed[port.name]
        if port.name in self.values:
            return self.values[port.name]
        kind, shape = port.hyper or port.name, Sizes().of(port)
        if kind in constants or port.name in constants:
            return np.full(shape, constants.get(port.name, constants.get(kind)), dtype_of(port))
        if kind == "lr":
            return np.full(shape, self.artifact.learning_rate, dtype_of(port))
        if kind == "step":
            rows = np.arange(shape[0] if shape else 1) + self.step_number + 1
            return rows.astype(dtype_of(port)).reshape(shape)
        if port.role in ("rng", "grad"):  # a fixed seed; a gradient that nothing was added to yet
            return np.zeros(shape, dtype_of(port))
        raise ManifestError(
            f"nothing to feed to {port.name} ({port.role} {kind}): give --set {port.name}=VALUE"
        )


def open_session(graph: GraphFile, optimized: bool) -> onnxruntime.InferenceSession:
    """A CPU session of one thread, with all graph optimizations or none; weights stay in their folder."""
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimized else levels.ORT_DISABLE_ALL
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(graph.weights)
    )
    return onnxruntime.InferenceSession(graph.path.read_bytes(), options, ["CPUExecutionProvider"])
