"""Labelled pictures: read from a folder for each class or from a table, checked, and split so that no group is in two parts."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engrain.errors import ExampleError, SettingError
from engrain.imaging.pixels import SUFFIXES, difference_hash, is_dicom, parse_window, read_picture, square
from engrain.progress import SILENT, Progress
from engrain.rows import Row, parse_rows
from engrain.settings import check, setting

IMAGE_COLUMNS = ("image", "file", "path", "filename", "file_name", "image_path")
LABEL_COLUMNS = ("label", "class", "diagnosis", "category", "target")
GROUP_COLUMNS = ("patient", "patient_id", "group", "subject", "case", "study")
TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
TINY = 16
"""A side shorter than this many pixels shows hardly anything; digits of 8 pixels are still classified, so it is only said."""
NEAR_BITS, NEAR_GREY = 8, 4.0
"""Bits of the perceptual hash, and grey levels of 255 on average over a coarse grid, in which copies of one picture may differ."""
AUGMENTATIONS = ("shift", "colour", "flip", "upside-down")


@dataclass(frozen=True)
class ImageSettings:
    """What image classification learns from, and how it is measured."""

    backbone: str = setting(
        "efficientnet-lite0", "The pre-trained image model: efficientnet-lite0, timm:NAME, or a Hub id or folder of a transformers model."
    )
    image_size: int = setting(224, "Side in pixels to which each image is scaled; smaller is faster.")
    window: str | None = setting(None, "CENTRE,WIDTH of the grey values to show of DICOM files, such as 40,400; default: the file's own.")
    group_column: str | None = setting(None, "Column of the table that says what belongs together (a patient); default: found by its name.")
    test_share: float = setting(0.15, "Share of the groups held out to choose the best step, and again as many for the test.")
    augment: tuple[str, ...] = setting(
        ("shift", "colour"), f"Random changes to images while training: {', '.join(AUGMENTATIONS)}, or none. Flips change left and right."
    )
    class_weights: bool = setting(True, "Let every image count the same, however rare its class.", flag="--no-class-weights")
    specificity: float = setting(0.9, "Specificity at which the sensitivity is reported.")

    def __post_init__(self) -> None:
        known = {*AUGMENTATIONS, "none"}
        check(
            self,
            image_size=(32 <= self.image_size <= 1024, "must be from 32 to 1024"),
            test_share=(0 < self.test_share < 0.5, "must be above 0 and below 0.5"),
            augment=(set(self.augment) <= known and ("none" not in self.augment or len(self.augment) == 1), f"choose of {sorted(known)}"),
            specificity=(0 < self.specificity < 1, "must be between 0 and 1"),
        )
        parse_window(self.window)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture with its label; `group` is what it must not be separated from (a patient), `pixels` (S, S, 3) uint8."""

    file: str
    label: str
    group: str
    sha256: str
    hash: int
    pixels: np.ndarray


@dataclass(frozen=True)
class Finding:
    """Something to look at: `kind` is other (no picture), unreadable, tiny, duplicate, contradiction or suspect."""

    kind: str
    file: str
    detail: str


