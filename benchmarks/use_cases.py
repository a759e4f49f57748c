"""The tables of docs/use-cases.md, each from data that packages bring: `python -m benchmarks.use_cases tables tcl --out FOLDER`.

A use is built once for each method, into FOLDER/USE-METHOD; a run that is there is read, and one that was stopped goes on.
The digits need scikit-learn, the tissue scikit-image, the solar cells elpv-dataset, Tcl the library that Debian installs with
`tcl` and `tk`; Python's own library is that of the interpreter.
"""

from __future__ import annotations

import csv
import json
import statistics
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from engrain import api
from engrain.cli._progress import listener
from engrain.comparison import Comparison, Measured
from engrain.config import settings_from
from engrain.report.task_card import comparison_from
from engrain.run import Run

TILE, BLOCK = 16, 4
"""Pixels of a tile's side, and tiles of the side of a block, which is never parted."""
TCL = [Path("/usr/share/tcltk/tcl8.6"), Path("/usr/share/tcltk/tk8.6")]
PYTHON = [Path(sysconfig.get_path("stdlib")) / name for name in ("asyncio", "multiprocessing", "unittest")]


def digits(folder: Path) -> list[Path]:
    """1,797 handwritten digits, a folder for each class."""
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    for number, (pixels, label) in enumerate(zip(found.images, found.target, strict=True)):
        _saved(Image.fromarray((pixels * 255 / 16).astype("uint8")), folder / str(label) / f"{number:04}.png")
    return [folder]


def tissue(folder: Path) -> list[Path]:
    """Grey tiles of a slide of colon tissue, the half with more brown stain and that with less; a block of neighbours is a group."""
    from PIL import Image
    from skimage import color, data

    slide = data.immunohistochemistry()
    stain, grey = color.rgb2hed(slide)[..., 2], (color.rgb2gray(slide) * 255).astype("uint8")
    places = [(y, x) for y in range(0, slide.shape[0], TILE) for x in range(0, slide.shape[1], TILE)]
    ordered = sorted(places, key=lambda place: stain[place[0] : place[0] + TILE, place[1] : place[1] + TILE].mean())
    half = len(ordered) // 2
    rows = []
    for label, chosen in (("less", ordered[:half]), ("more", ordered[half:])):
        for y, x in chosen:
            file = folder / f"{y}-{x}.png"
            _saved(Image.fromarray(grey[y : y + TILE, x : x + TILE]), file)
            rows.append((file.name, label, f"{y // TILE // BLOCK}-{x // TILE // BLOCK}"))
    return [_table(folder / "labels.csv", rows)]


def solar(folder: Path) -> list[Path]:
    """2,223 photographs of solar cells under current, those that experts were sure of: functional or defective."""
    import elpv_dataset

    source = Path(elpv_dataset.__file__).parent / "data"
    lines = [line.split() for line in (source / "labels.csv").read_text(encoding="utf-8").splitlines()]
    names = {0.0: "functional", 1.0: "defective"}
    rows = [(str(source / file), names[float(p)], file) for file, p, _ in lines if float(p) in names]
    folder.mkdir(parents=True, exist_ok=True)
    return [_table(folder / "labels.csv", rows)]


def _saved(image: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)


