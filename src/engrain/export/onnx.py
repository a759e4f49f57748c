"""An image classifier as one ONNX file, from pixels to calibrated probabilities, with a small program that uses it."""

from __future__ import annotations

import inspect
import json
import re
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from engrain.errors import ModelError
from engrain.export.base import IMAGES, Check, Made, Source, Target
from engrain.fetch import model_errors, quiet
from engrain.files import write_text
from engrain.imaging import pixels
from engrain.imaging.classifier import NOTICE, ImageClassifier, load_classifier, logits
from engrain.imaging.scores import softmax
from engrain.progress import Progress

if TYPE_CHECKING:
    from engrain.imaging.backbones import Classifier

USED = (
    pixels.is_dicom, pixels.in_rgb, pixels.square, pixels._plain, pixels._dicom, pixels._own_window, pixels._from_values,
    pixels._check_size,
)  # fmt: skip
"""What the program reads pictures with."""
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
FILE, LABELS, PROGRAM = "model.onnx", "labels.json", "classify.py"
TOLERANCE = 1e-4
"""By how much a probability may differ: fp32 in another order of sums explains no more."""
PROBES = 16
"""Random images that are compared."""
READS_DICOM = "classify.py reads DICOM files too where pydicom is installed, through the same window as the run."
USE = '''"""What images show, by {name}: python classify.py IMAGE...

DICOM files need pydicom. {notice}
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

HERE = Path(__file__).parent
OUTER_PERCENTILES, MOST_PIXELS = {percentiles}, {most_pixels}
SUFFIXES, DICOM = {suffixes}, {dicom}
Window = tuple[float, float]


class ExampleError(ValueError):
    """A file that cannot be read."""


{functions}

def main():
    labels = json.loads((HERE / "{labels}").read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(HERE / "{file}", providers=["CPUExecutionProvider"])
    for path in map(Path, sys.argv[1:]):
        picture = _dicom(path, labels["window"]) if is_dicom(path) else _plain(path)
        (found,) = session.run(None, {{"pixels": square(picture, labels["image_size"])[None]}})
        shares = sorted(zip(found[0].tolist(), labels["classes"]), reverse=True)
        print(path, ", ".join(f"{{label}} {{share:.1%}}" for share, label in shares))


if __name__ == "__main__":
    main()
'''


class Calibrated(nn.Module):  # type: ignore[misc]
    """Pixels (B, S, S, 3) of 0 to 255 → the calibrated probability of every class (B, C)."""

    def __init__(self, model: Classifier, temperature: float) -> None:
        super().__init__()
        self.model, self.temperature = model, temperature

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits over the temperature, as shares."""
        return torch.softmax(self.model(pixels) / self.temperature, -1)


class Onnx(Target):
    """The whole way from pixels to probabilities, scaling of colours and temperature included."""

    title: ClassVar[str] = "ONNX"
    text: ClassVar[str] = "One file for onnxruntime, which runs on servers, phones and in browsers, with a small program that uses it."
    tasks: ClassVar[tuple[str, ...]] = (IMAGES,)

    def obstacle(self, source: Source) -> str:
        """Packages that are missing, and a method whose result is no plain model."""
        missing = [name for name in PACKAGES if find_spec(name) is None]
        if missing:
            return f"{', '.join(missing)} is not installed; pip install 'engrain[onnx]'"
        return "" if source.method.merges else f"the result of the method {source.settings['method']} cannot be merged into the weights"

    def size(self, source: Source) -> int:
        """Not known before."""
        return 0

    def write(self, source: Source, folder: Path, checked: bool, progress: Progress) -> Made:
        """Trace the model with random images, write it, and let onnxruntime read it."""
        classifier = load_classifier(source.run, progress)
        classifier.model.to("cpu")
        labels = {
            "classes": classifier.labels.classes,
            "image_size": classifier.size,
            "temperature": classifier.labels.temperature,
            "window": pixels.parse_window(classifier.window),
        }
        with progress.stage("Writing the ONNX file"), model_errors("the classifier cannot be written as ONNX"), quiet():
            _write(classifier, folder / FILE, {**labels, "notice": NOTICE})
        write_text(folder / LABELS, json.dumps(labels | {"notice": NOTICE}, indent=2, ensure_ascii=False) + "\n")
        write_text(folder / PROGRAM, program(source.name))
        return Made(_check(classifier, folder / FILE, progress) if checked else None, (READS_DICOM,))

    def command(self, source: Source, folder: str) -> str:
        """The small program."""
        return f"pip install onnxruntime pillow && python {quote(f'{folder}/{PROGRAM}')} IMAGE.png"


def program(name: str) -> str:
    """The program's text; it reads and scales pictures with the very functions that did so in training."""
    sources = "\n\n".join(inspect.getsource(used) for used in USED)
    functions = re.sub(r"^ +from PIL import .*\n\n", "", sources, flags=re.MULTILINE)
    values = {
        "percentiles": pixels.OUTER_PERCENTILES,
        "most_pixels": pixels.MOST_PIXELS,
        "suffixes": pixels.SUFFIXES,
        "dicom": pixels.DICOM,
    }
    return USE.format(name=name, notice=NOTICE, functions=functions.rstrip() + "\n", labels=LABELS, file=FILE, **values)


def _write(classifier: ImageClassifier, file: Path, properties: dict[str, object]) -> None:
    """Any number of images at once; classes and temperature stand in the file too."""
    model = Calibrated(classifier.model, classifier.labels.temperature).eval()
    batch = torch.export.Dim("batch", min=1)
    made = torch.onnx.export(
        model,
        (_images(classifier.size, 2),),
        dynamo=True,
        input_names=["pixels"],
        output_names=["probabilities"],
        dynamic_shapes=({0: batch},),
        verbose=False,
    )
    assert made is not None
    made.model.metadata_props.update({name: json.dumps(value, ensure_ascii=False) for name, value in properties.items()})
    made.save(file, external_data=False)


def _images(size: int, count: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8))


def _check(classifier: ImageClassifier, file: Path, progress: Progress) -> Check:
    """How the file's probabilities compare. Raises ModelError where they differ by more than rounding explains."""
    import onnxruntime

    images = _images(classifier.size, PROBES).numpy()
    ours = softmax(logits(classifier.model, list(images), progress), classifier.labels.temperature)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"pixels": images})
    same = int((ours.argmax(1) == theirs.argmax(1)).sum())
    largest = float(np.abs(ours - theirs).max())
    check = Check("onnxruntime", PROBES, same, "images", "largest difference of a probability", largest, TOLERANCE)
    if not largest <= TOLERANCE:
        raise ModelError(
            f"What was written does not compute what the classifier computes: {check}", "This is a fault of engrain's own: report it."
        )
    return check