@dataclass(frozen=True)
class Reading:
    """The pictures that can be used, and what was found on the way."""

    pictures: tuple[Picture, ...]
    findings: tuple[Finding, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in alphabetical order."""
        return tuple(sorted({picture.label for picture in self.pictures}))


@dataclass(frozen=True)
class Entry:
    """A file to be read: what it shows and what it belongs to."""

    path: Path
    file: str
    label: str
    group: str


def read_images(paths: Sequence[Path], settings: ImageSettings, progress: Progress = SILENT) -> Reading:
    """The labelled pictures of folders (one for each class) or tables (image, label and perhaps patient).

    Files that hold no picture, exact copies and equal pictures with different labels are left out and listed; pictures
    that look the same get one group. Raises ExampleError where there are fewer than two classes.
    """
    findings = list[Finding]()
    entries = [entry for path in paths for entry in _entries(path, settings, findings)]
    if not entries:
        raise ExampleError(f"There is no image in {', '.join(map(str, paths))}", "Put the images of each class in a folder of its own.")
    window, found = parse_window(settings.window), list[Picture]()
    with progress.stage("Reading images", len(entries), "images") as stage:
        for entry in entries:
            try:
                found.append(_read(entry, settings.image_size, window, findings))
            except ExampleError as error:
                findings.append(Finding("unreadable", entry.file, error.message))
            stage.advance()
    kept, shared = _without_copies(found, findings)
    pictures = grouped_copies(kept, shared, findings)
    if len({picture.label for picture in pictures}) < 2:
        there = ", ".join(sorted({picture.label for picture in pictures})) or "none"
        raise ExampleError(
            f"There must be images of two classes at least; found: {there}",
            "Put the images of each class in a folder of its own, or give a table with the columns image and label.",
            [f"{f.file}: {f.detail}" for f in findings if f.kind in ("unreadable", "contradiction")],
        )
    return Reading(tuple(pictures), tuple(findings))


def read_one(path: Path, size: int, window: str | None) -> np.ndarray:
    """A picture (S, S, 3) uint8 as `read_images` reads them. Raises ExampleError that names the file."""
    try:
        return square(read_picture(path, parse_window(window)), size)
    except ExampleError as error:
        raise ExampleError(f"{path}: {error.message}", "Give an image file (PNG, JPEG, TIFF, DICOM …).") from error


def split_by_group(pictures: Sequence[Picture], share: float, seed: int) -> tuple[list[Picture], list[Picture], list[Picture]]:
    """Pictures to train on, to choose the best step by, and to test with: no group in two parts, each class in the same shares.

    Raises ExampleError that lists the classes with fewer than three groups.
    """
    of_class: dict[str, list[str]] = defaultdict(list)
    for group, label in _main_labels(pictures).items():
        of_class[label].append(group)
    few = [f"{label}: {len(of_class[label])}" for label in sorted({p.label for p in pictures}) if len(of_class[label]) < 3]
    if few:
        raise ExampleError("Each class needs three groups (patients, or single images) at least:", "Add images of these classes.", few)
    part: dict[str, int] = {}
    for label, groups in sorted(of_class.items()):
        order = np.random.default_rng((seed, len(groups), *label.encode())).permutation(len(groups))
        held = max(1, min(round(share * len(groups)), (len(groups) - 1) // 2))  # one group at least is left to train on
        part |= {groups[i]: 2 if place < held else 1 if place < 2 * held else 0 for place, i in enumerate(order)}
    train, validation, test = ([p for p in pictures if part[p.group] == number] for number in range(3))
    return train, validation, test


def _main_labels(pictures: Iterable[Picture]) -> dict[str, str]:
    """Group → the label that most of its pictures have."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for picture in pictures:
        counts[picture.group][picture.label] += 1
    return {group: max(sorted(found), key=lambda label: found[label]) for group, found in sorted(counts.items())}


def _entries(path: Path, settings: ImageSettings, others: list[Finding]) -> Iterator[Entry]:
    """The files that a table or a folder names; a folder that holds a table and no class folders is read by its table.

    Files in folders that are no pictures are added to `others`.
    """
    if path.is_file():
        yield from _table(path, settings)
        return
    classes = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))
    tables = [p for p in sorted(path.iterdir()) if p.suffix.lower() in TABLES]
    if len(tables) == 1 and (settings.group_column or not any(map(_images, classes[:1])) or len(classes) < 2):
        yield from _table(tables[0], settings)
        return
    if settings.group_column:
        raise SettingError(f"group_column={settings.group_column!r}: {path} is read by its folders", "Give a table with that column.")
    for folder in classes:
        for image in _files(folder):
            file = image.relative_to(path).as_posix()
            if not _is_picture(image):
                others.append(Finding("other", file, "no picture, passed over"))
                continue
            group, *below = image.relative_to(folder).parts
            yield Entry(image, file, folder.name, group if below else file)


def _images(folder: Path) -> list[Path]:
    return [path for path in _files(folder) if _is_picture(path)]


def _files(folder: Path) -> list[Path]:
    """The files in a folder and below it; those whose name begins with a dot only where they are pictures."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and (p.suffix.lower() in SUFFIXES or not p.name.startswith(".")))


def _is_picture(path: Path) -> bool:
    """Whether a file is named as a picture, or is DICOM; the list of an export's files (DICOMDIR) begins alike and shows nothing."""
    return path.suffix.lower() in SUFFIXES or (path.name.upper() != "DICOMDIR" and is_dicom(path))


