"""Repeats oracle cases in PEFT, with those of its functions replaced that do not do what its formulas say."""

import argparse
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners import tuners_utils
from peft.tuners.c3a import layer as c3a
from peft.tuners.c3a.utils import get_circulant_fast
from peft.tuners.loha import layer as loha
from peft.tuners.lora import ArrowConfig, arrow
from peft.tuners.oft import layer as oft
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from oracle_models import base_model

EXAMPLES = """examples:
  python scripts/formula-reference.py --oracles fixtures/oracles --out fixtures/oracles/formula llama/c3a

Writes OUT/MODEL/CASE/: logits, loss and gradients of batch0 as expected.safetensors, eight optimizer steps as
train.json and trained.safetensors.
"""


class Circular:
    """Stands in for the function whose gradient of the input is that of the transposed kernel."""

    @staticmethod
    def apply(x: Tensor, kernel: Tensor) -> Tensor:
        return x @ get_circulant_fast(kernel).T


class HadamardCP:
    """Stands in for the function whose gradients of w1_a and w2_a use each other's factors."""

    @staticmethod
    def apply(
        t1: Tensor, w1a: Tensor, w1b: Tensor, t2: Tensor, w2a: Tensor, w2b: Tensor, scale: Tensor
    ) -> Tensor:
        first = torch.einsum("ijkl,jr,ip->prkl", t1, w1b, w1a)
        return first * torch.einsum("ijkl,jr,ip->prkl", t2, w2b, w2a) * scale


def rotated_convolution(layer: nn.Module, x: Tensor) -> Tensor:
    """Stands in for a path that rotates windows of the input, which overlap: rotates the weight, as merging does."""
    base = layer.get_base_layer()
    turned = base.weight.flatten(1) @ layer.get_delta_weight(layer.active_adapters[0]).T
    return nn.functional.conv2d(
        x, turned.view_as(base.weight), base.bias, base.stride, base.padding, base.dilation, base.groups
    )


def first_direction(layer: nn.Module, A: Tensor, B: Tensor) -> Tensor:
    """Stands in for a search from a random start that stops after 15 rounds, wherever it is."""
    return torch.linalg.svd((B @ A).double()).Vh[0].float()


def route(oracles: Path, out: Path, model_name: str, case: str) -> None:
    """Writes the logits of experts that each token chooses from."""
    source, target = oracles / "cases" / model_name / case, out / model_name / case
    (entry,) = [
        each
        for each in json.loads((oracles / "index.json").read_text())["cases"]
        if each["model"] == model_name and each["case"] == case
    ]
    count = int(re.search(r"\btop_k=(\d+)", entry["note"])[1])
    experts = sorted(str(folder) for folder in (source / "adapters").iterdir())
    stored = load_file(oracles / "models" / model_name / "io.safetensors")
    batch = {name: stored[f"batch0.{name}"] for name in ("input_ids", "attention_mask")}

    def logits(config: ArrowConfig, chosen: list[str], general: list[str] | None = None) -> Tensor:
        base = base_model(oracles / "models" / model_name)
        model = arrow.create_arrow_model(base, chosen, config, general).eval()
        with torch.no_grad():
            return model(**batch).logits

    target.mkdir(parents=True, exist_ok=True)
    results = {
        "logits": logits(ArrowConfig(top_k=count), experts),
        "logits.shared": logits(ArrowConfig(top_k=2, router_temperature=0.5), experts),
        "logits.general": logits(ArrowConfig(top_k=1, use_gks=True), experts[:1], experts[1:]),
    }
    save_file(results, target / "expected.safetensors")


