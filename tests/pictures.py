"""Small labelled pictures for tests: bright discs and squares on noise, written as PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 40


def shape(kind: str, seed: int, side: int = SIDE) -> Image.Image:
    """A disc or a square at a place that the seed chooses, on noise of its own."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 70, (side, side, 3))
    x, y, r = random.integers(12, side - 12), random.integers(12, side - 12), random.integers(6, 11)
    down, across = np.mgrid[:side, :side]
    inside = (across - x) ** 2 + (down - y) ** 2 < r * r if kind == "disc" else (abs(across - x) < r) & (abs(down - y) < r)
    pixels[inside] = (random.integers(170, 255), 200, 90) if kind == "disc" else (80, random.integers(120, 200), 255)
    return Image.fromarray(pixels.astype(np.uint8))


def write_folder(folder: Path, each: int = 12) -> Path:
    """A folder for each of two classes, `each` pictures in it."""
    for number, kind in enumerate(("disc", "square")):
        (folder / kind).mkdir(parents=True)
        for i in range(each):
            shape(kind, 1000 * number + i).save(folder / kind / f"{i:02}.png")
    return folder


def build_backbone(folder: Path) -> Path:
    """A small ConvNeXt with random weights, in Hugging Face layout."""
    import torch
    from transformers import ConvNextConfig, ConvNextModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = ConvNextConfig(num_stages=2, hidden_sizes=[8, 16], depths=[1, 1], initializer_range=0.2, layer_scale_init_value=1.0)
        ConvNextModel(config).save_pretrained(folder)
    return folder


def make_image_run(folder: Path, backbone: Path, seed: int = 0) -> Path:
    """A complete run that tells discs from squares by chance: its head is random."""
    import torch

    from engrain.imaging.backbones import Classifier, load_backbone
    from engrain.imaging.classifier import Labels
    from engrain.run import Run

    found, revision = load_backbone(str(backbone))
    model = Classifier(found, 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.nn.init.normal_(model.head.weight)
    run = Run.create(folder, folder.name)
    model.save_pretrained(run.path / "model")
    run.write_json("labels.json", Labels(("disc", "square"), 1.5, (0.5, 0.5)))
    run.write_json("head.json", {"weight": model.head.weight.tolist(), "bias": model.head.bias.tolist()})
    settings = {"task": "image-classification", "backbone": str(backbone), "image_size": 40, "window": None}
    base = {"name": str(backbone), "revision": revision, "source": "backbone"}
    run.update(status="complete", settings={**settings, "method": "full", "device": "cpu"}, base=base)
    return run.path
