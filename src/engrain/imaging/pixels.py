"""A picture file as pixels: PNG, JPEG and other formats through Pillow, DICOM with its window through pydicom.

Shapes: S side of the square picture in pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engrain.errors import ExampleError, SettingError

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
DICOM = (".dcm", ".dicom")
MOST_PIXELS = 100_000_000
"""A file that claims more is refused: a few kilobytes can unfold to more than the memory holds."""
OUTER_PERCENTILES = (0.5, 99.5)
"""What becomes black and white in pictures of 16 bits and more, and in a DICOM file that brings no window of its own."""
Window = tuple[float, float]


def read_picture(path: Path, window: Window | None = None) -> Image.Image:
    """The picture of a file in RGB, turned as its camera noted; `window` (centre, width) applies to DICOM files.

    Raises ExampleError with the reason where the file holds no picture that can be read.
    """
    try:
        return _dicom(path, window) if is_dicom(path) else _plain(path)
    except ExampleError:
        raise
    except Exception as error:  # Pillow and pydicom raise what their many decoders raise
        raise ExampleError(f"it cannot be read: {str(error).partition(chr(10))[0] or type(error).__name__}") from error


def is_dicom(path: Path) -> bool:
    """Whether a file is named as DICOM, or begins as DICOM does: exports often have no suffix, or numbers after dots."""
    if path.suffix.lower() in (*SUFFIXES, *DICOM):
        return path.suffix.lower() in DICOM
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def in_rgb(picture: Image.Image) -> Image.Image:
    """An opened picture in RGB, turned as its camera noted; of 16 bits and more the outermost values are black and white."""
    from PIL import ImageOps

    if picture.mode.startswith("I") or picture.mode == "F":  # Pillow would cut off what is above 255
        return _from_values(np.asarray(picture, np.float64))
    return ImageOps.exif_transpose(picture).convert("RGB")


def square(picture: Image.Image, size: int) -> np.ndarray:
    """The picture (S, S, 3) uint8, made smaller or larger as a whole; what is not square gets black edges, nothing is cut off."""
    from PIL import Image

    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    whole = np.zeros((size, size, 3), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    whole[top : top + height, left : left + width] = picture.resize((width, height), Image.Resampling.BILINEAR)
    return whole


def difference_hash(picture: Image.Image) -> int:
    """64 bits, each saying whether a spot is brighter than its right neighbour: copies of a picture differ in a few at most."""
    from PIL import Image

    grey = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    return int.from_bytes(np.packbits(grey[:, :-1] > grey[:, 1:]).tobytes(), "big")


def parse_window(text: str | None) -> Window | None:
    """Centre and width from "40,400". Raises SettingError for anything else."""
    if text is None:
        return None
    try:
        centre, width = (float(part) for part in text.split(","))
    except ValueError:
        centre, width = 0.0, 0.0
    if width <= 0:
        raise SettingError(f"window={text!r}: it must be a centre and a width above 0", "Write it as in --window 40,400.")
    return centre, width


def _plain(path: Path) -> Image.Image:
    from PIL import Image

    with Image.open(path) as opened:
        _check_size(*opened.size)
        return in_rgb(opened)


def _dicom(path: Path, window: Window | None) -> Image.Image:
    """The first frame, through the modality's table (Hounsfield units in CT) and the window."""
    try:
        import pydicom
        from pydicom.pixels import apply_modality_lut, pixel_array
    except ImportError as error:
        raise ExampleError("reading DICOM needs pydicom (pip install pydicom)") from error
    header: Any = pydicom.dcmread(path, stop_before_pixels=True)
    _check_size(int(header.get("Columns", 0)), int(header.get("Rows", 0)))
    data: Any = pydicom.dcmread(path)
    values = pixel_array(data, index=0)
    if values.ndim == 3:
        most = 2 ** int(data.BitsStored) - 1
        return _from_values(values.astype(np.float64), (most / 2, most))
    values = apply_modality_lut(values, data).astype(np.float64)
    shown = _from_values(values, window or _own_window(data))
    if data.get("PhotometricInterpretation") == "MONOCHROME1":  # low values are bright
        from PIL import ImageOps

        shown = ImageOps.invert(shown)
    return shown


def _own_window(data: Any) -> Window | None:
    """The first window that the file brings."""
    found = [data.get(name) for name in ("WindowCenter", "WindowWidth")]
    if any(value in (None, "") for value in found):
        return None
    centre, width = (float(value[0]) if isinstance(value, list | tuple) or hasattr(value, "append") else float(value) for value in found)
    return (centre, width) if width > 0 else None


def _from_values(values: np.ndarray, window: Window | None = None) -> Image.Image:
    """Values in black to white over the window, or over all but the outermost; a third axis holds the colours."""
    from PIL import Image

    low, high = (window[0] - window[1] / 2, window[0] + window[1] / 2) if window else np.percentile(values, OUTER_PERCENTILES)
    shares = np.clip((values - low) / max(float(high - low), 1e-9), 0, 1)
    return Image.fromarray(np.round(255 * shares).astype(np.uint8)).convert("RGB")


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise ExampleError(f"it has {width:,} × {height:,} pixels, more than {MOST_PIXELS:,}")
