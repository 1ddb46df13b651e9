"""Tells which nodes of a model ONNX Runtime's CUDA provider takes, on a machine without a GPU."""

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from artifact_manifest import ManifestError, graphs_under
from build_stand_ins import NoProvider, build_stand_ins

EXAMPLES = """examples:
  scripts/cuda-placement.sh model.onnx --nodes
  scripts/cuda-placement.sh model.peft --strict        every graph of a training artifact
  scripts/cuda-placement.sh model.peft --json --config optimization.disable_specified_optimizers=EliminateDropout
"""


@dataclass
class CpuNode:
    """A node that the CPU keeps; `shape_arithmetic` when nothing but shapes and constants flows into it."""

    name: str
    op: str
    reason: str
    shape_arithmetic: bool


@dataclass
class Placement:
    """What the partitioner decided for one graph."""

    graph: str
    error: str | None
    on_cuda: list[str] = field(default_factory=list)
    on_cpu: list[CpuNode] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """What --strict refuses."""
        harmful = [node for node in self.on_cpu if not node.shape_arithmetic]
        return ([self.error] if self.error else []) + [f"copy: {copy}" for copy in self.copies] + [
            f"on the CPU: {node.op} {node.name} ({node.reason})" for node in harmful]


def place(path: Path, folder: Path, options: argparse.Namespace, libraries: Path) -> Placement:
    """Builds the session in a child (the loader reads LD_LIBRARY_PATH once, at start) and reads its log."""
    request = {"model": str(path), "folder": str(folder), "level": options.level, "config": dict(options.config)}
    search = os.pathsep.join([str(libraries), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])
    child = subprocess.run(
        [sys.executable, Path(__file__).with_name("session.py")], input=json.dumps(request), text=True,
        capture_output=True, errors="replace", env={**os.environ, "LD_LIBRARY_PATH": search})
    log = re.sub(r"\x1b\[[\d;]*m", "", child.stderr)
    if child.returncode != 0:
        return Placement(str(path), f"the session's process ended with {child.returncode}: {log.strip()[-500:]}")
    answer = json.loads(child.stdout)
    if answer["error"]:
        said = re.findall(r"\[E:onnxruntime[^\]]*\] (.*)", log)
        return Placement(str(path), "; ".join([answer["error"], *said]))
    return read_placement(str(path), answer, log)


def read_placement(graph: str, answer: dict, log: str) -> Placement:
    """Joins the log's "Node placements" and its reasons with the graph that was built."""
    provider_of, single = {}, None
    for line in re.findall(r"VerifyEachNodeIsAssignedToAnEp\] (.*)", log):
        if header := re.match(r" (All nodes|Node\(s\)) placed on \[(\w+)\]", line):
            single = header[2] if header[1] == "All nodes" else None
            provider = header[2]
        elif listed := re.match(r"  \S+ \((.*)\)$", line):
            provider_of[listed[1]] = provider
    shapes = set(re.findall(r"Force fallback to CPU execution for node: (.*) because", log))
    missing = set(re.findall(r"CUDA kernel not found in registries for Op type: \S+ node name: (.*)", log))
    declined = set(re.findall(r"CUDA kernel not supported\. Fallback .* node name: (.*)", log))
    partitioned = set(answer["partitioned"])

    def reason(name: str) -> str:
        for names, why in ((shapes, "kept for shapes"), (missing, "no CUDA kernel"), (declined, "declined")):
            if name in names:
                return why
        return "not said" if name in partitioned else "fused later from nodes on the CPU"

    result = Placement(graph, None)
    made = {output for *_, outputs in answer["nodes"] for output in outputs}
    device = made | set(answer["inputs"])  # values with data; initializers, shapes and what comes of them are not
    for domain, op, name, inputs, outputs in answer["nodes"]:
        provider = single or provider_of.get(name)
        if provider is None:
            return Placement(graph, f"the log does not place {op} {name}: this ONNX Runtime logs another way")
        if op.startswith("Memcpy"):
            result.copies.append(f"{inputs[0]} {'to the device' if op == 'MemcpyFromHost' else 'to the host'}")
        elif provider != "CPUExecutionProvider":
            result.on_cuda.append(f"{domain}.{op}  {name}")
        else:
            node = CpuNode(name, f"{domain}.{op}", reason(name), device.isdisjoint(inputs) or name in shapes)
            result.on_cpu.append(node)
            device -= set(outputs) if node.shape_arithmetic else set()
        device -= set(outputs) if op in ("Shape", "Size") else set()
    return result


def describe(result: Placement, every_node: bool) -> str:
    """The report for people."""
    if result.error:
        return f"{result.graph}: NO PLACEMENT: {result.error}"
    lines = [f"{result.graph}: {len(result.on_cuda)} nodes on CUDA, {len(result.on_cpu)} on the CPU, "
             f"{len(result.copies)} copies"]
    for reason, count in Counter(node.reason for node in result.on_cpu).most_common():
        of_kind = [node for node in result.on_cpu if node.reason == reason]
        ops = ", ".join(f"{op} {n}" for op, n in Counter(node.op for node in of_kind).most_common())
        lines.append(f"  on the CPU, {reason}: {count} ({ops})")
        shown = of_kind if every_node else [node for node in of_kind if not node.shape_arithmetic]
        lines += [f"    {node.op}  {node.name}{'' if node.shape_arithmetic else '  works on data'}" for node in shown]
    lines += [f"  copy: {copy}" for copy in result.copies]
    return "\n".join(lines + ([f"  on CUDA: {node}" for node in result.on_cuda] if every_node else []))


def pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="cuda-placement.sh", description=__doc__, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="an artifact folder or an .onnx file")
    parser.add_argument("--strict", action="store_true", help="exit 1 on any copy, and on CPU work that is not shapes")
    parser.add_argument("--level", choices=["none", "basic", "extended", "layout", "all"], default="all")
    parser.add_argument("--config", type=pair, action="append", default=[], metavar="KEY=VALUE", help="session entry")
    parser.add_argument("--nodes", action="store_true", help="list every node")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each graph")
    options = parser.parse_args()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "peft-compile" / "cuda-stand-ins"
    failed = False
    try:
        libraries = build_stand_ins(cache)
        for graph in [graph for path in options.paths for graph in graphs_under(path)]:
            result = place(graph.path, graph.weights, options, libraries)
            print(json.dumps(asdict(result)) if options.json else describe(result, options.nodes), flush=True)
            failed |= bool(result.faults() if options.strict else result.error)
    except (NoProvider, ManifestError) as problem:
        sys.exit(f"cuda-placement: {problem}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
