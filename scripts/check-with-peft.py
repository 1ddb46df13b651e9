"""Loads adapter folders into Hugging Face PEFT: logits, every tensor, and the files that PEFT writes of them."""

import argparse
import copy
import json
import sys
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn

from oracle_models import base_model

EXAMPLES = """examples:
  python scripts/check-with-peft.py --model models/bert --adapter exported --logits ours.safetensors
  python scripts/check-with-peft.py --model models/bert --adapter cases/bert/lora \\
      --logits cases/bert/lora/expected.safetensors
  PEFT_PYTHON=python npm run test:peft       # writes folders for every oracle case and checks them with --list

The inputs are one batch of the model folder's io.safetensors; the logits file holds our logits for it.
"""

# Fields that say where a base model came from, which nobody knows of an ONNX file, and what PEFT fills in while it loads.
PLACE_FIELDS = {"auto_mapping", "base_model_name_or_path", "peft_version", "revision"}

# Tensors that PEFT turns into others when it loads them, and makes anew when it saves: equal but for rounding.
REMADE = "_topk_weights"


def read_inputs(file: Path, batch: str, extra: dict[str, Tensor], with_labels: bool) -> dict[str, Tensor]:
    """Forward inputs of a batch, without its results; `input.NAME` of the logits file is added."""
    start = f"{batch}."
    stored = {
        key.removeprefix(start): value for key, value in load_file(file).items() if key.startswith(start)
    }
    further = {key.removeprefix("input."): value for key, value in extra.items() if key.startswith("input.")}
    left_out = {"logits", "loss", "decoder_input_ids" if with_labels else "labels"}
    return {key: value for key, value in {**stored, **further}.items() if key not in left_out}


def tensor_faults(model: PeftModel, file: Path) -> list[str]:
    """Every tensor of the folder has to be in the model, and the model has to hold no other but copies."""
    ours = load_file(file)
    theirs = without_copies(get_peft_model_state_dict(model, save_embedding_layers=False))
    faults = [
        f"{key} stands only in {'the folder' if key in ours else 'PEFT'}"
        for key in ours.keys() ^ theirs.keys()
    ]
    changed = [key for key in ours.keys() & theirs.keys() if not same(key, ours[key], theirs[key])]
    return sorted(faults + [f"{key} has another value in PEFT" for key in changed])


def without_copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leaves out a saved module's second names, which PEFT writes where all biases are trained beside it."""
    wrapped = (".modules_to_save.", ".original_module.")
    return {key: value for key, value in tensors.items() if not any(part in key for part in wrapped)}


def same(key: str, ours: Tensor, theirs: Tensor) -> bool:
    if key.endswith(REMADE):
        return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    return torch.equal(ours, theirs)


def logit_fault(ours: Tensor, theirs: Tensor, tolerance: float) -> str | None:
    if ours.shape != theirs.shape:
        return f"logits have shape {list(ours.shape)}, PEFT's {list(theirs.shape)}"
    gap = (ours.double() - theirs.double()).abs()
    if bool((gap <= tolerance + tolerance * theirs.double().abs()).all()):
        return None
    return f"logits differ by up to {float(gap.max()):.3e}, allowed {tolerance} + {tolerance} of the value"


def file_faults(model: PeftModel, folder: Path) -> list[str]:
    """PEFT saves what it loaded: the same bytes of tensors, and the same configuration."""
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = get_peft_model_state_dict(model, save_embedding_layers=False)
        # Copies of frozen embedding tables, which PEFT adds where they are targeted, are the base model's.
        model.save_pretrained(place, save_embedding_layers=False)
        again = Path(place)
        faults = []
        name = "adapter_model.safetensors"
        exact = not any(key.endswith(REMADE) for key in state) and len(state) == len(without_copies(state))
        if exact and (folder / name).read_bytes() != (again / name).read_bytes():
            faults.append(f"{name} has other bytes than PEFT's: {header_gap(folder / name, again / name)}")
        ours, theirs = (json.loads((f / "adapter_config.json").read_text()) for f in (folder, again))
    # With these tied, PEFT puts the table's path into a list in place of the output layer's.
    tied = {"target_modules", "modules_to_save"} if ours.get("ensure_weight_tying") else set()
    for key in sorted((ours.keys() | theirs.keys()) - PLACE_FIELDS - tied):
        if key not in ours or key not in theirs:
            faults.append(f"adapter_config.json: {key} stands only in {'the folder' if key in ours else 'PEFT'}")
        elif as_set(ours[key]) != as_set(theirs[key]):
            faults.append(f"adapter_config.json: {key} is {ours[key]!r}, PEFT writes {theirs[key]!r}")
    return faults


def as_set(value: object) -> object:
    """PEFT writes target modules in the order of Python's hashes, and adds the head's names at each loading."""
    return sorted({str(item) for item in value}) if isinstance(value, list) else value


