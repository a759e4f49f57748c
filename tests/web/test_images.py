"""Somebody brings images and trains on them; whose version classifies images drops one on the page, and takes the classifier away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from serving import KEY, running
from walking import SLOW, check_access, go

from engrain import api
from pictures import build_backbone, make_image_run, shape, write_folder


@pytest.fixture
def address(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENGRAIN_DEVICE", "cpu")
    make_image_run(tmp_path / "runs" / "shapes", build_backbone(tmp_path / "backbone"))
    with running(tmp_path / "runs", tiny_folder, requests_per_minute=5000) as found:
        yield found.url


@pytest.mark.timeout(300)
def test_an_image_is_dropped_and_seen_with_its_classes(page: Any, address: str, tmp_path: Path) -> None:
    shape("square", 3, side=80).save(tmp_path / "square.png")
    shape("disc", 3).save(tmp_path / "scan.tiff")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page.goto(f"{address}/#key={KEY}")
    go(page, "Ask")
    page.get_by_text("This is no medical device.").wait_for()
    page.locator("#image").set_input_files(tmp_path / "square.png")
    turn = page.get_by_role("region", name="square.png")
    turn.get_by_role("img", name="square.png").wait_for()
    (wanted,) = api.classify(tmp_path / "runs" / "shapes", [tmp_path / "square.png"])
    assert turn.get_by_role("heading", level=3).inner_text() == wanted.label
    rows = [row.inner_text().split() for row in turn.locator("tbody tr").all()]
    assert rows == [[label, f"{round(100 * share)}%"] for label, share in wanted.probabilities.items()]
    assert turn.locator("canvas").evaluate("c => c.getContext('2d').getImageData(40, 40, 1, 1).data[3]") == 255
    turn.get_by_text("a qualified person must judge it").wait_for()
    check_access(page)
    page.locator("#image").set_input_files(tmp_path / "scan.tiff")
    seen = page.get_by_role("img", name="scan.tiff").evaluate(
        "c => [c.width, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )
    assert (seen[0], bytes(seen[1:])) == (40, shape("disc", 3).convert("RGBA").tobytes()), "browsers do not read TIFF; the server shows it"
    page.locator("#image").set_input_files(tmp_path / "broken.png")
    page.get_by_role("region", name="broken.png").get_by_role("alert").filter(has_text="it cannot be read").wait_for()
    take_it_away(page, tmp_path)


def take_it_away(page: Any, tmp_path: Path) -> None:
    go(page, "Take it away")
    page.get_by_text("This is no medical device").first.wait_for()
    with page.expect_download(timeout=SLOW) as started:
        page.get_by_role("button", name="Download for ONNX").click()
    started.value.save_as(tmp_path / "onnx.zip")
    assert "shapes-onnx/model.onnx" in ZipFile(tmp_path / "onnx.zip").namelist()
    check_access(page)


@pytest.mark.timeout(300)
def test_images_are_brought_as_an_archive_and_trained_on(page: Any, address: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "kinds")
    with ZipFile(tmp_path / "kinds.zip", "w") as packed:
        for path in sorted(folder.rglob("*.png")):
            packed.write(path, path.relative_to(tmp_path))
    (tmp_path / "broken.zip").write_bytes(b"no archive")
    page.goto(f"{address}/#key={KEY}")
    page.get_by_text("Code or images instead of documents").click()
    page.locator("#archive").set_input_files(tmp_path / "broken.zip")
    page.get_by_role("alert").filter(has_text="no ZIP archive that can be read").wait_for()
    page.locator("#archive").set_input_files(tmp_path / "kinds.zip")
    page.get_by_text("images, to be told apart · 24 files").wait_for()
    check_access(page)
    page.get_by_role("link", name="Train on kinds").click()
    page.get_by_label("It holds").select_option(label="code, to be completed")
    page.get_by_text("with kinds: code, to be completed").wait_for()
    page.get_by_label("It holds").select_option(label="images, to be told apart")
    page.get_by_text("with kinds: images, to be told apart").wait_for()
    page.get_by_text("More: method and settings").click()
    for name, value in {"Method": "full", "Backbone": str(tmp_path / "backbone"), "Image size": "40", "Max steps": "2"}.items():
        field = page.get_by_label(name, exact=True)
        field.select_option(value) if name == "Method" else field.fill(value)
    check_access(page)
    page.get_by_role("button", name="Start training").click()
    page.get_by_role("table", name="All versions").get_by_role("row", name="kinds").get_by_text("done").wait_for()
    go(page, "Verdict")
    page.get_by_role("row", name="balanced accuracy").wait_for()
    page.get_by_text("Version kinds", exact=True).wait_for()
    go(page, "Documents")
    page.get_by_role("button", name="Remove kinds").click()
    page.get_by_role("button", name="Remove it").click()
    page.get_by_text("images, to be told apart").wait_for(state="detached")
