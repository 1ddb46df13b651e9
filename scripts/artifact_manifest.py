"""Reads what a manifest says of an artifact's graphs: the one place of these scripts that knows its JSON."""

import json
from dataclasses import dataclass, field
from pathlib import Path

FORMAT = "peft-compile/1"


class ManifestError(Exception):
    """A path holds no model that these scripts can read."""


@dataclass(frozen=True)
class Slice:
    """Where one tensor of state.safetensors lies inside a flat buffer, in elements."""

    key: str
    offset: int
    shape: list[int]


@dataclass(frozen=True)
class Port:
    """An input or output of a graph. A dimension is a number or the text of a symbolic expression."""

    name: str
    role: str
    dtype: str
    shape: list[int | str]
    batch_field: str | None = None
    key: str | None = None
    slices: list[Slice] = field(default_factory=list)
    hyper: str | None = None
    below: int | None = None
    feeds: str | None = None


@dataclass(frozen=True)
class GraphFile:
    """A model file and the folder that its external weights lie in. A plain .onnx file has no ports."""

    path: Path
    weights: Path
    name: str = ""
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    steps_per_run: int = 1


@dataclass(frozen=True)
class Artifact:
    """A training artifact, as far as a runner needs it."""

    folder: Path
    weights: Path
    source: Path
    precision: str
    learning_rate: float
    labels: int | None
    state: Path
    graphs: dict[str, GraphFile]


def read_port(entry: dict) -> Port:
    known = {key: entry[key] for key in ("name", "role", "dtype", "shape")}
    extra = {key: entry[key] for key in ("key", "hyper", "below", "feeds") if key in entry}
    slices = [Slice(part["key"], part["offset"], part["shape"]) for part in entry.get("slices", [])]
    return Port(**known, **extra, batch_field=entry.get("field"), slices=slices)


def read_artifact(folder: Path) -> Artifact:
    """The artifact in a folder. Raises ManifestError where the folder holds none of the format known here."""
    file = folder / "manifest.json"
    if not file.is_file():
        raise ManifestError(f"{folder} has no manifest.json: give an artifact folder or an .onnx file")
    manifest = json.loads(file.read_text(encoding="utf-8"))
    if manifest.get("format") != FORMAT:
        raise ManifestError(f"{file}: format is {manifest.get('format')!r}, expected {FORMAT!r}")
    source = manifest["source"]
    source_folder = (folder / source["folder"]).resolve()
    # Links are read where they point to: ONNX's checker refuses a hard link.
    weights = folder.resolve() if source["weights"] == "copy" else source_folder
    graphs = {
        name: GraphFile(
            path=folder / entry["file"],
            weights=weights,
            name=name,
            inputs=[read_port(port) for port in entry["inputs"]],
            outputs=[read_port(port) for port in entry["outputs"]],
            steps_per_run=entry.get("stepsPerRun", 1),
        )
        for name, entry in manifest["graphs"].items()
    }
    return Artifact(
        folder=folder,
        weights=weights,
        source=source_folder / source["model"],
        precision=manifest["precision"],
        learning_rate=manifest["optimizer"]["options"].get("lr", 1e-3),
        labels=manifest["task"].get("numLabels"),
        state=folder / manifest["state"],
        graphs=graphs,
    )


def graphs_under(path: Path) -> list[GraphFile]:
    """The graphs of an artifact folder, or the one of an .onnx file. Raises ManifestError for other paths."""
    if path.is_dir():
        return list(read_artifact(path).graphs.values())
    if not path.is_file():
        raise ManifestError(f"{path} does not exist")
    return [GraphFile(path=path, weights=path.resolve().parent)]
