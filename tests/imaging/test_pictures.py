from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engrain.errors import ExampleError, SettingError
from engrain.imaging.pictures import Finding, ImageSettings, Picture, grouped_copies, read_images, split_by_group
from pictures import shape, write_folder

SMALL = ImageSettings(image_size=32)


def kinds(reading: object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in reading.findings:  # type: ignore[attr-defined]
        found.setdefault(each.kind, []).append(each.file)
    return found


def picture(file: str, label: str, group: str) -> Picture:
    return Picture(file, label, group, file, 0, np.zeros((32, 32, 3), np.uint8))


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    reading = read_images([write_folder(tmp_path)], SMALL)
    assert reading.classes == ("disc", "square")
    assert len(reading.pictures) == 24
    assert reading.pictures[0].file == "disc/00.png"
    assert reading.pictures[0].pixels.shape == (32, 32, 3)
    assert not reading.findings
    assert len({p.group for p in reading.pictures}) == 24


def test_folders_below_a_class_are_groups(tmp_path: Path) -> None:
    write_folder(tmp_path, 3)
    (tmp_path / "disc" / "anna").mkdir()
    for i in range(2):
        shape("disc", 50 + i).save(tmp_path / "disc" / "anna" / f"{i}.png")
    groups = {p.file: p.group for p in read_images([tmp_path], SMALL).pictures}
    assert groups["disc/anna/0.png"] == groups["disc/anna/1.png"] == "anna"


def test_the_first_folder_below_a_class_is_the_group(tmp_path: Path) -> None:
    write_folder(tmp_path, 3)
    for i, side in enumerate(("left", "right")):
        (tmp_path / "disc" / "anna" / side).mkdir(parents=True)
        shape("disc", 50 + i).save(tmp_path / "disc" / "anna" / side / "a.png")
    groups = {p.file: p.group for p in read_images([tmp_path], SMALL).pictures}
    assert groups["disc/anna/left/a.png"] == groups["disc/anna/right/a.png"] == "anna"


def test_a_table_with_patients(tmp_path: Path) -> None:
    write_folder(tmp_path / "files", 4)
    rows = [f"files/{kind}/{i:02}.png,{kind},p{i // 2}" for kind in ("disc", "square") for i in range(4)]
    (tmp_path / "table.csv").write_text("image,label,patient\n" + "\n".join(rows) + "\n")
    reading = read_images([tmp_path / "table.csv"], SMALL)
    assert {p.file: p.group for p in reading.pictures}["files/disc/03.png"] == "p1"
    (tmp_path / "other.csv").write_text("image,label,who\n" + "\n".join(rows) + "\n")
    named = read_images([tmp_path / "other.csv"], ImageSettings(image_size=32, group_column="who"))
    assert [p.group for p in named.pictures] == [p.group for p in reading.pictures]


def test_zero_is_a_patient_and_a_label(tmp_path: Path) -> None:
    write_folder(tmp_path / "files", 4)
    rows = [{"Image": f"files/{kind}/{i:02}.png", "label": kind == "disc", "Who": i // 2} for kind in ("disc", "square") for i in range(4)]
    (tmp_path / "table.jsonl").write_text("\n".join(map(json.dumps, rows)))
    reading = read_images([tmp_path / "table.jsonl"], ImageSettings(image_size=32, group_column="Who"))
    assert reading.classes == ("False", "True")
    assert [p.group for p in reading.pictures] == ["0", "0", "1", "1"] * 2


def test_every_bad_row_of_a_table_is_listed(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("image,label\na.png,\n,disc\n")
    with pytest.raises(ExampleError) as caught:
        read_images([tmp_path / "table.csv"], SMALL)
    assert len(caught.value.problems) == 2
    (tmp_path / "table.csv").write_text("image,label\na.png,disc\n")
    with pytest.raises(ExampleError, match="no column who"):
        read_images([tmp_path / "table.csv"], ImageSettings(group_column="who"))


def test_what_is_wrong_with_images_is_said(tmp_path: Path) -> None:
    write_folder(tmp_path, 4)
    (tmp_path / "disc" / "broken.png").write_bytes(b"no picture")
    shape("disc", 0).save(tmp_path / "disc" / "copy.png")
    shape("disc", 1).save(tmp_path / "square" / "wrong.png")
    shape("square", 77).resize((12, 12)).save(tmp_path / "square" / "tiny.png")
    reading = read_images([tmp_path], SMALL)
    found = kinds(reading)
    assert found["unreadable"] == ["disc/broken.png"]
    assert found["tiny"] == ["square/tiny.png"]
    assert "disc/copy.png" in found["duplicate"]
    assert found["contradiction"] == ["disc/01.png"]
    left = {p.file for p in reading.pictures}
    assert not {"disc/broken.png", "disc/copy.png", "disc/01.png", "square/wrong.png"} & left
    assert "square/tiny.png" in left


def test_pictures_that_look_the_same_share_a_group(tmp_path: Path) -> None:
    write_folder(tmp_path, 4)
    picture = shape("disc", 2, 64)
    picture.save(tmp_path / "disc" / "large.png")
    picture.resize((60, 60)).save(tmp_path / "disc" / "smaller.png")
    reading = read_images([tmp_path], SMALL)
    groups = {p.file: p.group for p in reading.pictures}
    assert groups["disc/large.png"] == groups["disc/smaller.png"]
    assert len(set(groups.values())) == len(groups) - 1
    assert kinds(reading)["duplicate"] == ["disc/smaller.png"]


def test_copies_join_the_patients_they_belong_to(tmp_path: Path) -> None:
    write_folder(tmp_path, 3)
    for patient, seed in (("anna", 60), ("bea", 61), ("bea", 60), ("cleo", 62), ("cleo", 61)):
        (tmp_path / "disc" / patient).mkdir(exist_ok=True)
        shape("disc", seed).save(tmp_path / "disc" / patient / f"{seed}.png")
    reading = read_images([tmp_path], SMALL)
    assert {p.group for p in reading.pictures if p.file.count("/") == 2} == {"anna"}
    assert len(kinds(reading)["duplicate"]) == 2


def test_every_picture_that_looks_the_same_is_joined() -> None:
    pixels = np.tile(np.arange(32, dtype=np.uint8)[:, None, None], (1, 32, 3))
    first, second = 0x0FFF, 0x0FFF ^ (0x3FF << 20)
    third = 0x0FFF ^ (0x1F << 20)  # near to both of the others, which are not near to each other
    made = [Picture(name, "disc", name, name, bits, pixels) for name, bits in (("a", first), ("b", second), ("c", third))]
    findings: list[Finding] = []
    assert {p.group for p in grouped_copies(made, [], findings)} == {"a"}
    assert [f.file for f in findings] == ["c"]


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: write_folder(p / "one")])
def test_fewer_than_two_classes_are_refused(tmp_path: Path, make: object) -> None:
    folder = tmp_path / "in"
    make(folder)  # type: ignore[operator]
    if (folder / "one").exists():
        for file in (folder / "one" / "square").iterdir():
            file.unlink()
        folder = folder / "one"
    with pytest.raises(ExampleError, match=r"two classes|no image"):
        read_images([folder], SMALL)


def test_no_group_is_in_two_parts_and_every_class_in_all() -> None:
    pictures = [picture(f"{label}{i}", label, f"{label}-{i // 3}") for label in ("a", "b", "c") for i in range(60)]
    pictures.append(picture("mixed", "b", "a-0"))
    for seed in range(5):
        parts = split_by_group(pictures, 0.15, seed)
        assert sum(map(len, parts)) == len(pictures)
        groups = [{p.group for p in part} for part in parts]
        assert not groups[0] & groups[1]
        assert not groups[0] & groups[2]
        assert not groups[1] & groups[2]
        assert all({p.label for p in part} == {"a", "b", "c"} for part in parts)
        assert len(parts[2]) == pytest.approx(0.15 * len(pictures), abs=8)
    again = split_by_group(pictures, 0.15, 0)
    assert [p.file for p in again[2]] == [p.file for p in split_by_group(pictures, 0.15, 0)[2]]
    assert [p.file for p in again[2]] != [p.file for p in split_by_group(pictures, 0.15, 1)[2]]


def test_a_group_of_each_class_is_left_to_train_on() -> None:
    pictures = [picture(f"{label}{i}", label, f"{label}-{i}") for label in "ab" for i in range(4)]
    assert [{p.label for p in part} for part in split_by_group(pictures, 0.4, 0)] == [{"a", "b"}] * 3


def test_a_class_with_too_few_groups_is_named() -> None:
    pictures = [picture(f"{label}{i}", label, f"{label}-{i}") for label, count in (("a", 5), ("b", 2)) for i in range(count)]
    with pytest.raises(ExampleError, match="three groups") as caught:
        split_by_group(pictures, 0.15, 0)
    assert caught.value.problems == ("b: 2",)


@pytest.mark.parametrize(
    "values",
    [{"image_size": 8}, {"test_share": 0.6}, {"augment": ("spin",)}, {"augment": ("none", "flip")}, {"specificity": 1.0}, {"window": "x"}],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(SettingError):
        ImageSettings(**values)  # type: ignore[arg-type]


def export(source: str, target: Path) -> None:
    """A DICOM file of pydicom's under another name."""
    from pydicom.data import get_testdata_file

    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(Path(str(get_testdata_file(source))).read_bytes())


def test_dicom_files_need_no_suffix_and_what_is_no_picture_is_counted(tmp_path: Path) -> None:
    write_folder(tmp_path, 3)
    export("MR_small.dcm", tmp_path / "disc" / "anna" / "IM000001")
    export("CT_small.dcm", tmp_path / "disc" / "1.2.840.113619.2")
    export("rtplan.dcm", tmp_path / "disc" / "DICOMDIR")
    (tmp_path / "disc" / "notes.txt").write_text("no picture")
    (tmp_path / "square" / "SHORT").write_bytes(b"DICM")
    (tmp_path / "square" / ".DS_Store").write_bytes(b"of the system")
    reading = read_images([tmp_path], SMALL)
    groups = {p.file: p.group for p in reading.pictures}
    assert groups["disc/anna/IM000001"] == "anna"
    assert "disc/1.2.840.113619.2" in groups
    assert kinds(reading) == {"other": ["disc/DICOMDIR", "disc/notes.txt", "square/SHORT"]}


def test_a_table_names_dicom_files_without_a_suffix(tmp_path: Path) -> None:
    write_folder(tmp_path / "files", 2)
    export("MR_small.dcm", tmp_path / "files" / "IM000001")
    (tmp_path / "table.csv").write_text("image,label\nfiles/IM000001,disc\nfiles/disc/00.png,disc\nfiles/square/00.png,square\n")
    assert "files/IM000001" in {p.file for p in read_images([tmp_path / "table.csv"], SMALL).pictures}
