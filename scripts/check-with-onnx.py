"""Checks compiled models with ONNX's own checker, and runs artifacts with graph optimizations off and on."""

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
import onnx

from artifact_manifest import Artifact, GraphFile, ManifestError, graphs_under, read_artifact
from artifact_runner import Runner, Sizes, given_batches, random_batch, read_tensors

MAX_OPSET, MAX_IR = 26, 13
TOLERANCE = 1e-5
"""Of a loss, absolute plus relative."""

EXAMPLES = """examples:
  python scripts/check-with-onnx.py model.peft                        checker, versions, domains, manifest
  python scripts/check-with-onnx.py model.peft --run --steps 8        and 8 steps, optimizations off and on
  python scripts/check-with-onnx.py model.peft --run --batch-file batches.npz --set seed=3
  python scripts/check-with-onnx.py merged.onnx grad.onnx --portable  plain models
"""


@contextlib.contextmanager
def working_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def nodes_in(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node of the graph, of its control flow's bodies and of local functions."""

    def walk(nodes: Iterator[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
        for node in nodes:
            yield node
            for attribute in node.attribute:
                for body in [attribute.g, *attribute.graphs]:
                    yield from walk(body.node)

    yield from walk(model.graph.node)
    for function in model.functions:
        yield from walk(function.node)


def checker_faults(model: onnx.ModelProto, weights: Path) -> dict[str, str]:
    """What the full checker says of a model whose external data lies in `weights`, by operator type.

    The checker stops at its first fault. Nodes of that operator are then moved to a domain that it does not
    know, so that the rest is checked too. A fault that names no operator ends the list, under the key "".
    """
    aside, faults = onnx.ModelProto(), {}
    aside.CopyFrom(model)
    aside.opset_import.append(onnx.helper.make_opsetid("set.aside", 1))
    while True:
        try:
            with working_folder(weights):
                onnx.checker.check_model(aside if faults else model, full_check=True)
            return faults
        except Exception as fault:  # the checker and shape inference raise several unrelated kinds
            message = " ".join(str(fault).split())
        named = re.search(r"OpType: (\w+)|op_type:\s*(\w+)", message)
        operator = (named[1] or named[2]) if named and not faults.keys() & set(named.groups()) else ""
        faults[operator] = message
        if not operator:
            return faults
        for node in nodes_in(aside):
            if node.op_type == operator:
                node.domain = "set.aside"


def faults_of_source(source: Path | None) -> dict[str, str]:
    """What the checker says of the user's own model: compiling keeps such nodes, and may."""
    if source is None or not source.is_file():
        return {}
    return checker_faults(onnx.load(source, load_external_data=False), source.parent)


def version_faults(model: onnx.ModelProto, portable: bool) -> Iterator[str]:
    allowed = {"ai.onnx"} if portable else {"ai.onnx", "com.microsoft"}
    if model.ir_version > MAX_IR:
        yield f"IR version {model.ir_version}, expected at most {MAX_IR}"
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx") and entry.version > MAX_OPSET:
            yield f"opset {entry.version}, expected at most {MAX_OPSET}"
    foreign = {
        f"{node.domain}.{node.op_type}"
        for node in nodes_in(model)
        if (node.domain or "ai.onnx") not in allowed
    }
    if foreign:
        yield f"operators {', '.join(sorted(foreign))}, expected only {', '.join(sorted(allowed))}"


def weight_faults(model: onnx.ModelProto, weights: Path) -> Iterator[str]:
    """External data has to be a range of a plain file inside the weights' folder."""
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        data = {entry.key: entry.value for entry in tensor.external_data}
        location = Path(data["location"])
        file = weights / location
        end = int(data.get("offset", 0)) + int(data.get("length", 0))
        if location.is_absolute() or ".." in location.parts or file.is_symlink() or not file.is_file():
            yield f"weight {tensor.name}: {location} is not a plain file inside {weights}"
        elif end > file.stat().st_size:
            yield f"weight {tensor.name}: ends at byte {end} of {location}, which has {file.stat().st_size}"


def port_faults(model: onnx.ModelProto, graph: GraphFile) -> Iterator[str]:
    """The manifest has to name the graph's own inputs and outputs, with their ranks."""
    initializers = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initializers]
    for kind, values, ports in (
        ("input", inputs, graph.inputs),
        ("output", model.graph.output, graph.outputs),
    ):
        real, said = {value.name: value for value in values}, {port.name: port for port in ports}
        for name in sorted(real.keys() ^ said.keys()):
            yield f"{kind} {name} stands only in the {'graph' if name in real else 'manifest'}"
        for name in sorted(real.keys() & said.keys()):
            tensor = real[name].type.tensor_type
            if tensor.HasField("shape") and len(tensor.shape.dim) != len(said[name].shape):
                yield f"{kind} {name}: rank {len(tensor.shape.dim)}, the manifest says {said[name].shape}"
    names = {port.name for port in graph.inputs}
    for port in graph.outputs:
        if port.role == "next" and port.feeds not in names:
            yield f"output {port.name} feeds {port.feeds}, which is no input of this graph"


def check_file(graph: GraphFile, source: Path | None, portable: bool) -> bool:
    """Prints one line for a model file, and one for each fault."""
    model = onnx.load(graph.path, load_external_data=False)
    faults = [*version_faults(model, portable), *weight_faults(model, graph.weights)]
    if graph.name:
        faults += port_faults(model, graph)
    said = checker_faults(model, graph.weights)
    excused = said.keys() & faults_of_source(source).keys() - {""} if said else set()
    faults += [f"checker: {fault}" for operator, fault in said.items() if operator not in excused]
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None)
    about = f"opset {opset}, IR {model.ir_version}, {sum(1 for _ in nodes_in(model))} nodes"
    print(f"{'FAIL' if faults else 'ok'}  {graph.path}  {about}")
    for line in faults:
        print(f"      {line}")
    for operator in sorted(excused):
        print(f"      note: {operator} fails the checker in the source model too: {said[operator]}")
    return not faults


def losses_of(
    artifact: Artifact, names: list[str], optimized: bool, options: argparse.Namespace
) -> list[float]:
    """Losses of the steps of a new runner; every call sees the same batches."""
    runner = Runner(artifact, names, optimized)
    if options.batch_file:
        batches = given_batches(runner.graphs[0], read_tensors(options.batch_file))
    else:
        generator = np.random.default_rng(options.seed)
        batches = repeat(random_batch(artifact, runner.graphs[0], Sizes(options.dim), generator))
    steps = 1 if names == ["eval"] else options.steps
    return [runner.step(batch, options.set) for _, batch in zip(range(steps), batches, strict=False)]


def agree(label: str, one: list[float], other: list[float]) -> bool:
    """Prints how far two lists of losses are apart."""
    gaps = [abs(a - b) for a, b in zip(one, other, strict=True)]
    good = all(
        gap <= TOLERANCE + TOLERANCE * abs(a) for gap, a in zip(gaps, one, strict=True)
    )  # false for NaN
    print(f"{'ok' if good else 'FAIL'}  {label}: {len(one)} losses, largest difference {max(gaps):.2e}")
    if not good:
        print(f"      {one}\n      {other}")
    return good


def run_artifact(artifact: Artifact, options: argparse.Namespace) -> list[bool]:
    """Runs what the artifact has: the training step, its two halves, and the evaluation graph."""
    if artifact.precision != "fp32":
        print(f"--  {artifact.folder}: not run, precision {artifact.precision} has no CPU kernels to compare")
        return []
    plain: dict[str, list[float]] = {}
    results: list[bool] = []
    for names in (["train"], ["grad", "apply"], ["eval"]):
        if not all(name in artifact.graphs for name in names):
            continue
        label = "+".join(names)
        plain[label] = losses_of(artifact, names, False, options)
        optimized = losses_of(artifact, names, True, options)
        results.append(agree(f"{artifact.folder} {label}, optimizations off and on", plain[label], optimized))
        print(f"      {' '.join(f'{loss:.6g}' for loss in plain[label])}")
    if "train" in plain and "grad+apply" in plain and artifact.graphs["train"].steps_per_run == 1:
        results.append(agree(f"{artifact.folder} train and grad+apply", plain["train"], plain["grad+apply"]))
    return results


def sized(text: str) -> tuple[str, int]:
    name, _, size = text.rpartition("=")
    return name, int(size)


def valued(text: str) -> tuple[str, float]:
    name, _, value = text.rpartition("=")
    return name, float(value)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="an artifact folder or an .onnx file"
    )
    parser.add_argument("--portable", action="store_true", help="allow operators of ai.onnx only")
    parser.add_argument("--run", action="store_true", help="run artifacts, with optimizations off and on")
    parser.add_argument("--steps", type=int, default=4, help="runs of the training step (default: 4)")
    parser.add_argument(
        "--batch-file", type=Path, metavar="FILE", help=".npz or .safetensors with the batch fields"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random batch (default: 0)")
    parser.add_argument(
        "--dim", type=sized, action="append", default=[], metavar="NAME=N", help="size of a dimension"
    )
    parser.add_argument(
        "--set", type=valued, action="append", default=[], metavar="NAME=X", help="value of an input"
    )
    options = parser.parse_args()
    options.dim, options.set = dict(options.dim), dict(options.set)
    return options


def main() -> int:
    options = parse_arguments()
    results: list[bool] = []
    for path in options.paths:
        try:
            artifact = read_artifact(path) if path.is_dir() else None
            source = artifact.source if artifact else None
            results += [check_file(graph, source, options.portable) for graph in graphs_under(path)]
            if options.run and artifact:
                results += run_artifact(artifact, options)
            elif options.run:
                print(f"--  {path}: not run, a plain model says nothing of roles")
        except ManifestError as problem:
            print(f"FAIL  {path}\n      {problem}")
            results.append(False)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
