"""Loads adapter folders into Hugging Face PEFT and compares the adapted model's logits with given ones."""

import argparse
import sys
import warnings
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor

from oracle_models import base_model

EXAMPLES = """examples:
  python scripts/check-with-peft.py --model models/bert --adapter exported --logits ours.safetensors
  python scripts/check-with-peft.py --model models/bert --adapter cases/bert/lora \\
      --logits cases/bert/lora/expected.safetensors

The inputs are one batch of the model folder's io.safetensors; the logits file holds our logits for it.
"""


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
    """Every tensor of the folder has to be in the model, and the model has to hold no other."""
    ours, theirs = load_file(file), get_peft_model_state_dict(model)
    faults = [
        f"{key} stands only in {'the folder' if key in ours else 'PEFT'}"
        for key in ours.keys() ^ theirs.keys()
    ]
    changed = [key for key in ours.keys() & theirs.keys() if not torch.equal(ours[key], theirs[key])]
    return sorted(faults + [f"{key} has another value in PEFT" for key in changed])


def logit_fault(ours: Tensor, theirs: Tensor, tolerance: float) -> str | None:
    if ours.shape != theirs.shape:
        return f"logits have shape {list(ours.shape)}, PEFT's {list(theirs.shape)}"
    gap = (ours.double() - theirs.double()).abs()
    if bool((gap <= tolerance + tolerance * theirs.double().abs()).all()):
        return None
    return f"logits differ by up to {float(gap.max()):.3e}, allowed {tolerance} + {tolerance} of the value"


def check(options: argparse.Namespace) -> list[str]:
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
        model = PeftModel.from_pretrained(base_model(options.model), str(options.adapter)).eval()
    faults = [f"PEFT warns: {entry.message}" for entry in said if "adapter keys" in str(entry.message)]
    faults += tensor_faults(model, options.adapter / "adapter_model.safetensors")
    with torch.no_grad():
        outputs = model(**inputs)
    fault = logit_fault(stored[options.key], outputs["logits"], options.tolerance)
    return faults + ([fault] if fault else [])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="oracle model folder")
    parser.add_argument("--adapter", type=Path, required=True, help="folder that PEFT is to load")
    parser.add_argument("--logits", type=Path, required=True, help="safetensors file with our logits")
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
    faults = check(options)
    print(f"{'FAIL' if faults else 'ok'}  {options.adapter}")
    for fault in faults:
        print(f"      {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
