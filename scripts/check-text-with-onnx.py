"""Reads texts printed by peft-compile with the reference parser, and compares each with the model it was printed from."""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.checker
import onnx.parser
from onnx import AttributeProto, TensorProto, numpy_helper

EXAMPLES = """examples:
  scripts/check-text-with-onnx.py a.onnxtxt b.onnxtxt        only whether the reference parser takes them
  scripts/check-text-with-onnx.py a.onnxtxt=model.onnx       and whether it is the graph of model.onnx
"""

# The reference parser reads lists of these and drops what they hold.
DROPPED_LISTS = {
    AttributeProto.TENSORS: "tensors",
    AttributeProto.GRAPHS: "graphs",
    AttributeProto.TYPE_PROTOS: "type_protos",
    AttributeProto.SPARSE_TENSORS: "sparse_tensors",
}


class Comparison:
    """Differences between a model and the reference parser's reading of its text."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.differences: list[str] = []
        self.notes: set[str] = set()
        self.counts = {"nodes": 0, "attributes": 0, "initializers": 0}

    def same(self, place: str, model: object, text: object) -> None:
        """Records a difference of two plain values."""
        if model != text:
            self.differences.append(f"{place}: the model has {model!r:.200}, the text {text!r:.200}")

    def model(self, model: onnx.ModelProto, text: onnx.ModelProto) -> None:
        """Compares headers, main graphs and functions."""
        for field in ("ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string"):
            self.same(field, getattr(model, field), getattr(text, field))
        self.same("opset_import", opsets(model.opset_import), opsets(text.opset_import))
        self.same("metadata_props", entries(model.metadata_props), entries(text.metadata_props))
        self.graph("graph", model.graph, text.graph, Names())
        self.same("functions", len(model.functions), len(text.functions))
        for one, other in zip(model.functions, text.functions, strict=False):
            self.function(f"function {one.name}", one, other)

    def function(self, place: str, model: onnx.FunctionProto, text: onnx.FunctionProto) -> None:
        """Compares signatures and bodies of functions."""
        for field in ("name", "domain", "overload", "doc_string"):
            self.same(f"{place}.{field}", getattr(model, field), getattr(text, field))
        for field in ("attribute", "input", "output"):
            self.same(f"{place}.{field}", list(getattr(model, field)), list(getattr(text, field)))
        self.same(f"{place}.opset_import", opsets(model.opset_import), opsets(text.opset_import))
        names = Names()
        names.define(model.input, text.input)
        self.attributes(place, model.attribute_proto, text.attribute_proto, names)
        self.nodes(place, model.node, text.node, names)

    def graph(self, place: str, model: onnx.GraphProto, text: onnx.GraphProto, outer: "Names") -> None:
        """Compares graphs; names inside of bodies may differ, so they are matched by where they are defined."""
        names = Names(outer)
        self.same(f"{place}.name", model.name, text.name)
        for field in ("input", "output"):
            self.same(f"{place}.{field}s", len(getattr(model, field)), len(getattr(text, field)))
        names.define([v.name for v in model.input], [v.name for v in text.input])
        inputs = {v.name for v in text.input}
        named = {t.name: t for t in text.initializer}
        # Defaults of inputs come first in the text, so initializers match by name in main graphs, by order in bodies.
        ours = [t for t in text.initializer if t.name not in inputs]
        theirs = [t for t in model.initializer if t.name not in {v.name for v in model.input}]
        self.same(f"{place}.initializers", len(model.initializer), len(text.initializer))
        names.define([t.name for t in theirs], [t.name for t in ours])
        for tensor in model.initializer:
            found = named.get(names.of(tensor.name))
            if found is None:
                self.differences.append(f"{place}: initializer {tensor.name!r} is missing")
                continue
            self.tensor(f"{place}.{tensor.name}", tensor, found)
            self.counts["initializers"] += 1
        self.nodes(place, model.node, text.node, names)
        for one, other in zip([*model.input, *model.output], [*text.input, *text.output], strict=False):
            self.same(f"{place}: name of {one.name!r}", names.of(one.name), other.name)
            self.same(f"{place}: type of {one.name!r}", type_text(one.type), type_text(other.type))

    def nodes(self, place: str, model: list, text: list, names: "Names") -> None:
        """Compares nodes in order: operators, edges and attributes."""
        self.same(f"{place}: number of nodes", len(model), len(text))
        for index, (one, other) in enumerate(zip(model, text, strict=False)):
            here = f"{place}/{index} {one.op_type} {one.name!r}"
            domain = "" if one.domain == "ai.onnx" else one.domain
            self.same(f"{here}: domain", domain, other.domain)
            for field in ("op_type", "overload", "name"):
                self.same(f"{here}: {field}", getattr(one, field), getattr(other, field))
            self.same(f"{here}: operands", [names.of(name) for name in one.input], list(other.input))
            self.attributes(here, one.attribute, other.attribute, names)
            names.define(one.output, other.output)
            self.same(f"{here}: results", [names.of(name) for name in one.output], list(other.output))
            self.counts["nodes"] += 1

    def attributes(self, place: str, model: list, text: list, names: "Names") -> None:
        """Compares attributes by name."""
        found = {attribute.name: attribute for attribute in text}
        self.same(f"{place}: attributes", sorted(a.name for a in model), sorted(found))
        for one in model:
            if one.name in found:
                self.attribute(f"{place}.{one.name}", one, found[one.name], names)
                self.counts["attributes"] += 1

    def attribute(self, place: str, one: AttributeProto, other: AttributeProto, names: "Names") -> None:
        """Compares two attributes of one name."""
        if one.type in DROPPED_LISTS:
            self.notes.add(f"lists of {DROPPED_LISTS[one.type]} cannot be compared")
            return
        self.same(f"{place}: type", one.type, other.type)
        self.same(f"{place}: reference", one.ref_attr_name, other.ref_attr_name)
        if one.type != other.type or one.ref_attr_name:
            return
        if one.type == AttributeProto.TENSOR:
            self.tensor(place, one.t, other.t)
        elif one.type == AttributeProto.GRAPH:
            self.graph(place, one.g, other.g, names)
        elif one.type == AttributeProto.TYPE_PROTO:
            self.same(place, type_text(one.tp), type_text(other.tp))
        elif one.type in (AttributeProto.FLOAT, AttributeProto.FLOATS):
            values = [np.float32([*a.floats, a.f]).tobytes() for a in (one, other)]
            self.same(place, *values)
        else:
            values = [(a.i, a.s, list(a.ints), list(a.strings)) for a in (one, other)]
            self.same(place, *values)

    def tensor(self, place: str, one: TensorProto, other: TensorProto) -> None:
        """Compares type, dimensions and every byte of two tensors; external data is read from the model's folder."""
        self.same(f"{place}: data type", one.data_type, other.data_type)
        self.same(f"{place}: dimensions", list(one.dims), list(other.dims))
        if one.data_type != other.data_type or list(one.dims) != list(other.dims):
            return
        if one.data_type == TensorProto.STRING:
            self.same(place, list(one.string_data), list(other.string_data))
            return
        arrays = [numpy_helper.to_array(tensor, self.folder) for tensor in (one, other)]
        self.same(place, *(array.tobytes() for array in arrays))


