"""The stages of an image classifier's build: read and check, split, fit a head, fine-tune, measure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engrain import registry
from engrain.comparison import Comparison, Line, Measured
from engrain.config import Settings
from engrain.errors import SettingError
from engrain.files import write_text
from engrain.imaging.backbones import Classifier, load_backbone, outline
from engrain.imaging.classifier import BATCH, LABELS, NOTICE, Labels, logits, set_head, vectors
from engrain.imaging.pictures import Finding, Picture, Reading, read_images, split_by_group
from engrain.imaging.scores import Scores, differences, fit_head, fit_temperature, scores, softmax, suspects, thresholds_at
from engrain.methods.base import WholeModel
from engrain.progress import Progress
from engrain.report.classification import save_pictures, write_classification_report
from engrain.report.task_card import task_card
from engrain.run import Run
from engrain.tasks.image_classification import ImageClassification, pixels
from engrain.train import SEEDS, TrainingSettings, train

PARTS = ("train", "validation", "test")
KINDS_TOLD = {
    "other": "files are no pictures and are passed over",
    "unreadable": "images cannot be read",
    "tiny": "images are tiny",
    "duplicate": "images are copies of others",
    "contradiction": "images are equal to images with another label",
    "suspect": "images have a label that looks wrong",
}


SCORES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auroc": "AUROC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "calibration_error": "expected calibration error",
}
NEW_HEAD, TUNED = "new head only", "fine-tuned"


def check(settings: Settings) -> None:
    """Raise SettingError for settings that say nothing about images."""
    if settings.training.max_length != TrainingSettings.max_length:
        raise SettingError(f"max_length={settings.training.max_length}: images have no tokens", "Choose --image-size instead.")


def outlined(settings: Settings) -> Classifier:
    """The model that a method is applied to, without its weights."""
    return outline(settings.images.backbone)


def build(run: Run, settings: Settings, paths: Sequence[Path], progress: Progress) -> Comparison:
    """Make an image classifier of labelled images; everything goes to the run folder."""
    reading = read_images(paths, settings.images, progress)
    parts = split_by_group(reading.pictures, settings.images.test_share, settings.training.seed)
    run.write_rows("images.jsonl", [_row(picture, part) for part, pictures in zip(PARTS, parts, strict=True) for picture in pictures])
    told(reading, parts, progress)
    model, method = started(run, settings, reading, parts[0], progress)
    before = [logits(model, [p.pixels for p in part], progress) for part in parts[1:]]
    method.apply(model)
    if isinstance(method, WholeModel):
        model.head.requires_grad_(True)  # it is new, whatever else trains
    chosen = settings.images
    augment = () if "none" in chosen.augment else chosen.augment
    task = ImageClassification(reading.classes, parts[0], parts[1], augment, chosen.class_weights, settings.training.label_smoothing)
    method.prepare(model, passes(model, task))
    trained = train(model, method, task, settings.training, run, torch.float32, progress)
    with run.stage(method.artifact) as folder:
        method.save(model, folder)
    run.update(trained=asdict(trained))
    return measured(run, settings, model, reading.classes, parts[1:], before, progress)


def passes(model: Classifier, task: ImageClassification) -> Iterator[Callable[[], object]]:
    """Each computes the model on some of the training images."""
    for start in range(0, len(task.train), BATCH):
        yield partial(model.forward, pixels(task.train[start : start + BATCH]))


def started(run: Run, settings: Settings, reading: Reading, train_part: Sequence[Picture], progress: Progress) -> tuple[Classifier, Any]:
    """The backbone with a head fitted to its untouched vectors, and the method; labels that look wrong are listed."""
    backbone, revision = load_backbone(settings.images.backbone, progress)
    device, _ = settings.model.resolve()
    torch.manual_seed(settings.training.seed % SEEDS)
    model = Classifier(backbone, len(reading.classes)).to(device)
    run.update(base={"name": settings.images.backbone, "revision": revision, "source": "backbone"})
    seen = vectors(model, [p.pixels for p in train_part], progress)
    labels = np.array([reading.classes.index(p.label) for p in train_part])
    counts = np.bincount(labels, minlength=len(reading.classes))
    weights = len(labels) / (len(counts) * counts) if settings.images.class_weights else None
    with progress.stage("Fitting a head on the untouched backbone"):
        weight, bias = fit_head(seen, labels, len(reading.classes), weights)
    set_head(model, weight, bias)
    run.write_json("head.json", {"weight": weight.tolist(), "bias": bias.tolist()})
    with progress.stage("Looking for wrong labels"):
        doubtful = suspects(seen, labels, [p.group for p in train_part], len(reading.classes), settings.training.seed)
    found = [
        Finding("suspect", train_part[i].file, f"labelled {train_part[i].label}, looks like {reading.classes[other]} ({share:.0%})")
        for i, other, share in doubtful
    ]
    run.write_rows("findings.jsonl", [*reading.findings, *found])
    for kind, count in Counter(f.kind for f in (*reading.findings, *found)).items():
        progress.note(f"{count} {KINDS_TOLD[kind]} (findings.jsonl lists them).")
    method = registry.find("methods", settings.method)(settings.method_settings)
    return model, method


def measured(
    run: Run,
    settings: Settings,
    model: Classifier,
    classes: Sequence[str],
    parts: Sequence[Sequence[Picture]],
    before: Sequence[np.ndarray],
    progress: Progress,
) -> Comparison:
    """Scores on the test images before and after; temperature and thresholds come from the validation images."""
    test = parts[1]
    after = [logits(model, [p.pixels for p in part], progress) for part in parts]
    y = [np.array([classes.index(p.label) for p in part]) for part in parts]
    groups, specificity = [p.group for p in test], settings.images.specificity
    with progress.stage("Scoring"):
        labels = [labels_from(found[0], y[0], classes, specificity) for found in (before, after)]
        chances = [softmax(found[1], own.temperature) for found, own in zip((before, after), labels, strict=True)]
        judged = [scores(p, y[1], groups, np.array(own.thresholds)) for p, own in zip(chances, labels, strict=True)]
        raw = scores(softmax(after[1]), y[1], groups, np.array(labels[1].thresholds))
        gained = differences(chances, y[1], groups, [np.array(own.thresholds) for own in labels])
    made = compared(judged[0], judged[1], raw, gained, labels[1], specificity)
    run.write_json(LABELS, labels[1])
    run.write_json("scores.json", {NEW_HEAD: judged[0], TUNED: judged[1], "comparison": made})
    run.write_rows("predictions.jsonl", [_prediction(p, chance, classes) for p, chance in zip(test, chances[1], strict=True)])
    save_pictures(run, model, test, chances[1], classes)
    return made


def labels_from(found: np.ndarray, y: np.ndarray, classes: Sequence[str], specificity: float) -> Labels:
    """What logits of the validation images say about reading the others: temperature and thresholds."""
    temperature = fit_temperature(found, y)
    thresholds = thresholds_at(softmax(found, temperature), y, specificity)
    return Labels(tuple(classes), temperature, tuple(map(float, thresholds)))


def compared(base: Scores, tuned: Scores, raw: Scores, gained: Mapping[str, Measured], labels: Labels, specificity: float) -> Comparison:
    """The scores side by side, and what to know beside them."""
    notes = (
        "Intervals are drawn over groups. The calibration error has none: drawing images repeatedly makes it larger.",
        f"AUROC, sensitivity and specificity are {judged_as(labels.classes)}.",
        f"Sensitivity and specificity are those at thresholds chosen on other images for a specificity of {specificity:.0%}.",
        f"Probabilities are scaled by the temperature {labels.temperature:.2f}; "
        f"without it the calibration error is {raw.calibration_error}.",
        NOTICE,
    )
    lines = tuple(Line(title, getattr(base, name), getattr(tuned, name), gained[name]) for name, title in SCORES.items())
    return Comparison(f"{tuned.count} test images", NEW_HEAD, TUNED, lines, notes)


def judged_as(classes: Sequence[str]) -> str:
    """Whose AUROC, sensitivity and specificity are reported: what is found of the second of two classes, else means."""
    return f"those of the class {classes[1]}" if len(classes) == 2 else "means over the classes"


def told(reading: Reading, parts: Sequence[Sequence[Picture]], progress: Progress) -> None:
    """Note how many images of each class there are, and in which part."""
    counts = Counter(p.label for p in reading.pictures)
    progress.note(f"{len(reading.pictures)} images: " + ", ".join(f"{label} {counts[label]}" for label in reading.classes) + ".")
    groups = len({p.group for p in reading.pictures})
    told_parts = ", ".join(f"{len(part)} {name}" for name, part in zip(PARTS, parts, strict=True))
    progress.note(f"{groups} groups, none in two parts: {told_parts}.")


def write_pages(run: Run) -> None:
    """The report of the run, one self-contained page, and its model card."""
    write_classification_report(run)
    write_text(run.path / "README.md", task_card(run, "image-classification"))


def _row(picture: Picture, part: str) -> dict[str, Any]:
    names = ("file", "label", "group", "sha256")
    return {"part": part, **{name: getattr(picture, name) for name in names}, "hash": f"{picture.hash:016x}"}


def _prediction(picture: Picture, chances: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "file": picture.file,
        "label": picture.label,
        "predicted": classes[int(chances.argmax())],
        "probabilities": {label: round(float(share), 4) for label, share in zip(classes, chances, strict=True)},
    }
