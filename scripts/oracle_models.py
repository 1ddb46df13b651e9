"""Rebuilds the PyTorch base model of an oracle folder: hf_config.json, weights.safetensors, modules.json."""

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from torch import nn


class SmallConv(nn.Module):
    """The oracles' convolutional classifier, read off its ONNX graph; modules are named as its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.down = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(12)
        self.point = nn.Conv2d(12, 16, 1)
        self.group = nn.Conv2d(16, 16, 3, padding=1, groups=4)
        self.asym = nn.Conv2d(16, 8, (3, 1), padding=(1, 0), bias=False)
        self.classifier = nn.Linear(8, 4)

    def forward(self, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.norm(self.stem(pixel_values)).relu()
        x = self.bn(self.down(x)).relu()
        x = self.point(x).relu()
        x = self.asym(x + self.group(x).relu())
        return {"logits": self.classifier(x.mean((2, 3)))}


def base_model(folder: Path) -> nn.Module:
    """The model with its stored weights, in evaluation mode. Raises ValueError where they do not fit."""
    modules = json.loads((folder / "modules.json").read_text())
    kind = modules["modules"][""]["class"]
    config = json.loads((folder / "hf_config.json").read_text())
    if kind == "SmallConv":
        model: nn.Module = SmallConv()
    else:
        settings = transformers.AutoConfig.for_model(config.pop("model_type"), **config)
        settings._attn_implementation = "eager"
        model = getattr(transformers, kind)(settings)
    result = model.load_state_dict(load_file(folder / "weights.safetensors"), strict=False)
    missing = [key for key in result.missing_keys if key not in modules["tied_parameters"]]
    if missing or result.unexpected_keys:
        raise ValueError(f"{folder}: weights missing {missing}, unexpected {result.unexpected_keys}")
    return model.eval()
