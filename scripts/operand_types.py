"""Writes src/ops/operand-types.ts: the element types that every operator's schema allows its operands."""

import argparse
import sys
import textwrap
from pathlib import Path

import onnx
import onnxruntime
from onnx import defs
from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

EXAMPLES = """examples:
  scripts/operand_types.py            writes src/ops/operand-types.ts
  scripts/operand_types.py --check    says whether it is what the installed packages would write
"""
TARGET = Path(__file__).resolve().parent.parent / "src" / "ops" / "operand-types.ts"
BASE = 20  # baseOpset of src/ops/versions.ts: older nodes are upgraded to it before their types are checked
DTYPES = {"float": "float32", "double": "float64"}
HEAD = """/**
 * Element types that operands may have, read from the schemas of onnx {onnx} and onnxruntime {runtime} by
 * scripts/operand_types.py. A line is an operator and its operands; those of one letter share a type, a letter with + holds
 * for every operand of a variadic list by itself, and what follows a letter at the end of the line is its set of types.
 */

/** Sets of types by name; `seq`, `opt`, `map` and `sparse` stand for every type of that kind. */
export const typeSets = `
{sets}
`;

export const operandTypes = `
{lines}
`;
"""


def kinds(type_text: str) -> str:
    """`tensor(float)` becomes `float32`; of other types only the kind is kept."""
    text = type_text.replace(" ", "")
    if text.startswith("tensor("):
        name = text.removeprefix("tensor(").removesuffix(")")
        return DTYPES.get(name, name)
    return {"seq": "seq", "optional": "opt", "map": "map", "sparse_tensor": "sparse"}[text.split("(")[0]]


def considered(versions: list) -> list:
    """What the model's nodes may mean: the version at the base opset and all newer ones, and what the runtime has added."""
    own = sorted((each for each in versions if isinstance(each, defs.OpSchema)), key=lambda each: each.since_version)
    newer = [each for each in own if each.since_version > BASE]
    base = [each for each in own if each.since_version <= BASE][-1:]
    return base + newer + [each for each in versions if not isinstance(each, defs.OpSchema)]


def line(name: str, versions: list, sets: dict[str, str]) -> str:
    """Operands that share a type in every version share a letter; a letter's types are those of all versions."""
    allowed: list[set[str]] = []
    keys: list[tuple] = []
    for position in range(max(len(each.inputs) for each in versions)):
        types: set[str] = set()
        key = []
        for schema in versions:
            constraints = {each.type_param_str: each.allowed_type_strs for each in schema.type_constraints}
            if position >= len(schema.inputs):
                key.append("")
                continue
            formal = schema.inputs[position]
            types |= {kinds(each) for each in constraints.get(formal.type_str, [formal.type_str])}
            key.append(formal.type_str if formal.type_str in constraints else f"{position}")
        many = versions[-1].inputs[-1]
        alone = position >= len(versions[-1].inputs) - 1 and not many.is_homogeneous
        keys.append((*key, position if alone else "", alone))
        allowed.append(types)
    letters = {key: chr(ord("A") + index) for index, key in enumerate(dict.fromkeys(keys))}
    operands = " ".join(letters[key] + ("+" if key[-1] else "") for key in keys)
    union: dict[str, set[str]] = {}
    for key, types in zip(keys, allowed, strict=True):
        union.setdefault(letters[key], set()).update(types)
    named = [
        f"{letter}={sets.setdefault(' '.join(sorted(types)), f't{len(sets)}')}" for letter, types in union.items()
    ]
    return f"{name} {operands} : {' '.join(named)}"


class Formal:
    """An operand of one of the runtime's own schemas, with the names that the onnx package has."""

    def __init__(self, formal) -> None:
        self.type_str = formal.typeStr
        self.is_homogeneous = formal.isHomogeneous


class RuntimeSchema:
    """One of the runtime's own schemas, with the names that the onnx package has."""

    def __init__(self, schema) -> None:
        self.inputs = [Formal(each) for each in schema.inputs]
        self.type_constraints = schema.type_constraints


def build() -> str:
    """The whole file."""
    operators: dict[tuple[str, str], list] = {}
    for schema in defs.get_all_schemas_with_history():
        if not schema.deprecated:
            operators.setdefault((schema.domain, schema.name), []).append(schema)
    known = {(schema.domain, schema.name, schema.since_version) for schemas in operators.values() for schema in schemas}
    for schema in get_all_operator_schema():
        key = (schema.domain, schema.name)
        if schema.domain in ("", "com.microsoft") and (*key, schema.since_version) not in known:
            operators.setdefault(key, []).append(RuntimeSchema(schema))
    sets: dict[str, str] = {}
    lines = []
    for (domain, name), versions in sorted(operators.items()):
        chosen = considered(versions)
        if chosen and any(each.inputs for each in chosen):
            lines.append("  " + line(f"{domain}.{name}" if domain else name, chosen, sets))
    wrapped = [
        "\n".join(textwrap.wrap(f"{key} {content}", 116, initial_indent="  ", subsequent_indent="    "))
        for content, key in sets.items()
    ]
    return HEAD.format(
        onnx=onnx.__version__, runtime=onnxruntime.__version__, sets="\n".join(wrapped), lines="\n".join(lines)
    )


def main() -> int:
    """Writes or compares the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    text = build()
    if not arguments.check:
        TARGET.write_text(text)
        return 0
    if TARGET.read_text() == text:
        return 0
    print(f"{TARGET} is not what the installed packages say", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
