"""Writes the node cases of the installed onnx package to a folder, in the layout of its backend tests."""

import argparse
import warnings
from pathlib import Path

import numpy as np
from onnx import TypeProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.case.test_case import TestCase

EXAMPLES = """examples:
  scripts/write_backend_cases.py /tmp/cases && npm run test:backend -- /tmp/cases
"""


def encode(value: object, formal_type: TypeProto, name: str) -> bytes:
    """The message of one operand or result."""
    if hasattr(value, "SerializeToString"):
        return value.SerializeToString()
    if formal_type.HasField("optional_type"):
        return numpy_helper.from_optional(value, name).SerializeToString()
    if isinstance(value, dict):
        return numpy_helper.from_dict(value, name).SerializeToString()
    if isinstance(value, (list, tuple)) or formal_type.HasField("sequence_type"):
        return numpy_helper.from_list(list(value), name).SerializeToString()
    return numpy_helper.from_array(np.asarray(value), name).SerializeToString()


def write(case: TestCase, folder: Path) -> None:
    """A model and its data sets."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    for index, (inputs, outputs) in enumerate(case.data_sets or []):
        data = folder / f"test_data_set_{index}"
        data.mkdir(exist_ok=True)
        graph = case.model.graph
        for kind, values, formals in (("input", inputs, graph.input), ("output", outputs, graph.output)):
            for position, (value, formal) in enumerate(zip(values, formals, strict=True)):
                target = data / f"{kind}_{position}.pb"
                target.write_bytes(encode(value, formal.type, formal.name))


def main() -> None:
    """Writes every case."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where a folder for each case is made")
    folder = parser.parse_args().folder
    warnings.simplefilter("ignore")
    cases = [case for case in collect_testcases(None) if case.model is not None]
    for case in cases:
        write(case, folder / case.name)
    print(f"{len(cases)} cases in {folder}")


if __name__ == "__main__":
    main()
