"""An image classifier as ONNX: onnxruntime gives the same probabilities, and so does the small program beside the file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from engrain import api
from engrain.errors import ModelError
from engrain.export import onnx
from engrain.imaging.classifier import NOTICE
from engrain.run import Run
from pictures import build_backbone, make_image_run, shape


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    return make_image_run(folder / "shapes", build_backbone(folder / "backbone"))


def test_a_classifier_becomes_one_file_with_the_same_probabilities(classifier: Path, tmp_path: Path) -> None:
    done = api.export(classifier, "onnx", out=tmp_path / "taken")
    assert set(done.files) == {"README.md", "classify.py", "labels.json", "model.onnx"}
    assert done.check is not None
    assert done.check.same == done.check.count == 16
    assert NOTICE in (done.folder / "README.md").read_text()
    session = onnxruntime.InferenceSession(done.folder / "model.onnx", providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["disc", "square"]
    paths = [tmp_path / f"{kind}.png" for kind in ("disc", "square")]
    for path in paths:
        shape(path.stem, 5, side=64).crop((0, 0, 64, 50)).save(path)  # not square, and larger than the model sees
    values = np.asarray(shape("square", 6, side=64).convert("L"), np.uint16) * 30 + 500  # as cameras and scanners of 12 bits write them
    paths.append(tmp_path / "deep.png")
    Image.fromarray(values).save(paths[-1])
    ours = api.classify(classifier, paths)
    pixels = np.stack([onnx.pixels.square(onnx.pixels.read_picture(path), 40) for path in paths])
    (theirs,) = session.run(None, {"pixels": pixels})
    for found, row in zip(ours, theirs, strict=True):
        assert [found.probabilities[label] for label in ("disc", "square")] == pytest.approx(row.tolist(), abs=1e-5)
    said = subprocess.run([sys.executable, done.folder / "classify.py", *paths], capture_output=True, text=True, check=True).stdout
    for line, found in zip(said.splitlines(), ours, strict=True):
        label, share = re.fullmatch(r".*\.png (\w+) ([\d.]+)%, \w+ [\d.]+%", line).groups()
        assert label == found.label
        assert float(share) == pytest.approx(100 * found.probability, abs=0.06)


@pytest.mark.parametrize("window", [None, "40,400"])
def test_the_program_reads_dicom_through_the_runs_window(classifier: Path, tmp_path: Path, window: str | None) -> None:
    run = Run.open(classifier)
    settings = run.info["settings"]
    try:
        run.update(settings={**settings, "window": window})
        done = api.export(classifier, "onnx", out=tmp_path / "taken", check=False)
        paths = [tmp_path / "IM0001", tmp_path / "mr.dcm"]
        for path, name in zip(paths, ("CT_small.dcm", "MR_small.dcm"), strict=True):
            path.write_bytes(Path(str(get_testdata_file(name))).read_bytes())
        ours = api.classify(classifier, paths)
    finally:
        run.update(settings=settings)
    assert any("pydicom" in note for note in done.notes)
    said = subprocess.run([sys.executable, done.folder / "classify.py", *paths], capture_output=True, text=True, check=True).stdout
    for line, found in zip(said.splitlines(), ours, strict=True):
        label, share = re.fullmatch(r".* (\w+) ([\d.]+)%, \w+ [\d.]+%", line).groups()
        assert label == found.label
        assert float(share) == pytest.approx(100 * found.probability, abs=0.06)


def test_only_onnx_fits_an_image_classifier(classifier: Path) -> None:
    assert [offer.target for offer in api.exports(classifier) if not offer.obstacle] == ["onnx"]


def test_missing_packages_are_named(classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "find_spec", lambda name: None if name == "onnxscript" else object())
    (offer,) = [offer for offer in api.exports(classifier) if offer.target == "onnx"]
    assert "onnxscript is not installed" in offer.obstacle
    assert "engrain[onnx]" in offer.obstacle


def test_other_probabilities_are_noticed_and_nothing_is_left(classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Uncalibrated(onnx.Calibrated):
        def __init__(self, model: object, temperature: float) -> None:
            super().__init__(model, 1.0)

    monkeypatch.setattr(onnx, "Calibrated", Uncalibrated)
    with pytest.raises(ModelError, match="does not compute what the classifier computes"):
        api.export(classifier, "onnx", out=tmp_path / "taken")
    assert list(tmp_path.iterdir()) == []
