"""Collections over HTTP: an archive becomes a folder, a folder a model, and an archive that cannot is told why."""

from __future__ import annotations

import io
import stat
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import pytest
from test_studio_builds import wait

from engrain.serve import studio_collections
from pictures import build_backbone, write_folder

LINES = "def rise_{0}(x):\n    total = {0}\n    for step in range(x):\n        total += step * {0}\n    return total\n"
CODE = {f"rise{number}.py": LINES.format(number) for number in range(9)}


def archive(files: dict[str, bytes | str]) -> bytes:
    held = io.BytesIO()
    with ZipFile(held, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return held.getvalue()


def send(studio: Any, content: bytes, name: str = "shop.zip") -> Any:
    return studio.post("/engrain/collections", files={"archive": (name, content)})


def test_an_archive_becomes_a_folder_without_the_one_around_everything(studio: Any, tmp_path: Path) -> None:
    files = {"shop-main/src/a.py": "a = 1\n", "shop-main/b.py": "b = 2\n", "__MACOSX/shop-main/._b.py": "x", "shop-main/.DS_Store": "x"}
    answer = send(studio, archive(files))
    assert (answer.status_code, answer.json()) == (201, {"name": "shop", "task": "code", "files": 2, "size": 12})
    folder = tmp_path / "runs" / ".studio" / "collections" / "shop"
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.py")) == ["b.py", "src/a.py"]
    assert send(studio, archive({"c.py": "c", "d.py": "d"})).json()["files"] == 2, "it takes the place of the earlier one"
    assert not (folder / "b.py").exists()
    assert [row["name"] for row in studio.get("/engrain/collections").json()["collections"]] == ["shop"]
    assert studio.delete("/engrain/collections/shop").status_code == 204
    assert studio.get("/engrain/collections").json() == {"collections": []}
    assert studio.delete("/engrain/collections/shop").status_code == 404


def test_files_keep_the_times_that_the_archive_notes(studio: Any, tmp_path: Path) -> None:
    held = io.BytesIO()
    with ZipFile(held, "w") as packed:
        packed.writestr(ZipInfo("old.py", (2019, 5, 17, 10, 30, 0)), "x")
        packed.writestr(ZipInfo("odd.py", (1980, 0, 0, 0, 0, 0)), "x")
    send(studio, held.getvalue())
    (old,) = tmp_path.rglob("old.py")
    assert datetime.fromtimestamp(old.stat().st_mtime) == datetime(2019, 5, 17, 10, 30)


def test_what_most_files_are_says_what_a_collection_is_for(studio: Any) -> None:
    assert send(studio, archive({"x/1.png": "", "x/2.DCM": "", "labels.csv": ""})).json()["task"] == "image-classification"
    assert send(studio, archive({"1.png": "", "a.py": "", "b.py": ""})).json()["task"] == "code"


@pytest.mark.parametrize("name", ["../out.py", "/etc/out.py", "a/../../out.py", "C:/out.py", "a\\out.py"])
def test_nothing_is_written_outside_of_the_collection(studio: Any, tmp_path: Path, name: str) -> None:
    answer = send(studio, archive({"good.py": "x", name: "x"}))
    assert answer.status_code == 400
    assert "outside of the archive" in answer.json()["error"]["message"]
    assert list(tmp_path.rglob("out.py")) == list(tmp_path.rglob("good.py")) == []


def test_links_are_told_and_so_is_all_else_that_is_wrong(studio: Any) -> None:
    held = io.BytesIO()
    with ZipFile(held, "w") as packed:
        link = ZipInfo("passwd")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "/etc/passwd")
        packed.writestr("../b.py", "x")
    message = send(studio, held.getvalue()).json()["error"]["message"]
    assert "passwd: it is a link" in message
    assert "../b.py: its place is outside" in message


