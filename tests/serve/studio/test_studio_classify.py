"""Classifying images over HTTP: what an image shows, and a reason for everything that is none."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest

from engrain.imaging.classifier import NOTICE
from engrain.run import Run
from pictures import build_backbone, make_image_run, shape


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_backbone(tmp_path_factory.mktemp("backbone"))


@pytest.fixture
def shapes(studio: Any, tmp_path: Path, backbone: Path) -> Path:
    """A run that classifies images, among the runs of `studio`."""
    return make_image_run(tmp_path / "runs" / "shapes", backbone)


def png(kind: str = "disc") -> bytes:
    held = io.BytesIO()
    shape(kind, 1).save(held, "PNG")
    return held.getvalue()


def send(studio: Any, content: bytes, name: str = "photo.png", run: str = "shapes") -> Any:
    return studio.post("/engrain/classify", data={"run": run}, files={"image": (name, content)})


def test_a_run_that_looks_at_images_is_asked_nothing(studio: Any, shapes: Path) -> None:
    for answer in (
        studio.post("/engrain/ask", json={"run": "shapes", "question": "When?", "ways": ["tuned"]}),
        studio.get("/engrain/runs/shapes/examples/none/tokens"),
    ):
        assert answer.status_code == 409
        assert "looks at images" in answer.json()["error"]["message"]


def test_an_image_gets_every_class_with_its_calibrated_probability(studio: Any, shapes: Path, tmp_path: Path) -> None:
    from engrain import api

    (tmp_path / "photo.png").write_bytes(png())
    (wanted,) = api.classify(shapes, [tmp_path / "photo.png"])
    answer = send(studio, png())
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["label"] == wanted.label
    assert {row["label"]: row["probability"] for row in found["classes"]} == pytest.approx(wanted.probabilities)
    assert found["probability"] == found["classes"][0]["probability"] >= found["classes"][1]["probability"]
    assert (found["model"], found["file"], found["temperature"]) == ("shapes", "photo.png", 1.5)
    assert found["notice"] == NOTICE
    assert found["picture"] == "", "a browser shows this kind of file itself"


def test_what_browsers_cannot_show_comes_with_what_was_looked_at(studio: Any, shapes: Path) -> None:
    from PIL import Image

    large = shape("disc", 1, side=900)
    for picture, size in ((shape("disc", 1), (40, 40)), (large, (640, 640))):
        held = io.BytesIO()
        picture.save(held, "TIFF")
        seen = Image.open(io.BytesIO(base64.b64decode(send(studio, held.getvalue(), "scan.tif").json()["picture"])))
        assert (seen.format, seen.size) == ("PNG", size)
        assert size[0] > 40 or seen.tobytes() == picture.tobytes()


def test_dicom_is_shown_through_the_window_of_the_run(studio: Any, shapes: Path) -> None:
    from PIL import Image
    from pydicom.data import get_testdata_file

    from engrain.imaging.pixels import read_picture

    Run(shapes).update(settings={**Run(shapes).info["settings"], "window": "40,80"}, finished="later")
    path = Path(str(get_testdata_file("CT_small.dcm", download=False)))
    answer = send(studio, path.read_bytes(), path.name).json()
    seen = Image.open(io.BytesIO(base64.b64decode(answer["picture"])))
    assert seen.tobytes() == read_picture(path, (40.0, 80.0)).tobytes() != read_picture(path).tobytes()


def test_the_classifier_is_loaded_once_and_anew_when_the_run_was(
    studio: Any, shapes: Path, backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engrain.run import Run
    from engrain.serve import studio_classify

    studio_classify._classifier.cache_clear()
    loads, load = [], studio_classify.load_classifier
    monkeypatch.setattr(studio_classify, "load_classifier", lambda run: loads.append(run) or load(run))
    first, second = send(studio, png()).json(), send(studio, png("square")).json()
    assert len(loads) == 1
    assert first["classes"] != second["classes"]
    Run(shapes).update(status="complete")
    send(studio, png())
    assert len(loads) == 2


@pytest.mark.parametrize(
    ("content", "name", "status", "told"),
    [
        (b"no picture", "photo.png", 400, "photo.png: it cannot be read"),
        (b"", "photo.jpg", 400, "photo.jpg: it cannot be read"),
        (png()[:60], "half.png", 400, "half.png: it cannot be read"),
        (b"no picture", "scan.dcm", 400, "scan.dcm: it cannot be read"),
        (b"%PDF-1.7", "letter.pdf", 415, "this kind of file is not read"),
        (png(), "photo", 415, "this kind of file is not read"),
        (png(), "../photo.png", 400, "cannot be used as the name"),
        (png(), "x" * 300 + ".png", 400, "cannot be used as the name"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(
    studio: Any, shapes: Path, tmp_path: Path, content: bytes, name: str, status: int, told: str
) -> None:
    answer = send(studio, content, name)
    assert answer.status_code == status, answer.text
    assert told in answer.json()["error"]["message"]
    assert answer.json()["error"]["param"] == "image"
    assert str(tmp_path) not in answer.text
    assert "engrain-" not in answer.text  # nor the folder in which it was looked at


@pytest.mark.filterwarnings("ignore")  # Pillow warns first; a server goes on to the check of our own
def test_a_picture_that_unfolds_to_more_than_the_memory_holds_is_refused(studio: Any, shapes: Path) -> None:
    from PIL import Image

    held = io.BytesIO()
    Image.new("1", (20_000, 6_000)).save(held, "PNG")
    answer = send(studio, held.getvalue())
    assert answer.status_code == 400
    assert "pixels, more than" in answer.json()["error"]["message"]


def test_a_file_that_is_too_large_is_refused(studio: Any, shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engrain.serve.studio_classify.MOST_BYTES", 10)
    answer = send(studio, png())
    assert answer.status_code == 413
    assert "larger than 10 bytes" in answer.json()["error"]["message"]


def test_other_runs_and_incomplete_requests_are_refused(studio: Any, shapes: Path, kites_adapter: Path) -> None:
    assert send(studio, png(), run="none").status_code == 404
    assert send(studio, png(), run="../shapes").status_code == 404
    wrong = send(studio, png(), run="kites")
    assert wrong.status_code == 409
    assert "was not made for image classification" in wrong.json()["error"]["message"]
    assert studio.post("/engrain/classify", data={"run": "shapes"}).status_code == 400
    assert studio.post("/engrain/classify", files={"image": ("a.png", png())}).status_code == 400
    assert studio.post("/engrain/classify", data={"run": "shapes", "image": "text"}).status_code == 400
    (shapes / "model").rename(shapes / "elsewhere")
    unfinished = send(studio, png())
    assert unfinished.status_code == 409
    assert "has no trained model" in unfinished.json()["error"]["message"]


def test_the_openapi_document_tells_of_it(studio: Any) -> None:
    found = studio.get("/openapi.json").json()
    route = found["paths"]["/engrain/classify"]["post"]
    assert "no medical device" in route["description"]
    body = route["requestBody"]["content"]["multipart/form-data"]["schema"]["$ref"].rpartition("/")[2]
    assert set(found["components"]["schemas"][body]["required"]) == {"run", "image"}
    assert "calibrated" in found["components"]["schemas"]["ClassShare"]["description"]
