"""Random changes to images while training, computed for a whole batch at once.

Everything random comes from torch's own generator, which `train` seeds before each step, so a resumed run repeats it.

Shapes: B images, S side in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional as F

TURN, MOVE, ZOOM = math.radians(10), 0.06, 0.12
"""Farthest turn, shift (share of the side) and change of size."""
BRIGHTNESS, CONTRAST = 0.15, 0.2
"""Farthest change of the mean (share of the range) and of the differences from it."""


def augmented(pixels_BSSC: Tensor, kinds: Collection[str]) -> Tensor:
    """The images (B, S, S, 3), each changed at random in the ways that `kinds` names; values stay from 0 to 255."""
    images = pixels_BSSC.float()
    if "flip" in kinds:
        images = torch.where(_coin(images), images.flip(2), images)
    if "upside-down" in kinds:
        images = torch.where(_coin(images), images.flip(1), images)
    if "colour" in kinds:
        mean = images.mean((1, 2, 3), keepdim=True)
        images = (images - mean) * (1 + CONTRAST * _random(images)) + mean + 255 * BRIGHTNESS * _random(images)
    if "shift" in kinds:
        images = _moved(images)
    return images.clamp(0, 255)


def _moved(images_BSSC: Tensor) -> Tensor:
    """Turned, moved and zoomed a little; what comes in from outside repeats the edge."""
    count = len(images_BSSC)
    angle, zoom, across, down = torch.rand(4, count, device=images_BSSC.device) * 2 - 1
    angle, zoom = angle * TURN, 1 + zoom * ZOOM
    turns = torch.stack([torch.cos(angle) * zoom, -torch.sin(angle) * zoom, 2 * MOVE * across], 1)
    tilts = torch.stack([torch.sin(angle) * zoom, torch.cos(angle) * zoom, 2 * MOVE * down], 1)
    images = images_BSSC.permute(0, 3, 1, 2)
    grid = F.affine_grid(torch.stack([turns, tilts], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False).permute(0, 2, 3, 1)


def _random(images: Tensor) -> Tensor:
    """A number from -1 to 1 for each image."""
    return torch.rand(len(images), 1, 1, 1, device=images.device) * 2 - 1


def _coin(images: Tensor) -> Tensor:
    return torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
