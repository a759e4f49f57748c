from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engrain.errors import ExampleError, SettingError
from engrain.imaging.pixels import difference_hash, parse_window, read_picture, square
from pictures import shape

pydicom = pytest.importorskip("pydicom")


def dicom(name: str) -> Path:
    return Path(pydicom.data.get_testdata_file(name, download=False))


def test_a_picture_is_turned_as_its_camera_noted(tmp_path: Path) -> None:
    picture = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) * 20)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    picture.save(tmp_path / "a.png", exif=exif)
    assert read_picture(tmp_path / "a.png").size == (3, 4)


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path: Path) -> None:
    values = np.linspace(0, 60000, 400).reshape(20, 20).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    grey = np.asarray(read_picture(tmp_path / "a.png"))[..., 0].ravel().astype(int)
    assert grey[0] == 0
    assert grey[-1] == 255
    assert (np.diff(grey) >= 0).all()
    assert len(set(grey.tolist())) > 200


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n cut off"])
def test_what_is_no_picture_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ExampleError, match="cannot be read"):
        read_picture(tmp_path / "a.png")


def test_nothing_is_cut_off_to_make_a_square() -> None:
    wide = Image.new("RGB", (80, 40), (255, 255, 255))
    made = square(wide, 40)
    assert made.shape == (40, 40, 3)
    assert made[15].min() == 255
    assert made[2].max() == 0
    assert made[-3].max() == 0


def test_a_dicom_window_decides_what_is_black_and_white() -> None:
    path = dicom("CT_small.dcm")
    own, narrow, bone = (np.asarray(read_picture(path, window)) for window in (None, (40.0, 80.0), (1500.0, 2000.0)))
    assert own.shape == (128, 128, 3)
    data = pydicom.dcmread(path)
    units = data.pixel_array * float(data.RescaleSlope) + float(data.RescaleIntercept)
    assert (narrow[..., 0][units <= 0] == 0).all()
    assert (narrow[..., 0][units >= 80] == 255).all()
    between = (units > 10) & (units < 70)
    np.testing.assert_allclose(narrow[..., 0][between], 255 * units[between] / 80, atol=1)
    assert bone.mean() < narrow.mean()


@pytest.mark.parametrize("name", ["MR_small.dcm", "SC_rgb_small_odd.dcm", "examples_palette.dcm", "liver_1frame.dcm"])
def test_other_dicom_files_have_something_to_see(name: str) -> None:
    shown = np.asarray(read_picture(dicom(name)))
    assert shown.std() > 5


def test_dicom_without_a_picture_says_so() -> None:
    with pytest.raises(ExampleError, match="cannot be read"):
        read_picture(dicom("rtplan.dcm"))


def test_inverted_grey_is_turned_round(tmp_path: Path) -> None:
    data = pydicom.dcmread(dicom("MR_small.dcm"))
    usual = np.asarray(read_picture(dicom("MR_small.dcm"))).astype(int)
    data.PhotometricInterpretation = "MONOCHROME1"
    data.save_as(tmp_path / "a.dcm")
    assert (255 - np.asarray(read_picture(tmp_path / "a.dcm")) == usual).all()


def test_windows() -> None:
    assert parse_window("40, 400") == (40.0, 400.0)
    assert parse_window(None) is None
    for text in ("40", "a,b", "40,0", "40,-1"):
        with pytest.raises(SettingError, match="window="):
            parse_window(text)


def test_the_hash_of_a_copy_is_near_and_of_another_is_far() -> None:
    picture = shape("disc", 3, 64)
    copy = picture.resize((50, 50))
    assert (difference_hash(picture) ^ difference_hash(copy)).bit_count() <= 8
    assert (difference_hash(picture) ^ difference_hash(shape("square", 9, 64))).bit_count() > 10
