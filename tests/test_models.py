"""Base models: what is found, what is refused and why, and that loading leaves everything frozen."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from engrain.errors import ModelError, SettingError
from engrain.fetch import EMBEDDED
from engrain.models import (
    KEPT_PRODUCTS,
    BaseSettings,
    choose_device,
    choose_dtype,
    context_length,
    count_parameters,
    load_model,
    load_tokenizer,
    locate,
    on_disk,
    outline,
)


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy of the tiny model to damage."""
    return shutil.copytree(tiny_folder, tmp_path / "base")


def change_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_is_found_and_hashed(tiny_folder):
    base = locate(str(tiny_folder))
    assert (base.source, base.folder) == ("folder", tiny_folder)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(base.files)
    assert all(len(digest) == 64 for digest in base.files.values())


def test_the_model_comes_frozen_and_in_evaluation_mode(tiny_folder):
    model = load_model(locate(str(tiny_folder)), dtype=torch.float32, device="cpu")
    assert not model.training
    assert model.dtype == torch.float32
    assert count_parameters(model, trainable=True) == 0
    assert load_model(locate(str(tiny_folder)), dtype=torch.bfloat16, device="cpu").dtype == torch.bfloat16


def test_code_is_kept_for_few_products_unless_the_environment_says_otherwise(tiny_folder, monkeypatch):
    monkeypatch.delenv("LRU_CACHE_CAPACITY", raising=False)
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "7")
    load_model(locate(str(tiny_folder)), device="cpu")
    assert {name: os.environ[name] for name in KEPT_PRODUCTS} == {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "7", "LRU_CACHE_CAPACITY": "64"}


def test_a_model_is_run_by_no_more_threads_than_the_quota_has_cores_for(tiny_folder, groups, many_cores):
    groups("0::/", cpu_max="100000 100000")
    load_model(locate(str(tiny_folder)), device="cpu")
    assert many_cores == [1]


def test_an_outline_is_the_model_without_its_weights(tiny_folder, tiny_model):
    found = outline(str(tiny_folder))
    assert count_parameters(found) == count_parameters(tiny_model)
    assert {p.device.type for p in found.parameters()} == {"meta"}
    assert count_parameters(found, trainable=True) == 0
    assert context_length(found) == 1024


def test_the_embedded_model_has_an_outline_before_it_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path))
    assert on_disk("smollm2-135m") is None
    assert count_parameters(outline("smollm2-135m")) == 134_515_008
    assert list(tmp_path.iterdir()) == []


@pytest.mark.model
def test_the_outline_before_fetching_is_that_of_the_model():
    before = AutoConfig.for_model(**EMBEDDED["smollm2-135m"].config).to_dict()
    config = json.loads((locate("smollm2-135m").folder / "config.json").read_text())
    assert {name: config[name] for name in EMBEDDED["smollm2-135m"].config} == {n: before[n] for n in EMBEDDED["smollm2-135m"].config}


def test_a_hub_model_that_is_not_cached_is_not_on_disk():
    assert on_disk("nobody/no-such-model") is None
    with pytest.raises(ModelError, match="could not be fetched"):
        outline("nobody/no-such-model")


def test_the_tokenizer_can_pad_and_end(tiny_tokenizer):
    assert tiny_tokenizer.eos_token == "<|im_end|>"
    assert tiny_tokenizer.pad_token_id is not None


def test_all_missing_files_are_listed_at_once(folder):
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).unlink()
    with pytest.raises(ModelError) as caught:
        locate(str(folder))
    assert caught.value.problems == ("config.json is missing", "model.safetensors is missing", "tokenizer.json is missing")


def test_a_missing_shard_is_named(folder):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}))
    with pytest.raises(ModelError, match=r"model-2\.safetensors is missing"):
        locate(str(folder))


def test_pickled_weights_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickle"):
        locate(str(folder))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_model_that_needs_its_own_code_is_refused(folder, name):
    change_json(folder / name, auto_map={"AutoModel": "evil.Model"})
    with pytest.raises(ModelError, match="auto_map"):
        locate(str(folder))


def test_a_tensor_that_lacks_is_an_error_not_random_numbers(folder):
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj\.weight is missing"):
        load_model(locate(str(folder)), device="cpu")


def test_a_tensor_of_another_shape_is_an_error(folder):
    change_json(folder / "config.json", intermediate_size=96)
    with pytest.raises(ModelError, match=r"(?s)weights do not fit|size mismatch|cannot be loaded"):
        load_model(locate(str(folder)), device="cpu")


@pytest.mark.parametrize(
    ("name", "content"), [("config.json", "{"), ("config.json", "[]"), ("model.safetensors", ""), ("tokenizer.json", "{}")]
)
def test_damaged_files_are_model_errors(folder, name, content):
    (folder / name).write_text(content)

    def use():
        base = locate(str(folder))
        load_tokenizer(base)
        load_model(base, device="cpu")

    with pytest.raises(ModelError):
        use()


def test_a_name_that_is_nothing_says_what_would_be():
    with pytest.raises(ModelError, match="smollm2-135m"):
        locate("no such thing")


def test_a_gguf_file_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        locate(str(tmp_path / "a.gguf"))


def test_a_hub_model_out_of_reach_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="give its folder"):
        locate("nobody/nothing")


def test_the_device_can_be_asked_for(monkeypatch):
    assert choose_device("cpu") == "cpu"
    monkeypatch.setenv("ENGRAIN_DEVICE", "cpu")
    assert choose_device() == "cpu"
    monkeypatch.setenv("ENGRAIN_DEVICE", "abacus")
    with pytest.raises(SettingError, match="ENGRAIN_DEVICE='abacus'"):
        choose_device()


def test_the_format_follows_what_the_processor_has(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert choose_dtype("cpu") == torch.float32
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert choose_dtype("cpu") == torch.bfloat16


def test_settings_become_device_and_format(monkeypatch):
    assert BaseSettings(precision="bfloat16", device="cpu").resolve() == ("cpu", torch.bfloat16)
    with pytest.raises(SettingError, match="precision='float8'"):
        BaseSettings(precision="float8")