def header_gap(ours: Path, theirs: Path) -> str:
    heads = []
    for file in (ours, theirs):
        data = file.read_bytes()
        heads.append(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]))
    if heads[0] == heads[1]:
        return "headers hold the same in another order" if list(heads[0]) != list(heads[1]) else "values"
    keys = [key for key in heads[0].keys() | heads[1].keys() if heads[0].get(key) != heads[1].get(key)]
    return f"{len(keys)} entries, such as {min(keys)}"


def check(base: nn.Module, options: argparse.Namespace) -> list[str]:
    """What is wrong with the adapter folder."""
    if not (
        options.adapter / "adapter_config.json"
    ).is_file():  # PEFT would take the path for a name on its hub
        return ["the folder has no adapter_config.json"]
    stored = load_file(options.logits)
    inputs = read_inputs(
        options.inputs or options.model / "io.safetensors", options.batch, stored, options.labels
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        PeftConfig.from_pretrained(str(options.adapter))
    faults = [
        f"PEFT warns of the configuration: {entry.message}"
        for entry in said
        if "Unexpected keyword" in str(entry.message)
    ]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(base, str(options.adapter)).eval()
    faults += [f"PEFT warns: {entry.message}" for entry in said if "adapter keys" in str(entry.message)]
    faults += tensor_faults(model, options.adapter / "adapter_model.safetensors")
    with torch.no_grad():
        outputs = model(**inputs)
    fault = logit_fault(stored[options.key], outputs["logits"], options.tolerance)
    faults += [fault] if fault else []
    return faults + (file_faults(model, options.adapter) if options.list else [])


def check_rows(base: nn.Module, case: dict, options: argparse.Namespace) -> list[str]:
    """Whether PEFT gives our logits where each row has an adapter of its own."""
    (first, place), *others = case["adapters"].items()
    model = PeftModel.from_pretrained(base, place, adapter_name=first)
    for name, place in others:
        model.load_adapter(place, adapter_name=name)
    stored = load_file(options.logits)
    inputs = read_inputs(options.model / "io.safetensors", options.batch, stored, with_labels=False)
    with torch.no_grad():
        outputs = model.eval()(**inputs, adapter_names=case["rows"])
    fault = logit_fault(stored[options.key], outputs["logits"], options.tolerance)
    return [fault] if fault else []


def check_list(options: argparse.Namespace) -> int:
    """Every folder of a list, by method."""
    bases: dict[str, nn.Module] = {}
    passed: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for case in json.loads(options.list.read_text()):
        model, method = case["model"], case["method"]
        bases.setdefault(model, base_model(Path(model)))
        own = argparse.Namespace(**vars(options))
        own.model, own.adapter, own.logits = Path(model), Path(case["adapter"]), Path(case["logits"])
        own.labels = case.get("labels", options.labels)
        total[method] += 1
        try:
            base = copy.deepcopy(bases[model])
            faults = check_rows(base, case, own) if "rows" in case else check(base, own)
        except Exception as error:  # noqa: BLE001, PEFT raises whatever it meets
            faults = [f"PEFT raises {type(error).__name__}: {str(error)[:300]}"]
        if case.get("defect"):
            other = [fault for fault in faults if not fault.startswith("logits differ")]
            faults = other if other or faults else ["PEFT gives our logits, against its known defect"]
            print(f"differs  {case['name']}: {case['defect']}")
        if faults:
            print(f"FAIL  {case['name']}")
            for fault in faults[:6]:
                print(f"      {fault}")
        else:
            passed[method] += 1
    for method in sorted(total):
        print(f"{passed[method]:4} of {total[method]:4}  {method}")
    print(f"{sum(passed.values())} of {sum(total.values())}")
    return 0 if passed == total else 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="oracle model folder")
    parser.add_argument("--adapter", type=Path, help="folder that PEFT is to load")
    parser.add_argument("--logits", type=Path, help="safetensors file with our logits")
    parser.add_argument("--list", type=Path, help="JSON list of cases with name, method, model, adapter, logits")
    parser.add_argument("--key", default="logits", help="name of the logits in that file (default: logits)")
    parser.add_argument(
        "--inputs", type=Path, help="safetensors with the batch (default: the model's io.safetensors)"
    )
    parser.add_argument(
        "--batch", default="batch0", help="prefix of the batch in the inputs (default: batch0)"
    )
    parser.add_argument("--labels", action="store_true", help="pass labels in place of decoder_input_ids")
    parser.add_argument(
        "--tolerance", type=float, default=1e-5, help="absolute plus relative (default: 1e-5)"
    )
    options = parser.parse_args()
    if options.list:
        return check_list(options)
    if not (options.model and options.adapter and options.logits):
        parser.error("give --list, or all of --model, --adapter and --logits")
    faults = check(base_model(options.model), options)
    print(f"{'FAIL' if faults else 'ok'}  {options.adapter}")
    for fault in faults:
        print(f"      {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
