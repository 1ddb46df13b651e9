"""Tests of check-with-onnx.py and of the runner below it, on an artifact written by hand."""

import json
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

SCRIPTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "tests")]

from small_artifact import WEIGHTS, write_artifact  # noqa: E402

from artifact_manifest import ManifestError, read_artifact  # noqa: E402
from artifact_runner import Runner  # noqa: E402


def check(*arguments: str | Path) -> tuple[int, str]:
    command = [sys.executable, SCRIPTS / "check-with-onnx.py", *arguments]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


class CheckWithOnnx(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.artifact = write_artifact(Path(folder.name))

    def edit_model(self, name: str, change: Callable[[onnx.ModelProto], object]) -> None:
        file = self.artifact / f"{name}.onnx"
        model = onnx.load(file, load_external_data=False)
        change(model)
        file.write_bytes(model.SerializeToString())

    def edit_manifest(self, change: Callable[[dict], object]) -> None:
        file = self.artifact / "manifest.json"
        manifest = json.loads(file.read_text())
        change(manifest)
        file.write_text(json.dumps(manifest))

    def assert_fails(self, expected: str, *options: str) -> None:
        status, output = check(self.artifact, *options)
        self.assertIn(expected, output)
        self.assertEqual(status, 1, output)

    def test_good_artifact_passes(self) -> None:
        status, output = check(self.artifact, "--run", "--portable", "--steps", "5")
        self.assertEqual(status, 0, output)
        self.assertIn("train and grad+apply: 5 losses", output)
        self.assertIn("8 passed, 0 failed", output)

    def test_runner_computes_what_numpy_computes(self) -> None:
        x, y = np.array([[1, 2, 3], [0, 1, 0]], np.float32), np.array([[1, 1], [2, 0]], np.float32)
        bias = np.array([0.5, -1], np.float32)
        for names in (["train"], ["grad", "apply"]):
            runner, b = Runner(read_artifact(self.artifact), names, optimized=False), bias.copy()
            for _ in range(3):
                error = x @ WEIGHTS + b - y
                self.assertAlmostEqual(runner.step({"x": x, "y": y}, {}), float((error**2).mean()), places=5)
                b -= 0.5 * error.mean(0)
            np.testing.assert_allclose(runner.values["b"], b, rtol=1e-5)
            self.assertEqual(runner.values["t"], 3)

    def test_batch_file_gives_one_row_a_step(self) -> None:
        file = self.artifact / "batches.npz"
        np.savez(file, x=np.eye(3, dtype=np.float32)[None].repeat(2, 0), y=np.zeros((3, 2), np.float32))
        status, output = check(self.artifact, "--run", "--batch-file", file)
        self.assertEqual(status, 0, output)
        np.savez(file, x=np.eye(3))
        self.assert_fails("the batch file lacks y", "--run", "--batch-file", str(file))

    def test_halves_that_differ_from_the_step(self) -> None:
        def double_the_rate(model: onnx.ModelProto) -> None:
            next(node for node in model.graph.node if node.op_type == "Mul").input[:] = ["db", "db"]

        self.edit_model("apply", double_the_rate)
        self.edit_model("apply", lambda model: model.graph.input.pop())
        self.edit_manifest(lambda manifest: manifest["graphs"]["apply"]["inputs"].pop())
        self.assert_fails("FAIL  " + f"{self.artifact} train and grad+apply", "--run")

    def test_loss_that_is_not_a_number(self) -> None:
        def root_of_negative(model: onnx.ModelProto) -> None:
            node = next(node for node in model.graph.node if node.op_type == "Mul")
            node.op_type, node.input[:] = "Pow", ["e", "e"]

        self.edit_model("eval", root_of_negative)
        self.assert_fails("eval, optimizations off and on", "--run")

    def test_invalid_node(self) -> None:
        self.edit_model("eval", lambda model: setattr(model.graph.node[0], "op_type", "NoSuchOperator"))
        self.assert_fails("No Op registered for NoSuchOperator")

    def test_fault_of_the_source_is_excused_and_no_other(self) -> None:
        self.edit_model("eval", lambda model: setattr(model.graph.node[0], "op_type", "NoSuchOperator"))
        source = self.artifact.parent / "source" / "model.onnx"
        source.write_bytes((self.artifact / "eval.onnx").read_bytes())
        status, output = check(self.artifact)
        self.assertEqual(status, 0, output)
        self.assertIn("note: NoSuchOperator fails the checker in the source model too", output)
        self.edit_model("eval", lambda model: setattr(model.graph.node[1], "op_type", "NorThis"))
        self.assert_fails("No Op registered for NorThis")

    def test_versions_and_domains(self) -> None:
        self.edit_model("train", lambda model: setattr(model, "ir_version", 14))
        self.edit_model("eval", lambda model: setattr(model.opset_import[0], "version", 27))
        self.edit_model("apply", lambda model: setattr(model.graph.node[0], "domain", "com.microsoft"))
        _, output = check(self.artifact, "--portable")
        self.assertIn("IR version 14, expected at most 13", output)
        self.assertIn("opset 27, expected at most 26", output)
        self.assertIn("operators com.microsoft.Mul, expected only ai.onnx", output)
        self.assertIn("1 passed, 3 failed", output)

    def test_weights_outside_the_file(self) -> None:
        with (self.artifact.parent / "source" / "weights.bin").open("r+b") as file:
            file.truncate(20)
        self.assert_fails("weight W: ends at byte 28 of weights.bin, which has 20")

    def test_manifest_that_names_other_ports(self) -> None:
        self.edit_manifest(lambda manifest: manifest["graphs"]["eval"]["outputs"].pop())
        self.assert_fails("output loss stands only in the graph")
        self.edit_manifest(lambda manifest: manifest["graphs"]["train"]["outputs"][1].update(feeds="c"))
        self.assert_fails("output b.next feeds c, which is no input of this graph")

    def test_other_formats_are_refused(self) -> None:
        self.edit_manifest(lambda manifest: manifest.update(format="other/1"))
        with self.assertRaisesRegex(ManifestError, "format is 'other/1'"):
            read_artifact(self.artifact)


if __name__ == "__main__":
    unittest.main()