def loss_of(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Loss and logits; the image model of the set yields logits alone."""
    labels = batch["labels"]
    outputs = model(**batch) if "input_ids" in batch else model(pixel_values=batch["pixel_values"])
    logits = outputs["logits"]
    loss = outputs["loss"] if "input_ids" in batch else nn.functional.cross_entropy(logits, labels)
    return loss, logits


def restore_outside(model: nn.Module, expected: dict[str, Tensor]) -> None:
    """Gives tensors that are not in the adapter's file the values that the case was made with."""
    for name, tensor in model.named_parameters():
        for root in ("param", "frozen"):
            stored = expected.get(f"{root}.{name.replace('.default', '')}")
            if stored is not None:
                tensor.data.copy_(stored)


def with_tied(source: Path) -> Path:
    """The folder, or a copy that has the output layer's weight, too, which PEFT looks for where it follows a table."""
    config = json.loads((source / "adapter_config.json").read_text())
    if not (config.get("ensure_weight_tying") and config["modules_to_save"]):
        return source
    tensors = load_file(source / "adapter_model.safetensors")
    (table,) = [name for name in tensors if name.endswith(f"{config['modules_to_save'][0]}.weight")]
    copy = Path(tempfile.mkdtemp())
    shutil.copy(source / "adapter_config.json", copy)
    save_file(
        {**tensors, "base_model.model.lm_head.weight": tensors[table].clone()},
        copy / "adapter_model.safetensors",
    )
    return copy


def repeat(oracles: Path, out: Path, model_name: str, case: str) -> str | None:
    """Writes the numbers of one case. Gives what is wrong."""
    source, target = oracles / "cases" / model_name / case, out / model_name / case
    if (source / "adapters").exists():
        return route(oracles, out, model_name, case)
    record = json.loads((source / "train.json").read_text())
    if not record["optimizer"].startswith("torch.optim.AdamW") or record["gradient_accumulation"] != 1:
        return f"{model_name}/{case}: only plain AdamW is repeated here"
    base, config = base_model(oracles / "models" / model_name), PeftConfig.from_pretrained(source)
    if config.is_prompt_learning:
        # PEFT does not go on training what it loads, so the tensors are put into a fresh one.
        config.inference_mode = False
        model = get_peft_model(base, config)
    else:
        model = PeftModel.from_pretrained(base, with_tied(source), is_trainable=True)
    restore_outside(model, load_file(source / "expected.safetensors"))
    model.train(record["mode"] == "train")
    stored = load_file(oracles / "models" / model_name / "io.safetensors")
    batches = {
        name: {
            key.removeprefix(f"{name}."): value
            for key, value in stored.items()
            if key.startswith(f"{name}.") and key.rsplit(".", 1)[1] not in ("logits", "loss")
        }
        for name in set(record["batches"])
    }
    for batch in batches.values():
        if model.active_peft_config.peft_type == "CPT":
            batch["input_type_mask"] = (batch["labels"] != -100).long() * 4
    known = load_file(source / "adapter_model.safetensors")
    by_storage = {
        value.data_ptr(): key for key, value in get_peft_model_state_dict(model).items() if key in known
    }
    parameters = {
        by_storage.get(p.data_ptr(), f"param.{name.replace('.default', '')}"): p
        for name, p in model.named_parameters()
        if p.requires_grad
    }

    loss, logits = loss_of(model, batches["batch0"])
    loss.backward()
    results = {f"grad.{key}": p.grad.clone() for key, p in parameters.items() if p.grad is not None}
    results.update(logits=logits.detach(), loss=loss.detach())

    optimizer = torch.optim.AdamW(parameters.values(), lr=record["lr"], weight_decay=record["weight_decay"])
    losses, norms = [], []
    for step, name in enumerate(record["batches"]):
        optimizer.zero_grad()
        loss, _ = loss_of(model, batches[name])
        loss.backward()
        norms.append(float(nn.utils.clip_grad_norm_(parameters.values(), record["max_grad_norm"])))
        losses.append(float(loss))
        optimizer.step()
        if getattr(config, "use_asa", False):
            model.base_model.update_and_allocate(step)
    target.mkdir(parents=True, exist_ok=True)
    save_file(results, target / "expected.safetensors")
    save_file({key: p.detach() for key, p in parameters.items()}, target / "trained.safetensors")
    kept = {key: value for key, value in record.items() if key != "float64_difference"}
    text = json.dumps({**kept, "losses": losses, "grad_norms": norms}, indent=1)
    (target / "train.json").write_text(f"{text}\n")
    return None


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--oracles", type=Path, required=True, help="folder with models/ and cases/")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("cases", nargs="+", metavar="MODEL/CASE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    c3a.BlockCircularConvolution = Circular
    loha.HadaWeightCP = HadamardCP
    oft.Conv2d.forward = rotated_convolution
    arrow.ArrowLoraLinearLayer.top_right_singular_vec_from_BA = first_direction
    # Tables that GPT-2 and BERT name otherwise than by which PEFT decides whether an output layer follows.
    tuners_utils.EMBEDDING_LAYER_NAMES = [*tuners_utils.EMBEDDING_LAYER_NAMES, "wte", "word_embeddings"]
    faults = [repeat(options.oracles, options.out, *case.split("/")) for case in options.cases]
    for fault in filter(None, faults):
        print(fault, file=sys.stderr)
    return 1 if any(faults) else 0


if __name__ == "__main__":
    sys.exit(main())