def _table(file: Path, rows: Sequence[tuple[str, str, str]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([("image", "label", "group"), *rows])
    return file


@dataclass(frozen=True)
class Use:
    """Where the data come from, the settings that all methods share, those of each method, and the scores to show."""

    data: Callable[[Path], list[Path]]
    options: dict[str, Any]
    methods: dict[str, dict[str, Any]]
    scores: tuple[str, ...]


IMAGES = {"task": "image-classification", "device": "cpu", "patience": 0}
IMAGE_METHODS = {
    "layerwise": {"layers": "0.5", "learning_rate": 6e-4},
    "full": {"learning_rate": 2e-4},
    "lora": {"rank": 16, "learning_rate": 1e-3},
}
IMAGE_SCORES = ("accuracy", "balanced accuracy", "AUROC", "sensitivity", "expected calibration error")
CODE = {"task": "code", "max_length": 512, "batch_size": 8, "max_steps": 84, "heldout_files": 0.2, "completions": 40}
CODE_METHODS = {
    "layerwise": {"layers": "0.5", "learning_rate": 4e-4},
    "full": {"learning_rate": 2e-4},
    "lora": {"rank": 32, "learning_rate": 1e-3},
}
CODE_SCORES = (
    "next line: exact match", "next line: edit similarity", "next line: no new syntax error", "middle: exact match",
    "middle: edit similarity", "middle: no new syntax error", "perplexity of held-out files",
)  # fmt: skip
USES = {
    "digits": Use(digits, {**IMAGES, "image_size": 64, "epochs": 8}, IMAGE_METHODS, IMAGE_SCORES),
    "tissue": Use(
        tissue, {**IMAGES, "image_size": 64, "epochs": 12, "augment": ("shift", "flip", "upside-down")}, IMAGE_METHODS, IMAGE_SCORES
    ),
    "solar": Use(solar, {**IMAGES, "image_size": 96, "epochs": 4, "augment": ("shift", "colour", "flip")}, IMAGE_METHODS, IMAGE_SCORES),
    "tcl": Use(lambda _: TCL, {**CODE, "language": "tcl"}, CODE_METHODS, CODE_SCORES),
    "python": Use(lambda _: PYTHON, {**CODE, "language": "python"}, CODE_METHODS, CODE_SCORES),
}


@click.group()
def main() -> None:
    """The tables of docs/use-cases.md."""


@main.command()
@click.argument("name", type=click.Choice(list(USES)))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where data and runs go.")
@click.option("--method", multiple=True, help="Only these methods.")
def tables(name: str, out: Path, method: tuple[str, ...]) -> None:
    """Build a use with every method and print its table."""
    use = USES[name]
    paths = use.data(out / f"{name}-data")
    found = {
        each: built(out / f"{name}-{each}", paths, {**use.options, "method": each, **use.methods[each]}) for each in method or use.methods
    }
    click.echo("\n".join(table(found, use.scores)))


def built(folder: Path, paths: Sequence[Path], options: dict[str, Any]) -> Comparison:
    """What a build measured; it is made, gone on with, or read where it is complete."""
    status = Run(folder).info.get("status") if (folder / "run.json").is_file() else share_base(folder, options)
    if status != "complete":
        api.build(paths, out=folder, resume=bool(status), progress=listener(), **options)
    return comparison_from(Run(folder).read_json("scores.json")["comparison"])


def share_base(folder: Path, options: dict[str, Any]) -> str:
    """Begin a run with what another of the same use has measured of the base, where there is one: that takes longest."""
    known = next(folder.parent.glob(f"{folder.name.partition('-')[0]}-*/before.json"), None)
    if known is None:
        return ""
    run = Run.create(folder, folder.name)
    run.write_json("before.json", json.loads(known.read_text(encoding="utf-8")))
    run.update(status="interrupted", settings=settings_from(options).to_dict())
    return "interrupted"


def table(found: dict[str, Comparison], scores: Sequence[str]) -> list[str]:
    """Markdown: a line for the base and for each method; under each score the difference from the base with its interval."""
    first = next(iter(found.values()))
    lines = {method: {line.score: line for line in each.lines} for method, each in found.items()}
    shown = [score for score in scores if score in lines[next(iter(lines))]]
    rows = [(first.base, [str(next(iter(lines.values()))[score].base) for score in shown])]
    rows += [(method, [_with_gain(each[score].tuned, each[score].difference) for score in shown]) for method, each in lines.items()]
    head = f"| {first.what} | {' | '.join(shown)} |"
    return [head, "|---" * (len(shown) + 1) + "|", *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows)]


def _with_gain(tuned: Measured, difference: Measured) -> str:
    return str(tuned) if tuned.value is None else f"{tuned.value:.3f}; {difference.signed}"


@main.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("--count", default=20, help="Gaps to complete.")
@click.option("--max-tokens", default=32)
def latency(run: Path, count: int, max_tokens: int) -> None:
    """How long an editor waits: the language server and /v1/completions, on the middles that a run was measured with."""
    from benchmarks.editor import asked_by_editor, asked_over_http

    spots = [spot for spot in Run(run).read_rows("spots.jsonl") if spot["kind"] == "middle"][:count]
    for name, ask in (("language server", asked_by_editor), ("/v1/completions with suffix", asked_over_http)):
        started = time.perf_counter()
        seconds = sorted(ask(run, spots, max_tokens))
        click.echo(
            f"{name}: median {statistics.median(seconds):.2f} s, 95% under {seconds[int(0.95 * (len(seconds) - 1))]:.2f} s, "
            f"{len(seconds)} completions of at most {max_tokens} tokens ({time.perf_counter() - started:.0f} s with the start)"
        )


if __name__ == "__main__":
    main()
