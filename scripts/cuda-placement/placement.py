"""Tells which nodes of a model ONNX Runtime's CUDA provider takes, on a machine without a GPU."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from artifact_manifest import GraphFile, ManifestError, graphs_under
from stand_ins import NotPossible, compile_stand_ins

EXAMPLES = """examples:
  scripts/cuda-placement.sh model.onnx --nodes
  scripts/cuda-placement.sh model.peft --strict        every graph of a training artifact
  scripts/cuda-placement.sh model.peft --config optimization.disable_specified_optimizers=EliminateDropout
"""
SHAPES = "kept for shapes"


@dataclass
class CpuNode:
    """A node that the CPU keeps; `shape_arithmetic` when nothing but shapes and constants flows into it."""

    op: str
    name: str
    reason: str
    shape_arithmetic: bool


@dataclass
class Placement:
    """What the partitioner decided for one graph."""

    graph: str
    error: str | None = None
    on_cuda: list[tuple[str, str]] = field(default_factory=list)
    on_cpu: list[CpuNode] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)

    def is_strict(self) -> bool:
        """Nothing crosses between the devices, and the CPU computes shapes alone."""
        return not self.error and not self.copies and all(node.shape_arithmetic for node in self.on_cpu)


def place(graph: GraphFile, level: str, config: dict[str, str], libraries: str) -> Placement:
    """Builds the session in a child (the loader reads LD_LIBRARY_PATH once, at start) and reads its log."""
    request = {"model": str(graph.path), "folder": str(graph.weights), "level": level, "config": config}
    search = os.pathsep.join(filter(None, [libraries, os.environ.get("LD_LIBRARY_PATH")]))
    command = [sys.executable, Path(__file__).with_name("session.py")]
    child = subprocess.run(
        command, input=json.dumps(request), capture_output=True, text=True, errors="replace",
        env={**os.environ, "LD_LIBRARY_PATH": search},
    )  # fmt: skip
    log = re.sub(r"\x1b\[[\d;]*m", "", child.stderr)
    if child.returncode != 0:
        return Placement(
            str(graph.path), f"the session ended its process ({child.returncode}): {log[-500:].strip()}"
        )
    answer = json.loads(child.stdout)
    if answer["error"]:
        said = re.findall(r"\[E:onnxruntime[^\]]*\] (.*)", log)
        return Placement(str(graph.path), "; ".join([answer["error"], *said]))
    return read_placement(str(graph.path), answer, log)


def read_placement(graph: str, answer: dict, log: str) -> Placement:
    """Joins the log's "Node placements" and its reasons with the graph that was built."""
    placed: dict[tuple[str, str], set[str]] = {}
    provider, lists = "", True
    for line in re.findall(r"VerifyEachNodeIsAssignedToAnEp\] (.*)", log):
        if header := re.match(r" (All nodes|Node\(s\)) placed on \[(\w+)\]", line):
            provider, lists = header[2], header[1] != "All nodes"
        elif listed := re.match(r"  (\S+) \((.*)\)$", line):
            placed.setdefault((listed[1], listed[2]), set()).add(provider)
    reason = reader_of_reasons(log, set(answer["partitioned"]))
    result = Placement(graph)
    data = {value for node in answer["nodes"] for value in node[4]} | set(
        answer["inputs"]
    )  # what is no constant
    for op, domain, name, inputs, outputs in answer["nodes"]:
        providers = placed.get((op, name), set()) if lists else {provider}
        if len(providers) != 1:
            return Placement(graph, f"the log puts {op} {name or '(no name)'} on {len(providers)} providers")
        if op.startswith("Memcpy"):
            result.copies.append(
                f"{inputs[0]} {'to the device' if op == 'MemcpyFromHost' else 'to the host'}"
            )
        elif "CPUExecutionProvider" not in providers:
            result.on_cuda.append((f"{domain or 'ai.onnx'}.{op}", name))
            data -= set(outputs) if op in ("Shape", "Size") else set()
        else:
            why = reason(op, name)
            node = CpuNode(f"{domain or 'ai.onnx'}.{op}", name, why, why == SHAPES or data.isdisjoint(inputs))
            data -= set(outputs) if node.shape_arithmetic else set()
            result.on_cpu.append(node)
    return result


def reader_of_reasons(log: str, partitioned: set[str]) -> Callable[[str, str], str]:
    """Gives the function that tells why a node (operator, name) is on the CPU."""
    said = {
        SHAPES: r"Force fallback to CPU execution for node: ()(.*) because",
        "no CUDA kernel": r"CUDA kernel not found in registries for Op type: (\S+) node name: (.*)",
        "declined": r"CUDA kernel not supported\. Fallback .* for Op type: (\S+) node name: (.*)",
    }
    nodes = {why: set(re.findall(pattern, log)) for why, pattern in said.items()}

    def reason(op: str, name: str) -> str:
        otherwise = "not said" if name in partitioned else "fused later from nodes on the CPU"
        return next((why for why, found in nodes.items() if found & {(op, name), ("", name)}), otherwise)

    return reason


def describe(result: Placement, every_node: bool) -> str:
    """The report for people."""
    if result.error:
        return f"{result.graph}: NO PLACEMENT: {result.error}"
    counts = (
        f"{len(result.on_cuda)} nodes on CUDA, {len(result.on_cpu)} on the CPU, {len(result.copies)} copies"
    )
    lines = [f"{result.graph}: {counts}", *(f"  copy: {copy}" for copy in result.copies)]
    for reason, count in Counter(node.reason for node in result.on_cpu).most_common():
        of_kind = [node for node in result.on_cpu if node.reason == reason]
        ops = ", ".join(f"{op} {n}" for op, n in Counter(node.op for node in of_kind).most_common())
        lines.append(f"  on the CPU, {reason}: {count} ({ops})")
        shown = of_kind if every_node else [node for node in of_kind if not node.shape_arithmetic]
        lines += [
            f"    {node.op}  {node.name}{'' if node.shape_arithmetic else '  (data)'}" for node in shown
        ]
    return "\n".join(lines + [f"  on CUDA: {op}  {name}" for op, name in result.on_cuda if every_node])


def main() -> int:
    parser = argparse.ArgumentParser("cuda-placement.sh", description=__doc__, epilog=EXAMPLES)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="an artifact folder or an .onnx file"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit 1 on any copy, and on CPU work beyond shapes"
    )
    parser.add_argument("--level", choices=["none", "basic", "extended", "layout", "all"], default="all")
    parser.add_argument(
        "--config", action="append", default=[], metavar="KEY=VALUE", help="session entry, repeatable"
    )
    parser.add_argument("--nodes", action="store_true", help="list every node")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each graph")
    options = parser.parse_args()
    config = dict(entry.split("=", 1) for entry in options.config)
    good = True
    try:
        graphs = [graph for path in options.paths for graph in graphs_under(path)]
        with tempfile.TemporaryDirectory() as libraries:
            compile_stand_ins(Path(libraries))
            for graph in graphs:
                result = place(graph, options.level, config, libraries)
                print(
                    json.dumps(asdict(result)) if options.json else describe(result, options.nodes),
                    flush=True,
                )
                good &= result.is_strict() if options.strict else not result.error
    except (NotPossible, ManifestError) as problem:
        sys.exit(f"cuda-placement: {problem}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
