"""What an image shows, over HTTP: one image file in, the calibrated probability of every class out."""

from __future__ import annotations

import base64
import io
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import BaseModel

from engrain.errors import ExampleError
from engrain.imaging.classifier import NOTICE, ImageClassifier, Prediction, load_classifier
from engrain.imaging.pixels import DICOM, SUFFIXES, parse_window, read_picture
from engrain.run import Run
from engrain.serve.failures import ApiError
from engrain.serve.studio_workspace import Working, is_plain

router = APIRouter(prefix="/engrain", tags=["asking"])
KINDS = (*SUFFIXES, *DICOM)
SHOWN = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
"""What browsers can show."""
PREVIEW_SIDE = 640
MOST_BYTES = 32 << 20
"""A photograph has a tenth of that; what is larger is no picture to look at."""
HELD = 2
"""Classifiers kept in memory; the least recently used gives way."""


class ClassShare(BaseModel):
    """A class and its calibrated probability."""

    label: str
    probability: float


class Classified(BaseModel):
    """What an image shows: the likeliest class, and every class with its probability, the likeliest first.

    `model` is the run, `base` what it was trained from. Logits were divided by `temperature`, which was fitted on images that
    were not trained on. `notice` is to be shown to whoever reads the answer.
    """

    model: str
    base: str
    file: str
    label: str
    probability: float
    classes: list[ClassShare]
    temperature: float
    notice: str
    picture: str


@router.post("/classify")
def classify(
    space: Working,
    run: Annotated[str, Form(description="The run that looks at it, one of the task image-classification.")],
    image: Annotated[UploadFile, File(description=f"One image: {', '.join(KINDS)}; 32 MiB at most.")],
) -> Classified:
    """What one image shows. This is no medical device."""
    found, name = space.run(run), checked_name(image)
    classifier = classifier_of(found)
    with tempfile.TemporaryDirectory(prefix="engrain-") as folder:
        file = Path(folder) / f"image{Path(name).suffix.lower()}"
        with file.open("wb") as target:
            shutil.copyfileobj(image.file, target, 1 << 20)
        (seen,) = looked_at(classifier, file, name)
        picture = "" if file.suffix in SHOWN else preview(file, classifier.window)
    return Classified(
        model=found.path.name,
        base=str(found.info["settings"]["backbone"]),
        file=name,
        label=seen.label,
        probability=seen.probability,
        classes=[ClassShare(label=label, probability=share) for label, share in seen.probabilities.items()],
        temperature=classifier.labels.temperature,
        notice=NOTICE,
        picture=picture,
    )


def preview(file: Path, window: str | None) -> str:
    """A picture file as a small PNG in base64; `window` as in the settings."""
    picture, held = read_picture(file, parse_window(window)), io.BytesIO()
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    picture.save(held, "PNG")
    return base64.b64encode(held.getvalue()).decode()


def checked_name(image: UploadFile) -> str:
    """The file's name. Raises ApiError 400 for one that is none, 413 for a file that is too large, 415 for another kind of file."""
    name = image.filename or ""
    if not is_plain(name):
        raise ApiError(400, f"{name[:80]!r} cannot be used as the name of a file. Rename it.", "invalid_name", "image")
    if Path(name).suffix.lower() not in KINDS:
        raise ApiError(415, f"{name}: this kind of file is not read. Send one of these: {', '.join(KINDS)}.", "unsupported_file", "image")
    if (image.size or 0) > MOST_BYTES:
        raise ApiError(413, f"{name} is larger than {MOST_BYTES:,} bytes. Send a smaller picture.", "file_too_large", "image")
    return name


def looked_at(classifier: ImageClassifier, file: Path, name: str) -> list[Prediction]:
    """What the classifier sees. Raises ApiError 400 with the reason where the file holds no picture."""
    try:
        return classifier.classify([file])
    except ExampleError as error:
        raise ApiError(400, f"{error.message.replace(str(file), name).rstrip('.')}.", "bad_image", "image") from error


def classifier_of(run: Run) -> ImageClassifier:
    """The classifier of a run, loaded once for each time that the run was finished. Raises RunError for a run of another task."""
    return _classifier(run.path, str(run.info.get("finished")))


@lru_cache(maxsize=HELD)
def _classifier(path: Path, finished: str) -> ImageClassifier:
    return load_classifier(Run(path))
