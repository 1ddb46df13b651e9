"""Builds one CUDA session and prints its graph as JSON; placement.py runs this over the stand-ins and reads its log."""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnxruntime

LEVELS = {"none": 0, "basic": 1, "extended": 2, "layout": 3, "all": 99}


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node, those of control-flow bodies after their owner."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in [attribute.g, *attribute.graphs]:
                yield from nodes_of(body)


def name_all(graph: onnx.GraphProto) -> None:
    """The log tells nodes by name: gives one to each node that has none or shares it."""
    uses = Counter(node.name for node in nodes_of(graph))
    for index, node in enumerate(nodes_of(graph)):
        if not node.name or uses[node.name] > 1:
            node.name = f"{node.name or node.op_type}~{index}"


def build(request: dict) -> dict:
    """Builds the session of request {model, folder, level, config}; a failure is part of the answer."""
    model = onnx.load(request["model"], load_external_data=False)
    name_all(model.graph)
    answer: dict = {"version": onnxruntime.__version__, "error": None, "inputs": [], "nodes": [], "partitioned": []}
    with tempfile.TemporaryDirectory() as scratch:
        optimized = Path(scratch, "optimized.onnx")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 0
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel(LEVELS[request["level"]])
        options.optimized_model_filepath = str(optimized)
        for key, value in {
            "session.model_external_initializers_file_folder_path": request["folder"],
            "session.optimized_model_external_initializers_file_name": "weights",
            "session.record_ep_graph_assignment_info": "1",
            **request["config"],
        }.items():
            options.add_session_config_entry(key, value)
        try:
            providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
            session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers, enable_fallback=0)
        except Exception as error:  # whatever it is, the report has to say it
            return {**answer, "error": f"{type(error).__name__}: {error}"}
        if providers[0] not in session.get_providers():
            return {**answer, "error": "the CUDA provider did not load"}
        built = onnx.load(optimized, load_external_data=False).graph
    for node in nodes_of(built):
        answer["nodes"].append([node.domain or "ai.onnx", node.op_type, node.name, [*node.input], [*node.output]])
    bodies = [body for node in nodes_of(built) for a in node.attribute for body in [a.g, *a.graphs]]
    answer["inputs"] = [value.name for graph in [built, *bodies] for value in graph.input]
    parts = session.get_provider_graph_assignment_info()
    answer["partitioned"] = [node.name for part in parts for node in part.get_nodes()]
    return answer


if __name__ == "__main__":
    print(json.dumps(build(json.load(sys.stdin))))