def _table(path: Path, settings: ImageSettings) -> list[Entry]:
    """The rows of a table. Raises ExampleError that lists every row that cannot be used."""

    def entry(row: Row) -> Entry:
        values = {str(name).strip().lower(): value for name, value in row.values.items()}
        file, label = (_cell(values, names) for names in (IMAGE_COLUMNS, LABEL_COLUMNS))
        group = _cell(values, [settings.group_column.lower()] if settings.group_column else GROUP_COLUMNS, bool(settings.group_column))
        return Entry(path.parent / file, file, label, group or file)

    return parse_rows(path, entry)


def _cell(values: dict[str, Any], names: Sequence[str], needed: bool = True) -> str:
    name = next((name for name in names if name in values), None)
    value = values.get(name or "")
    text = "" if value is None else str(value).strip()  # 0 and False are labels, and patients, too
    if needed and not text:
        raise ExampleError(f"{name} is empty" if name else f"there is no column {' or '.join(names[:3])} among {', '.join(values)}")
    return text


def _read(entry: Entry, size: int, window: tuple[float, float] | None, findings: list[Finding]) -> Picture:
    picture = read_picture(entry.path, window)
    if min(picture.size) < TINY:
        findings.append(Finding("tiny", entry.file, f"only {picture.width} × {picture.height} pixels"))
    pixels = square(picture, size)
    digest = hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest()
    return Picture(entry.file, entry.label, entry.group, digest, difference_hash(picture), pixels)


def _without_copies(pictures: Sequence[Picture], findings: list[Finding]) -> tuple[list[Picture], list[tuple[str, str]]]:
    """One of each set of pictures with equal pixels, none where their labels differ; and the pairs of groups that share a picture."""
    equal: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        equal[picture.sha256].append(picture)
    kept, shared = list[Picture](), list[tuple[str, str]]()
    for first, *others in equal.values():
        if any(other.label != first.label for other in others):
            labels = ", ".join(f"{p.file}: {p.label}" for p in (first, *others))
            findings.append(Finding("contradiction", first.file, f"equal images with different labels, left out ({labels})"))
            continue
        kept.append(first)
        shared += [(first.group, other.group) for other in others]
        findings += [Finding("duplicate", other.file, f"equal to {first.file}, left out") for other in others]
    return kept, shared


def grouped_copies(pictures: Sequence[Picture], shared: Iterable[tuple[str, str]], findings: list[Finding]) -> list[Picture]:
    """The pictures, those that look the same (and all that belong to either) in one group, so that no copy is tested on.

    `shared` are pairs of groups that belong together already. A plain picture has hardly any differences to hash, so a hash with
    few bits set says nothing and is passed over.
    """
    above: dict[str, str] = {}

    def root(group: str) -> str:
        while group in above:
            group = above[group]
        return group

    def join(one: str, other: str) -> None:
        first, last = sorted((root(one), root(other)))
        if first != last:
            above[last] = first

    for pair in shared:
        join(*pair)
    for picture, others in _lookalikes(pictures):
        findings.append(Finding("duplicate", picture.file, f"looks like {others[0].file}; they are kept in one part"))
        for other in others:
            join(picture.group, other.group)
    return [replace(picture, group=root(picture.group)) for picture in pictures]


def _lookalikes(pictures: Sequence[Picture]) -> Iterator[tuple[Picture, list[Picture]]]:
    """Each picture that earlier ones have nearly the hash and the pixels of, with these."""
    hashes = np.array([p.hash for p in pictures], np.uint64)
    coarse = [_coarse(p.pixels) for p in pictures]
    telling = [i for i, p in enumerate(pictures) if 8 <= p.hash.bit_count() <= 56]
    for place, i in enumerate(telling):
        rest = np.array(telling[:place], int)
        near = rest[np.bitwise_count(hashes[rest] ^ hashes[i]) <= NEAR_BITS] if len(rest) else rest
        if same := [pictures[j] for j in near if np.abs(coarse[j] - coarse[i]).mean() < NEAR_GREY]:
            yield pictures[i], same


def _coarse(pixels: np.ndarray) -> np.ndarray:
    """The mean colours of a grid of 8 by 8 fields."""
    cell = len(pixels) // 8
    return np.asarray(pixels[: 8 * cell, : 8 * cell].reshape(8, cell, 8, cell, 3).mean((1, 3)))
