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
