"""Somebody whose version classifies images drops one on the page, and takes the classifier away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from serving import KEY, running
from walking import SLOW, check_access, go

from engrain import api
from pictures import build_backbone, make_image_run, shape


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
    page.get_by_role("region", name="scan.tiff").get_by_text("it was read all the same").wait_for()
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
