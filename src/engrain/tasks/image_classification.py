"""Image classification: learn which of some classes an image shows.

Shapes: B images, S side in pixels, C classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from engrain.imaging.pictures import Picture
from engrain.tasks._augment import augmented
from engrain.tasks.base import Loss, Task

if TYPE_CHECKING:
    from torch import Tensor, nn

CELL = 32
"""Side in pixels of what counts as one token: a place of the feature map of most image models."""


class ImageClassification(Task):
    """Pictures and the number of their class; rare classes count more with `class_weights`, so that all count the same together."""

    train: Sequence[Picture]
    heldout: Sequence[Picture]

    def __init__(
        self,
        classes: Sequence[str],
        train: Sequence[Picture],
        heldout: Sequence[Picture] = (),
        augment: Sequence[str] = (),
        class_weights: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        self.label_smoothing = label_smoothing
        self.classes, self.train, self.heldout, self.augment = tuple(classes), train, heldout, tuple(augment)
        self.number = {label: i for i, label in enumerate(self.classes)}
        counts = Counter(p.label for p in train)
        self.weights = torch.tensor([len(train) / (len(counts) * counts[c]) if class_weights and counts[c] else 1.0 for c in self.classes])

    def length(self, encoded: Picture) -> int:
        """Places of the feature map; as a share of the work, these are an image's tokens."""
        return int(-(-encoded.pixels.shape[0] // CELL)) ** 2

    def targets(self, encoded: Picture) -> int:
        """One: its class."""
        return 1

    def content(self, encoded: Picture) -> bytes:
        """Pixels and label."""
        return encoded.pixels.tobytes() + encoded.label.encode()

    def loss(self, model: nn.Module, batch: Sequence[Picture]) -> Loss:
        """The summed cross-entropy, each image weighed by its class; images are changed at random while the model trains."""
        device = next(model.parameters()).device
        pixels_BSSC = pixels(batch)
        if model.training and self.augment:
            pixels_BSSC = augmented(pixels_BSSC, self.augment)
        targets_B = torch.tensor([self.number[p.label] for p in batch], device=device)
        logits_BC = model(pixels_BSSC.to(device)).float()
        weights, smoothing = self.weights.to(device), self.smoothing(model)
        total = F.cross_entropy(logits_BC, targets_B, weights, reduction="sum", label_smoothing=smoothing)
        return Loss(total, len(batch), int((logits_BC.argmax(1) == targets_B).sum()))


def pixels(batch: Sequence[Picture]) -> Tensor:
    """The pictures' pixels (B, S, S, 3) uint8."""
    return torch.from_numpy(np.stack([picture.pixels for picture in batch]))