class Names:
    """The text's names of a graph's values, and through it those of the graphs around."""

    def __init__(self, outer: "Names | None" = None) -> None:
        self.outer = outer
        self.names: dict[str, str] = {"": ""}

    def define(self, model: list[str], text: list[str]) -> None:
        """Matches names of values defined at the same place."""
        self.names.update(zip(model, text, strict=False))

    def of(self, name: str) -> str | None:
        """The text's name of a value."""
        if name in self.names:
            return self.names[name]
        return None if self.outer is None else self.outer.of(name)


def opsets(imports: list) -> dict[str, int]:
    """Versions by domain."""
    return {"" if one.domain == "ai.onnx" else one.domain: one.version for one in imports}


def entries(pairs: list) -> dict[str, str]:
    """Metadata by key."""
    return {pair.key: pair.value for pair in pairs}


def type_text(proto: onnx.TypeProto) -> str:
    """A type as text; an axis with an empty name has none."""
    copy = onnx.TypeProto()
    copy.CopyFrom(proto)
    copy.ClearField("denotation")
    for dim in copy.tensor_type.shape.dim if copy.HasField("tensor_type") else []:
        dim.ClearField("denotation")
        if dim.HasField("dim_param") and not dim.dim_param:
            dim.ClearField("dim_param")
    return str(copy)


def check(text_path: Path, model_path: Path | None) -> list[str]:
    """Problems of one text; prints what was compared."""
    try:
        text = onnx.parser.parse_model(text_path.read_bytes().decode("utf-8"))
    except onnx.parser.ParseError as error:
        return [f"the reference parser refuses it: {error}"]
    if model_path is None:
        print(f"ok      {text_path}: {len(text.graph.node)} nodes")
        return []
    comparison = Comparison(model_path.parent)
    comparison.model(onnx.load(str(model_path), load_external_data=False), text)
    if not comparison.differences:
        counts = ", ".join(f"{count} {what}" for what, count in comparison.counts.items())
        notes = "".join(f"; {note}" for note in sorted(comparison.notes))
        print(f"same    {text_path}: {counts}{notes}")
    return comparison.differences


def main() -> int:
    """Checks every text and prints each difference."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", nargs="+", metavar="TEXT[=MODEL]")
    arguments = parser.parse_args()
    failed = 0
    for pair in arguments.texts:
        text, _, model = pair.partition("=")
        problems = check(Path(text), Path(model) if model else None)
        failed += bool(problems)
        for problem in problems[:20]:
            print(f"differs {text}: {problem}")
        if len(problems) > 20:
            print(f"differs {text}: and {len(problems) - 20} more")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
