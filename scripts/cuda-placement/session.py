"""Builds one CUDA session and prints its graph as JSON; placement.py runs this and reads its log."""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnxruntime

PROVIDERS = ["CUDAExecutionProvider", "CPUExecutionProvider"]
LEVELS = {"none": 0, "basic": 1, "extended": 2, "layout": 3, "all": 99}


def graphs_in(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and the bodies of its control flow."""
    yield graph
    for body in (body for node in graph.node for a in node.attribute for body in [a.g, *a.graphs]):
        yield from graphs_in(body)


def name_all(model: onnx.GraphProto) -> None:
    """The log tells nodes by name: gives one to each node that has none or shares it."""
    nodes = [node for graph in graphs_in(model) for node in graph.node]
    uses = Counter(node.name for node in nodes)
    for index, node in enumerate(nodes):
        if not node.name or uses[node.name] > 1:
            node.name = f"{node.name or node.op_type}~{index}"


def build(model: str, folder: str, level: str, config: dict[str, str]) -> dict:
    """Builds the session; that it failed is an answer too."""
    proto = onnx.load(model, load_external_data=False)
    name_all(proto.graph)
    with tempfile.TemporaryDirectory() as scratch:
        optimized = Path(scratch, "optimized.onnx")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 0
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel(LEVELS[level])
        options.optimized_model_filepath = str(optimized)
        entries = {
            "session.model_external_initializers_file_folder_path": folder,
            "session.optimized_model_external_initializers_file_name": "weights",
            "session.record_ep_graph_assignment_info": "1",
        }
        for key, value in {**entries, **config}.items():
            options.add_session_config_entry(key, value)
        try:
            session = onnxruntime.InferenceSession(
                proto.SerializeToString(), options, PROVIDERS, enable_fallback=0
            )
        except Exception as error:  # whatever it is, the report has to say it
            return {"error": f"{type(error).__name__}: {error}"}
        if PROVIDERS[0] not in session.get_providers():
            return {"error": "the CUDA provider did not load"}
        graphs = list(graphs_in(onnx.load(optimized, load_external_data=False).graph))
    return {
        "error": None,
        "inputs": [value.name for graph in graphs for value in graph.input],
        "nodes": [
            [n.op_type, n.domain, n.name, [*n.input], [*n.output]] for graph in graphs for n in graph.node
        ],
        "partitioned": [
            n.name for part in session.get_provider_graph_assignment_info() for n in part.get_nodes()
        ],
    }


if __name__ == "__main__":
    print(json.dumps(build(**json.load(sys.stdin))))
