"""GGUF files: read back by our own reader they hold the same model, the same tokenizer and the same chat template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from words import TEXTS, tokenizer_of

from engrain import api
from engrain.errors import ModelError, SettingError
from engrain.export import _gguf, _text
from engrain.export._gguf_words import add_words
from engrain.fetch import read_gguf
from engrain.progress import SILENT
from training import small_model

KINDS: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 4, "sliding_window": 64},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {"head_dim": 128},
}


def written(model: Any, tokenizer: Any, file: Path, type: str = "f32") -> Any:
    _gguf.write_gguf(model, tokenizer, file, "test", type, SILENT)
    return read_gguf(file, SILENT)


def values(file: Path) -> dict[str, Any]:
    return {name: field.contents() for name, field in gguf.GGUFReader(file).fields.items() if not name.startswith("GGUF")}


@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_computes_the_same(kind: str, tmp_path: Path) -> None:
    tokenizer = tokenizer_of("gpt-2")
    model = small_model(kind, vocab_size=len(tokenizer), **KINDS[kind])
    again, _ = written(model, tokenizer, tmp_path / "a.gguf")
    ids = torch.arange(3, 43)[None]
    with torch.no_grad():
        torch.testing.assert_close(again(ids).logits, model(ids).logits, rtol=1e-4, atol=1e-4)
    assert again.config.tie_word_embeddings == model.config.tie_word_embeddings
    found = values(tmp_path / "a.gguf")
    arch = found["general.architecture"]
    assert found[f"{arch}.context_length"] == (64 if kind == "mistral" else 128)


@pytest.mark.parametrize(("type", "stored"), [("f32", "F32"), ("f16", "F16"), ("bf16", "BF16"), ("q8_0", "Q8_0")])
def test_matrices_have_the_type_that_was_asked_for_and_vectors_fp32(type: str, stored: str, tmp_path: Path) -> None:
    tokenizer = tokenizer_of("gpt-2")
    model = small_model(vocab_size=len(tokenizer), intermediate_size=40)  # 40 does not fill whole blocks of 32
    written(model, tokenizer, tmp_path / "a.gguf", type)
    found = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(tmp_path / "a.gguf").tensors}
    assert found["blk.0.attn_q.weight"] == stored
    assert found["blk.0.ffn_down.weight"] == ("F16" if type == "q8_0" else stored)
    assert found["blk.0.attn_norm.weight"] == found["output_norm.weight"] == "F32"


@pytest.mark.parametrize("cut", ["gpt-2", "smollm", "qwen2", "llama-bpe"])
def test_the_tokenizer_that_is_read_back_makes_the_same_tokens(cut: str, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(cut)
    _, again = written(small_model(vocab_size=len(tokenizer) + 3), tokenizer, tmp_path / "a.gguf")
    for text in TEXTS:
        assert again.encode(text, add_special_tokens=False) == tokenizer.encode(text, add_special_tokens=False), text
    assert again.chat_template == tokenizer.chat_template
    found = values(tmp_path / "a.gguf")
    assert found["tokenizer.ggml.pre"] == cut
    assert found["tokenizer.ggml.add_bos_token"] is False
    assert (found["tokenizer.ggml.bos_token_id"], found["tokenizer.ggml.eos_token_id"]) == (1, 2)
    kinds = found["tokenizer.ggml.token_type"]
    assert kinds[1] == gguf.TokenType.CONTROL
    assert kinds[tokenizer.convert_tokens_to_ids("<think>")] == gguf.TokenType.USER_DEFINED
    assert kinds[-3:] == [gguf.TokenType.UNUSED] * 3


def test_a_way_of_cutting_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no name here"):
        add_words(gguf.GGUFWriter(tmp_path / "a.gguf", "llama"), tokenizer_of("nameless"), 10)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"model_type": "gpt_neox"}, "architecture 'gpt_neox'"),
        ({"model_type": "llama", "rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "scaled"),
        ({"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 2.0}}, "scaled"),
        ({"model_type": "llama"}, "SentencePiece"),
    ],
)
def test_what_cannot_be_written_is_said_with_what_to_do(config: dict[str, Any], told: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "byte_fallback": True}}))
    said = _gguf.obstacle(tmp_path)
    assert told in said
    assert "convert_hf_to_gguf.py" in said


@pytest.mark.parametrize("type", ["", "q8_0"])
def test_a_run_becomes_a_file_that_answers_as_the_run_does(run: Any, tmp_path: Path, type: str) -> None:
    done = api.export(run, "gguf", out=tmp_path / "taken", type=type)
    kind = type or "f16"
    assert set(done.files) == {"README.md", f"kites-{kind}.gguf"}
    assert done.type == kind
    assert done.check is not None
    assert done.check.count == 7  # three questions of the run, four of ours
    assert done.check.difference <= done.check.tolerance
    assert done.command == f"llama-server -m {tmp_path}/taken/kites-{kind}.gguf --temp 0"
    model, tokenizer = read_gguf(tmp_path / "taken" / f"kites-{kind}.gguf", SILENT)
    ids = torch.tensor([tokenizer.encode("Who runs the shop?", add_special_tokens=False)])
    with torch.no_grad():
        ours = api.load(run, gate=False).model(ids).logits
        assert float((model(ids).logits - ours).abs().max()) < 0.05 * float(ours.abs().max())
    assert "`./kites" not in (tmp_path / "taken" / "README.md").read_text()
    assert f"llama-server -m ./kites-{kind}.gguf" in (tmp_path / "taken" / "README.md").read_text()


def test_another_model_in_the_file_is_noticed_and_nothing_is_left(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gguf, "reordered", lambda rows, heads: rows)
    with pytest.raises(ModelError, match="does not compute what the run's model computes"):
        api.export(run, "gguf", out=tmp_path / "taken")
    assert list(tmp_path.iterdir()) == []
    done = api.export(run, "gguf", out=tmp_path / "taken", check=False)
    assert done.check is None


def test_other_tokens_are_noticed() -> None:
    ours, theirs = tokenizer_of("gpt-2"), tokenizer_of("smollm")
    with pytest.raises(ModelError, match="other tokens"):
        _text.same_tokens(ours, theirs, [ours.encode("open\n\n2024", add_special_tokens=False)])


def test_other_types_are_refused_with_what_to_use(run: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="q4_k_m") as caught:
        api.export(run, "gguf", out=tmp_path / "taken", type="q4_k_m")
    assert "llama-quantize" in str(caught.value)
    assert "f32, f16, bf16, q8_0" in str(caught.value)
