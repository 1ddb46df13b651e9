"""Reads .onnx_adapter files with ONNX Runtime, and swaps them on one session of the model that takes them."""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

EXAMPLES = """examples:
  python scripts/check-onnx-adapter.py base.onnx base.onnx_adapter
  python scripts/check-onnx-adapter.py base.onnx french.onnx_adapter german.onnx_adapter

`peft-compile export ARTIFACT --format onnx-adapter -o base.onnx` writes both files.
"""

VERSION = "peft-compile.model_version"
SIZES = (2, 6)
DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}


def random_feeds(session: ort.InferenceSession, parameters: set[str]) -> dict[str, np.ndarray]:
    """Small numbers for every input that no adapter feeds: ids and masks of ones and zeros, normal floats."""
    random = np.random.default_rng(0)
    names: dict[str, int] = {}
    feeds = {}
    for entry in session.get_inputs():
        if entry.name in parameters:
            continue
        shape = [
            axis if isinstance(axis, int) else names.setdefault(axis, SIZES[min(len(names), 1)])
            for axis in entry.shape
        ]
        dtype = DTYPES[entry.type]
        drawn = random.normal(size=shape) if dtype is np.float32 else np.ones(shape)
        feeds[entry.name] = drawn.astype(dtype)
    return feeds


def parameter_faults(session: ort.InferenceSession, values: dict[str, ort.OrtValue], file: Path) -> list[str]:
    """The model has to take every tensor of the file, in its type and shape."""
    known = {entry.name: entry for entry in [*session.get_inputs(), *session.get_overridable_initializers()]}
    faults = []
    for name, value in values.items():
        if name not in known:
            faults.append(f"{file.name}: the model has no input {name}")
        elif known[name].type != value.data_type() or list(known[name].shape) != value.shape():
            faults.append(f"{file.name}: {name} is {value.data_type()} {value.shape()}")
    return faults


def check(model: Path, files: list[Path]) -> list[str]:
    """What is wrong with the files, or with swapping them."""
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    values, faults = {}, []
    for file in files:
        form = ort.AdapterFormat.read_adapter(str(file))
        values[file] = form.get_parameters()
        print(f"{file.name}: format {form.get_format_version()}, {len(values[file])} tensors")
        faults += parameter_faults(session, values[file], file)
        wanted = session.get_modelmeta().custom_metadata_map.get(VERSION)
        if str(form.get_model_version()) != wanted:
            faults.append(f"{file.name}: it is for version {form.get_model_version()}, the model is {wanted}")
    if faults:
        return faults
    feeds = random_feeds(session, {name for each in values.values() for name in each})
    base = session.run(None, feeds)
    adapters = {}
    for file in files:
        adapters[file] = ort.LoraAdapter()
        adapters[file].Load(str(file))
    # Each in turn, twice, with the base model in between: nothing may stay behind.
    for file in [*files, *files]:
        options = ort.RunOptions()
        options.add_active_adapter(adapters[file])
        active = session.run(None, feeds, options)
        fed = session.run(None, {**feeds, **{name: value.numpy() for name, value in values[file].items()}})
        if not all(np.array_equal(a, b) for a, b in zip(active, fed, strict=True)):
            faults.append(f"{file.name}: active, it gives another result than its tensors fed as inputs")
        if all(np.array_equal(a, b) for a, b in zip(active, base, strict=True)):
            faults.append(f"{file.name}: active, it changes nothing")
        if not all(np.array_equal(a, b) for a, b in zip(session.run(None, feeds), base, strict=True)):
            faults.append(f"{file.name}: it still acts where none is active")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="model that takes adapters as inputs")
    parser.add_argument("adapters", type=Path, nargs="+", help=".onnx_adapter files for it")
    options = parser.parse_args()
    faults = check(options.model, options.adapters)
    for fault in faults:
        print(f"FAIL  {fault}")
    if not faults:
        print(f"ok  {len(options.adapters)} swapped on one session")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
