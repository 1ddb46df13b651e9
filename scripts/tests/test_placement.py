"""Tests of how cuda-placement reads ONNX Runtime's log; no CUDA provider is needed for it."""

import sys
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "cuda-placement")]

from placement import Placement, read_placement  # noqa: E402

AT = "2026-01-01 00:00:00.0 [V:onnxruntime:, session_state.cc:1377 VerifyEachNodeIsAssignedToAnEp]"
NO_KERNEL = "CUDA kernel not found in registries for Op type: BitShift node name: shift"
FOR_SHAPES = "Force fallback to CPU execution for node: size because the CPU execution path is deemed faster"
CPU_PART = ["Gather (size)", "Range (count)", "BitShift (shift)", "Squeeze (late)"]
SHAPE = ["Shape", "", "shape", ["x"], ["s"]]
SIZE = ["Gather", "", "size", ["s", "zero"], ["n"]]
COUNT = ["Range", "", "count", ["zero", "n", "one"], ["r"]]
SHIFT = ["BitShift", "", "shift", ["x", "one"], ["y"]]
LATE = ["Squeeze", "", "late", ["y"], ["z"]]


def listing(provider: str, nodes: list[str]) -> list[str]:
    return [
        f"{AT}  Node(s) placed on [{provider}]. Number of nodes: {len(nodes)}",
        *(f"{AT}   {n}" for n in nodes),
    ]


def read(nodes: list[list], log: list[str]) -> Placement:
    partitioned = [node[2] for node in nodes if node[2] != "late"]
    return read_placement(
        "model", {"inputs": ["x"], "nodes": nodes, "partitioned": partitioned}, "\n".join(log)
    )


class ReadPlacement(unittest.TestCase):
    def test_reasons_and_what_works_on_data(self) -> None:
        log = [NO_KERNEL, FOR_SHAPES, *listing("CPUExecutionProvider", CPU_PART)]
        result = read(
            [SHAPE, SIZE, COUNT, SHIFT, LATE], log + listing("CUDAExecutionProvider", ["Shape (shape)"])
        )
        self.assertIsNone(result.error)
        self.assertEqual(result.on_cuda, [("ai.onnx.Shape", "shape")])
        found = {node.name: (node.reason, node.shape_arithmetic) for node in result.on_cpu}
        self.assertEqual(found["size"], ("kept for shapes", True))
        self.assertEqual(found["count"], ("not said", True))  # made of shapes and constants alone
        self.assertEqual(found["shift"], ("no CUDA kernel", False))
        self.assertEqual(found["late"], ("fused later from nodes on the CPU", False))
        self.assertFalse(result.is_strict())

    def test_shape_arithmetic_alone_is_strict(self) -> None:
        log = [
            *listing("CPUExecutionProvider", ["Gather (size)"]),
            *listing("CUDAExecutionProvider", ["Shape (shape)"]),
        ]
        self.assertTrue(read([SHAPE, SIZE], log).is_strict())

    def test_a_copy_is_not_strict(self) -> None:
        copy = ["MemcpyFromHost", "", "copy", ["n"], ["n.cuda"]]
        result = read(
            [SHAPE, copy], [f"{AT}  All nodes placed on [CUDAExecutionProvider]. Number of nodes: 2"]
        )
        self.assertEqual(result.copies, ["n to the device"])
        self.assertFalse(result.is_strict())

    def test_a_log_that_leaves_a_node_out_is_an_error(self) -> None:
        result = read([SHAPE, SIZE], listing("CUDAExecutionProvider", ["Shape (shape)"]))
        self.assertIn("Gather size on 0 providers", result.error or "")
        self.assertFalse(result.is_strict())

    def test_nodes_that_the_log_cannot_tell_apart_are_an_error(self) -> None:
        nameless = [["Add", "", "", ["x", "x"], ["a"]], ["Add", "", "", ["one", "one"], ["b"]]]
        log = [*listing("CPUExecutionProvider", ["Add ()"]), *listing("CUDAExecutionProvider", ["Add ()"])]
        self.assertIn("Add (no name) on 2 providers", read(nameless, log).error or "")


if __name__ == "__main__":
    unittest.main()
