"""Writes fixtures/onnx/operators.json: every operator that the installed onnx package defines."""

import argparse
import json
import sys
from pathlib import Path

import onnx
from onnx import defs

EXAMPLES = """examples:
  scripts/list_operators.py            writes fixtures/onnx/operators.json
  scripts/list_operators.py --check    says whether it is what the installed package would write
"""
TARGET = Path(__file__).resolve().parent.parent / "fixtures" / "onnx" / "operators.json"
ORIGIN = "read from the schemas of the onnx package, Apache-2.0, by scripts/list_operators.py"


def short(type_text: str) -> str:
    """`tensor(float)` becomes `float`; sequences, maps and optionals keep their words."""
    text = type_text.replace(" ", "")
    return text.removeprefix("tensor(").removesuffix(")") if text.startswith("tensor(") else text


def parameter(formal: defs.OpSchema.FormalParameter) -> str:
    """`name:type`, with the mark of an optional (`?`) or variadic (`...`) parameter after the name."""
    option = defs.OpSchema.FormalParameterOption
    mark = {option.Optional: "?", option.Variadic: "..."}.get(formal.option, "")
    return f"{formal.name}{mark}:{short(formal.type_str)}"


def attribute(value: defs.OpSchema.Attribute) -> str:
    """Kind of an attribute, with `!` where it is required."""
    return value.type.name.lower() + ("!" if value.required else "")


def version(schema: defs.OpSchema, sets: dict[str, str]) -> dict[str, object]:
    """What one version of an operator takes and gives."""
    types = {}
    for constraint in schema.type_constraints:
        content = " ".join(sorted(map(short, constraint.allowed_type_strs)))
        types[constraint.type_param_str] = sets.setdefault(content, f"t{len(sets)}")
    entry: dict[str, object] = {"since": schema.since_version}
    if schema.deprecated:
        entry["deprecated"] = True
    entry["inputs"] = [parameter(formal) for formal in schema.inputs]
    entry["outputs"] = [parameter(formal) for formal in schema.outputs]
    entry["attributes"] = {name: attribute(value) for name, value in sorted(schema.attributes.items())}
    entry["types"] = types
    return entry


def build() -> str:
    """The whole file: one line for each version, so that a difference is readable."""
    sets: dict[str, str] = {}
    operators: dict[tuple[str, str], list[defs.OpSchema]] = {}
    for schema in defs.get_all_schemas_with_history():
        operators.setdefault((schema.domain or "ai.onnx", schema.name), []).append(schema)
    blocks = []
    for (domain, name), schemas in sorted(operators.items()):
        schemas.sort(key=lambda schema: schema.since_version)
        versions = ",\n".join(f"      {json.dumps(version(schema, sets))}" for schema in schemas)
        head = f'"domain": {json.dumps(domain)}, "name": {json.dumps(name)}'
        blocks.append(f'    {{ {head}, "versions": [\n{versions}\n    ] }}')
    typesets = ",\n".join(f"    {json.dumps(key)}: {json.dumps(content)}" for content, key in sets.items())
    head = {"origin": ORIGIN, "onnx": onnx.__version__, "opset": defs.onnx_opset_version()}
    facts = "".join(f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items())
    body = ",\n".join(blocks)
    return f'{{\n{facts}  "types": {{\n{typesets}\n  }},\n  "operators": [\n{body}\n  ]\n}}\n'


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
    print(f"{TARGET.name} is not what onnx {onnx.__version__} says", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
