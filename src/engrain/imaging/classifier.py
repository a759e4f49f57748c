"""A run's image classifier: what an image shows, how sure that is, and where in the image the answer comes from.

Shapes: B images, S side in pixels, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from engrain.assistant import check_trained
from engrain.errors import ModelError, RunError
from engrain.imaging.backbones import Classifier, load_backbone
from engrain.imaging.pictures import read_one
from engrain.imaging.scores import softmax
from engrain.methods.base import method_of
from engrain.models import BaseSettings
from engrain.progress import SILENT, Progress

if TYPE_CHECKING:
    from engrain.run import Run

BATCH = 32
"""Images computed at once where nothing is trained."""
LABELS = "labels.json"
NOTICE = (
    "This is no medical device: it is not approved for diagnosis or treatment. "
    "Whatever it says about an image, a qualified person must judge it."
)


@dataclass(frozen=True)
class Prediction:
    """What an image shows: the likeliest class, the calibrated probability of every class, and the file."""

    file: str
    label: str
    probabilities: dict[str, float]

    @property
    def probability(self) -> float:
        """That of the likeliest class."""
        return self.probabilities[self.label]


@dataclass(frozen=True)
class Labels:
    """What a run's numbers mean: its classes, the temperature of its logits, and the threshold for each class."""

    classes: tuple[str, ...]
    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()


class ImageClassifier:
    """Classifies image files with a run's model."""

    def __init__(self, model: Classifier, labels: Labels, size: int, window: str | None = None) -> None:
        self.model, self.labels, self.size, self.window = model.eval(), labels, size, window

    def classify(self, paths: Sequence[Path], progress: Progress = SILENT) -> list[Prediction]:
        """What each image file shows. Raises ExampleError naming the first file that holds no picture."""
        pixels = [read_one(path, self.size, self.window) for path in paths]
        p = softmax(logits(self.model, pixels, progress), self.labels.temperature) if pixels else np.zeros((0, len(self.labels.classes)))
        return [self._prediction(str(path), row) for path, row in zip(paths, p, strict=True)]

    def _prediction(self, file: str, p: np.ndarray) -> Prediction:
        shares = dict(zip(self.labels.classes, map(float, p), strict=True))
        return Prediction(file, max(shares, key=lambda label: shares[label]), dict(sorted(shares.items(), key=lambda each: -each[1])))

    def where(self, path: Path, label: str | None = None) -> np.ndarray:
        """How much each place of an image speaks for a class (default: the likeliest): (S, S) from 0 to 1."""
        pixels = read_one(path, self.size, self.window)
        number = None if label is None else self.labels.classes.index(label)
        return heat_map(self.model, pixels, number)


def load_classifier(run: Run, progress: Progress = SILENT) -> ImageClassifier:
    """The classifier of a run. Raises RunError when the run is not complete or was made for another task."""
    info = run.info
    settings = info.get("settings", {})
    if settings.get("task") != "image-classification":
        raise RunError(f"{run.path} was not made for image classification", "Name a run of `engrain build --task image-classification`.")
    check_trained(run.path, info)
    saved = run.read_json(LABELS)
    labels = Labels(tuple(saved["classes"]), saved["temperature"], tuple(saved["thresholds"]))
    backbone, revision = load_backbone(settings["backbone"], progress)
    if info["base"]["revision"] not in (revision, settings["backbone"], "timm"):  # the last two name no version: runs before had no sum
        raise ModelError(
            f"backbone={settings['backbone']!r} is {revision}, but the run was made with {info['base']['revision']}", "Fetch that version."
        )
    model = Classifier(backbone, len(labels.classes))
    start = run.read_json("head.json")
    set_head(model, np.array(start["weight"]), np.array(start["bias"]))
    method = method_of(settings)
    method.apply(model)
    method.load(model, run.path / method.artifact)
    if method.merges:
        method.merge(model)
    device, _ = BaseSettings(precision="float32", device=settings["device"]).resolve()
    return ImageClassifier(model.to(device).requires_grad_(False), labels, settings["image_size"], settings["window"])


def set_head(model: Classifier, weight: np.ndarray, bias: np.ndarray) -> None:
    """Put a head's weight (C, D) and bias (C) into the model."""
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(weight))
        model.head.bias.copy_(torch.from_numpy(bias))


def logits(model: Classifier, pixels: Sequence[np.ndarray], progress: Progress = SILENT) -> np.ndarray:
    """The logits (B, C) of pictures (S, S, 3)."""
    return _computed(model.eval(), pixels, progress, "Classifying")


def vectors(model: Classifier, pixels: Sequence[np.ndarray], progress: Progress = SILENT) -> np.ndarray:
    """What the head sees (B, D) of pictures (S, S, 3)."""
    return _computed(model.eval().vectors, pixels, progress, "Looking at the images")


def _computed(compute: torch.nn.Module, pixels: Sequence[np.ndarray], progress: Progress, title: str) -> np.ndarray:
    found = []
    with torch.no_grad(), progress.stage(title, len(pixels), "images") as stage:
        for start in range(0, len(pixels), BATCH):
            batch = torch.from_numpy(np.stack(pixels[start : start + BATCH]))
            found.append(compute(batch).float().cpu().numpy())
            stage.advance(len(batch))
    return np.concatenate(found)


def heat_map(model: Classifier, pixels: np.ndarray, number: int | None = None) -> np.ndarray:
    """Where in a picture (S, S, 3) a class is seen, (S, S) from 0 to 1: Grad-CAM (arXiv 1610.02391), the features' gradients' means.

    The class is the likeliest where no `number` is given.
    """
    model.eval()
    with torch.enable_grad():
        features = model.backbone.features(model.normalized(torch.from_numpy(pixels)[None])).detach().requires_grad_(True)
        scores_C = model.head(model.backbone.pool(features))[0]
        (slope,) = torch.autograd.grad(scores_C[int(scores_C.argmax()) if number is None else number], features)
    places = (2, 3) if features.ndim == 4 and features.shape[1] == model.backbone.width else tuple(range(1, features.ndim - 1))
    heat = model.backbone.heat(features.detach() * slope.mean(places, keepdim=True)).clamp(min=0)[None]
    heat = torch.nn.functional.interpolate(heat.float(), size=pixels.shape[:2], mode="bilinear", align_corners=False)[0, 0]
    return np.asarray((heat / heat.max().clamp(min=1e-9)).cpu().numpy())