def test_what_is_no_archive_is_refused_and_leaves_nothing(studio: Any, tmp_path: Path) -> None:
    whole = archive({"a.py": "a" * 5000, "b.py": "b"})
    torn = whole.replace(b"a" * 100, b"z" * 100)
    for content in (b"no archive", whole[:200], torn, archive({"a": "file", "a/b": "below a file"})):
        answer = send(studio, content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_archive"), answer.text
    assert send(studio, archive({})).json()["error"]["code"] == "empty_archive"
    for name in (".zip", ".hidden.zip"):
        assert send(studio, whole, name).json()["error"]["code"] == "invalid_name"
    assert studio.get("/engrain/collections").json() == {"collections": []}
    assert list((tmp_path / "runs" / ".studio").rglob("*.partial")) == []


def test_more_than_a_machine_should_unpack_is_refused(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio_collections, "MOST_FILES", 1)
    assert send(studio, archive({"a": "1", "b": "2"})).status_code == 413
    monkeypatch.setattr(studio_collections, "MOST_FILES", 9)
    monkeypatch.setattr(studio_collections, "MOST_BYTES", 1)
    assert send(studio, archive({"a": "1", "b": "2"})).status_code == 413


def test_settings_are_those_of_the_task(studio: Any) -> None:
    images = studio.get("/engrain/settings", params={"task": "image-classification"}).json()["schema"]["properties"]
    code = studio.get("/engrain/settings", params={"task": "code"}).json()["schema"]["properties"]
    assert [name in images for name in ("backbone", "base", "fim_rate", "wordings")] == [True, False, False, False]
    assert [name in code for name in ("backbone", "base", "fim_rate", "wordings")] == [False, True, True, False]
    assert studio.get("/engrain/settings", params={"task": "songs"}).status_code == 400


def test_images_become_a_classifier(studio: Any, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "shapes")
    files = {str(path.relative_to(tmp_path)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}
    send(studio, archive(files), "shapes.zip")
    options = {"backbone": str(build_backbone(tmp_path / "backbone")), "image_size": 40, "max_steps": 2, "method": "full"}
    made = studio.post("/engrain/builds", json={"collection": "shapes", "settings": options})
    assert made.status_code == 201, made.text
    if not made.json()["finished"]:
        assert studio.delete("/engrain/collections/shapes").status_code == 409, "it is being trained on"
    assert wait(studio, made.json()["id"], ("succeeded", "failed"))["error"] == ""
    (row,) = studio.get("/engrain/runs").json()["runs"]
    assert (row["name"], row["task"], row["status"]) == ("shapes", "image-classification", "complete")
    assert any(line["score"] == "accuracy" for line in studio.get("/engrain/runs/shapes/scores").json()["lines"])
    picture = (folder / "disc" / "00.png").read_bytes()
    seen = studio.post("/engrain/classify", data={"run": "shapes"}, files={"image": ("new.png", picture)})
    assert {found["label"] for found in seen.json()["classes"]} == {"disc", "square"}


def test_code_becomes_a_completer(studio: Any) -> None:
    send(studio, archive({f"rises/{name}": text for name, text in CODE.items()}), "rises.zip")
    options = {"max_steps": 2, "batch_size": 2, "rank": 4, "precision": "float32", "max_length": 128, "completions": 2}
    made = studio.post("/engrain/builds", json={"collection": "rises", "name": "Rises of ours", "settings": options}).json()
    assert wait(studio, made["id"], ("succeeded", "failed"))["error"] == ""
    (row,) = studio.get("/engrain/runs").json()["runs"]
    assert (row["name"], row["task"], row["status"]) == ("rises-of-ours", "code", "complete")
    assert studio.get("/engrain/runs/rises-of-ours/scores").json()["lines"]


def test_a_collection_takes_no_run_and_must_be_there(studio: Any) -> None:
    assert studio.post("/engrain/builds", json={"collection": "none"}).status_code == 404
    send(studio, archive({"a.py": "a = 1\n"}))
    for more in ({"run": "x"}, {"earlier": "x"}, {"goal": "examples"}):
        answer = studio.post("/engrain/builds", json={"collection": "shop", **more})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_for_collections")
    refused = studio.post("/engrain/builds", json={"collection": "shop", "settings": {"task": "image-classification", "fim_rate": 0.5}})
    assert "fim_rate" in refused.json()["error"]["message"]
