"""Fetching and converting: whole or not at all, once, quietly, and never by running what was fetched."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import zipfile

import gguf
import numpy as np
import pytest
import torch

from engrain import fetch
from engrain.errors import ModelError
from engrain.fetch import MANIFEST, Carried, Wheel, cache_folder
from engrain.files import delete, sha256_of
from engrain.models import load_model, load_tokenizer, locate
from engrain.tokens import encode_prompt, question_messages

LAYERS, WIDTH, HEADS, INNER = 2, 32, 2, 48
MEMBER = "engrain_tiny_base/tiny.gguf"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory, tiny_tokenizer):
    """A two-layer llama as a GGUF file, with the tiny tokenizer."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(256)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tiny_tokenizer) + 1)
    add_tokenizer(writer, tiny_tokenizer)
    for name, shape in tensors(len(tiny_tokenizer) + 1).items():
        seed = np.random.default_rng(len(name) * 1000 + shape[0])
        writer.add_tensor(name, seed.normal(0, 0.2, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_tokenizer(writer, tokenizer):
    vocabulary = [*sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__), "ĊĊ"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if word in tokenizer.all_special_tokens else gguf.TokenType.NORMAL for word in vocabulary]
    )
    writer.add_token_merges(["Ċ Ċ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(tokenizer.chat_template)


def tensors(vocabulary):
    shapes = {"token_embd.weight": (vocabulary, WIDTH), "output_norm.weight": (WIDTH,)}
    for layer in range(LAYERS):
        square = {f"attn_{part}": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")}
        inner = {"ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER)}
        norms = {"attn_norm": (WIDTH,), "ffn_norm": (WIDTH,)}
        shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in (square | inner | norms).items()}
    return shapes


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder that pip takes for its index."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def put_on(shelf, package, member, content):
    """A wheel with this content on the shelf, and its path. Importing the package would fail."""
    name = package.replace("-", "_")
    path, info = shelf / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
        archive.writestr(f"{name}/__init__.py", "raise RuntimeError('imported')")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def tiny_wheel(tiny_gguf, shelf, monkeypatch):
    """The alias `tiny`, carried by a wheel."""
    path = put_on(shelf, "engrain-tiny-base", MEMBER, tiny_gguf.read_bytes())
    monkeypatch.setitem(fetch.EMBEDDED, "tiny", Carried((Wheel("engrain-tiny-base", "1.0", sha256_of(path), MEMBER),), 1))
    return path


def test_a_gguf_file_becomes_a_model_that_loads(tiny_gguf, home):
    base = locate(str(tiny_gguf))
    assert base.folder.parent == home / "models"
    model, tokenizer = load_model(base, dtype=torch.float32, device="cpu"), load_tokenizer(base)
    assert model.config.num_hidden_layers == LAYERS
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    ids = encode_prompt(tokenizer, question_messages("Hi"))
    assert torch.isfinite(model(torch.tensor([ids])).logits).all()


def test_the_weights_are_those_of_the_file(tiny_gguf):
    model = load_model(locate(str(tiny_gguf)), dtype=torch.float32, device="cpu")
    wanted = {tensor.name: tensor.data for tensor in gguf.GGUFReader(tiny_gguf).tensors}
    assert np.array_equal(model.model.embed_tokens.weight.numpy(), wanted["token_embd.weight"])
    assert np.array_equal(model.model.layers[1].mlp.up_proj.weight.numpy(), wanted["blk.1.ffn_up.weight"])


def test_digits_stand_alone_after_white_space(tiny_gguf):
    tokenizer = load_tokenizer(locate(str(tiny_gguf)))
    assert tokenizer.tokenize("\n\n20") == ["ĊĊ", "2", "0"]


def test_an_embedded_base_is_fetched_once_and_never_imported(tiny_wheel, tmp_path):
    first = locate("tiny")
    tiny_wheel.unlink()
    assert locate("tiny") == first
    assert first.revision == "engrain-tiny-base==1.0"
    assert "model.safetensors" in first.files
    assert [path.name for path in first.folder.parent.iterdir() if path.name.endswith(".partial")] == []


def test_pieces_in_several_packages_are_joined(shelf, tmp_path):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("model/config.json", "{}")
        archive.writestr("model/deeper/config.json", "another's")
    content = whole.getvalue()
    pieces = [content[:50], content[50:90], content[90:]]
    paths = [put_on(shelf, f"engrain-piece-{n}", f"piece/model.zip.{n}", piece) for n, piece in enumerate(pieces)]
    wheels = tuple(Wheel(f"engrain-piece-{n}", "1.0", sha256_of(path), f"piece/model.zip.{n}") for n, path in enumerate(paths))
    carried = Carried(wheels, 1, inside="model/")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    folder = fetch.fetch_carried(carried, scratch)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"config.json": "{}"}
    assert carried.revision == "engrain-piece-0==1.0, engrain-piece-1==1.0, engrain-piece-2==1.0"
    assert carried.sha256 not in {wheel.sha256 for wheel in wheels}
    paths[1].unlink()
    delete(scratch)
    scratch.mkdir()
    with pytest.raises(ModelError, match=r"engrain-piece-1==1\.0.*could not be fetched"):
        fetch.fetch_carried(carried, scratch)


def test_a_wheel_of_another_hash_is_refused(tiny_wheel, home):
    tiny_wheel.write_bytes(tiny_wheel.read_bytes() + b"x")
    with pytest.raises(ModelError, match="could not be fetched") as caught:
        locate("tiny")
    assert caught.value.problems
    assert [path.name for path in (home / "models").iterdir() if path.is_dir()] == []


def test_no_index_says_what_to_do(tiny_wheel):
    tiny_wheel.unlink()
    with pytest.raises(ModelError, match="package index"):
        locate("tiny")


def test_a_python_without_pip_says_how_to_get_it(tiny_wheel, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", f"{sys.executable}: No module named pip")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(ModelError, match="-m ensurepip"):
        locate("tiny")


@pytest.mark.parametrize("damage", [lambda p: p.write_bytes(p.read_bytes()[:-1]), lambda p: p.unlink()])
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", MANIFEST])
def test_a_damaged_conversion_is_made_again(tiny_gguf, name, damage):
    base = locate(str(tiny_gguf))
    before = dict(base.files)
    damage(base.folder / name)
    assert locate(str(tiny_gguf)).files == before


def test_a_changed_small_file_is_noticed(tiny_gguf):
    base = locate(str(tiny_gguf))
    path = base.folder / "config.json"
    good = path.read_text()
    path.write_text(good.replace("256", "257"))
    locate(str(tiny_gguf))
    assert path.read_text() == good


def test_a_failed_conversion_leaves_nothing(tmp_path, home):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF not really")
    with pytest.raises(ModelError, match=r"bad\.gguf cannot be converted"):
        locate(str(bad))
    assert [path.name for path in (home / "models").iterdir() if path.is_dir()] == []


def test_a_killed_conversion_is_not_taken_for_a_whole_one(tiny_gguf, home):
    code = (
        "import os, sys; from engrain import fetch, models\n"
        "fetch._mend_digits = lambda *_: os.kill(os.getpid(), 9)\n"
        "models.locate(sys.argv[1])"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tiny_gguf)], check=False).returncode == -9
    assert [path.suffix for path in (home / "models").iterdir() if path.is_dir()] == [".partial"]
    base = locate(str(tiny_gguf))
    assert json.loads((base.folder / MANIFEST).read_text())["files"]
    assert [path for path in (home / "models").iterdir() if path.suffix == ".partial"] == []


def test_a_second_process_waits_for_the_first(tiny_gguf, monkeypatch):
    begun, go_on, conversions = threading.Event(), threading.Event(), []
    convert = fetch._convert

    def slow(*arguments):
        conversions.append(arguments)
        begun.set()
        assert go_on.wait(30)
        convert(*arguments)

    monkeypatch.setattr(fetch, "_convert", slow)
    first, second = (threading.Thread(target=locate, args=[str(tiny_gguf)]) for _ in range(2))
    first.start()
    assert begun.wait(30)
    second.start()
    second.join(0.2)
    assert second.is_alive()
    go_on.set()
    first.join(60)
    second.join(60)
    assert len(conversions) == 1


def test_converting_says_nothing_by_itself(tiny_gguf, capfd):
    locate(str(tiny_gguf))
    assert capfd.readouterr() == ("", "")


def test_a_cache_that_cannot_be_written_says_so(tiny_gguf, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="ENGRAIN_HOME"):
        locate(str(tiny_gguf))


def test_where_the_cache_is(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "home"
    monkeypatch.delenv("ENGRAIN_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "engrain"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "engrain"
