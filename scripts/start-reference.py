"""Lets PEFT start LoRA from data, on the batches of an oracle model, and stores the factors that it starts with."""

import argparse
import dataclasses
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

# PEFT's CorDA imports the undeclared package attrs for its `dataclass` alone.
sys.modules.setdefault("attr", types.SimpleNamespace(dataclass=dataclasses.dataclass))  # type: ignore[arg-type]

from peft import LoraConfig, get_peft_model, initialize_lora_eva_weights  # noqa: E402
from peft.tuners.lora.config import CordaConfig, EvaConfig, LoraGAConfig  # noqa: E402
from peft.tuners.lora.corda import preprocess_corda  # noqa: E402
from peft.tuners.lora.loraga import preprocess_loraga  # noqa: E402

from oracle_models import base_model  # noqa: E402

EXAMPLES = """examples:
  python scripts/start-reference.py --model fixtures/oracles/models/llama --out fixtures/starts

Writes OUT/START.safetensors: A and B of every module, by PEFT's keys.
"""

SETTINGS = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj", "down_proj"]}


def rows_of(folder: Path) -> Iterator[dict[str, Tensor]]:
    """Every example of the four batches by itself, without its padding."""
    stored = load_file(folder / "io.safetensors")
    for name in ("batch0", "batch1", "batch2", "batch3"):
        for row in range(stored[f"{name}.input_ids"].shape[0]):
            length = int(stored[f"{name}.attention_mask"][row].sum())
            fields = ("input_ids", "attention_mask", "labels")
            yield {field: stored[f"{name}.{field}"][row : row + 1, :length] for field in fields}


def started(folder: Path, start: str) -> nn.Module:
    """A fresh PEFT model."""
    model = base_model(folder)
    rows = list(rows_of(folder))
    if start.startswith("corda"):
        method = start.removeprefix("corda-")
        config = LoraConfig(
            init_lora_weights="corda", corda_config=CordaConfig(corda_method=method), **SETTINGS
        )
        preprocess_corda(model, config, lambda: [model(**row) for row in rows])
        return get_peft_model(model, config)
    if start.startswith("lora-ga"):
        _, direction, scale = start.rsplit("-", 2)
        ga = LoraGAConfig(direction=direction, scale=scale)
        config = LoraConfig(init_lora_weights="lora_ga", lora_ga_config=ga, **SETTINGS)
        preprocess_loraga(model, config, lambda: [model(**row)["loss"].backward() for row in rows])
        return get_peft_model(model, config)
    eva = EvaConfig(rho=1.5, tau=0.99)
    config = LoraConfig(task_type="CAUSAL_LM", init_lora_weights="eva", eva_config=eva, **SETTINGS)
    adapted = get_peft_model(model, config)
    together = {
        name: torch.cat([nn.functional.pad(row[name], (0, 12 - row[name].shape[1])) for row in rows])
        for name in rows[0]
    }
    # One batch, which is read twice: with the same data again nothing turns.
    initialize_lora_eva_weights(adapted, dataloader=[together], show_progress_bar=False)
    return adapted


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="oracle model folder")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    options.out.mkdir(parents=True, exist_ok=True)
    for start in ("corda-ipm", "corda-kpm", "lora-ga-ArB2r-stable", "lora-ga-ArBr-gd_scale", "eva"):
        state = started(options.model, start).state_dict()
        factors = {
            key.replace(".default.", "."): value.contiguous() for key, value in state.items() if ".lora_" in key
        }
        save_file(factors, options.out / f"{start}.safetensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
