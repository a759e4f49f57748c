"""A step in one call equals the model's own, on the architectures that are of its kind; the others keep their own."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch

from engrain import generate as writing
from engrain.generate import generate
from engrain.kernels import decoder as module
from engrain.kernels import matmul
from engrain.kernels.decoder import decoder
from engrain.kernels.plain_attention import plain, roomy_cache

needs_unit = pytest.mark.skipif(not matmul.ready(), reason="this processor does not multiply bf16")
SAME = {"llama": {}, "qwen2": {}, "mistral": {"sliding_window": None}}
OTHERS: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": 4096},
    "qwen3": {},
    "gemma": {},
    "gemma3_text": {},
    "phi3": {"pad_token_id": 0},
    "smollm3": {"no_rope_layers": [1, 0, 1]},
    "granite": {"logits_scaling": 8.0, "residual_multiplier": 0.5},
    "llama": {"intermediate_size": 90},
}


def small(kind: str, dtype: torch.dtype = torch.bfloat16, **given: Any) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"vocab_size": 160, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3}
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "pad_token_id": 0, "eos_token_id": 2}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**sizes, **given})
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").to(dtype).eval()


def rows(count: int = 5, length: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and which are real: some rows begin later."""
    torch.manual_seed(1)
    mask = torch.ones(count, length, dtype=torch.long)
    mask[1, :5] = mask[3, :1] = 0
    return torch.randint(3, 160, (count, length)), mask


def stepped(model: Any, ids: torch.Tensor, mask: torch.Tensor, given: int, *, own: bool) -> torch.Tensor:
    """The logits (steps, B, V) after the first `given` tokens, read at once, and after each of the others."""
    positions, made, cache = (mask.cumsum(1) - 1).clamp(min=0), [], roomy_cache(model)
    found = decoder(model)
    assert found is not None
    assert cache is not None
    for first, last in [(0, given), *((at, at + 1) for at in range(given, ids.shape[1]))]:
        new, seen = (ids[:, first:last], positions[:, first:last]), mask[:, :last]
        if own:
            assert found.can(cache, last - first)
            made.append(found.read(model, *new, seen, cache))
        else:
            made.append(model(input_ids=new[0], attention_mask=seen, position_ids=new[1], cache=cache, use_cache=True).logits[:, -1])
    return torch.stack(made).float()


@needs_unit
@pytest.mark.parametrize("at_once", [7, 1024])
@pytest.mark.parametrize("kind", SAME)
def test_what_is_read_and_every_step_give_the_models_own_logits(kind: str, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    model = small(kind, **SAME[kind], hidden_size=96, num_attention_heads=6, num_key_value_heads=1)  # six queries read the same keys
    ids, mask = rows(length=80)  # beyond the room that is made at once
    with torch.inference_mode(), plain(model):
        own, usual = (stepped(model, ids, mask, 60, own=own) for own in (True, False))
    assert float((own - usual).norm()) <= 0.02 * float(usual.norm())


@needs_unit
def test_a_row_has_the_same_bits_alone_and_beside_others() -> None:
    model = small("llama")
    ids, mask = rows()
    with torch.inference_mode(), plain(model):
        whole = stepped(model, ids, mask, 6, own=True)
        for row in range(len(ids)):
            assert torch.equal(stepped(model, ids[row : row + 1], mask[row : row + 1], 6, own=True)[:, 0], whole[:, row])


@needs_unit
def test_a_token_beyond_the_room_of_its_slot_is_refused() -> None:
    model = small("llama")
    own = decoder(model)
    assert own is not None
    pairs = [(torch.zeros(1, 2, 8, 32, dtype=torch.bfloat16), torch.zeros(1, 2, 8, 32, dtype=torch.bfloat16)) for _ in range(3)]
    one = torch.zeros(1, dtype=torch.long)
    with pytest.raises(IndexError, match="place 8 of a slot that holds 8"), torch.inference_mode():
        own.states(model, one, one + 8, one, one + 8, torch.ones(1, 9, dtype=torch.uint8), pairs)


@needs_unit
@pytest.mark.parametrize("kind", OTHERS)
def test_models_of_another_kind_keep_their_own_steps(kind: str) -> None:
    assert decoder(small(kind, **OTHERS[kind])) is None


@needs_unit
def test_a_model_whose_positions_depend_on_the_length_keeps_its_own_steps() -> None:
    assert decoder(small("llama")) is not None
    assert decoder(small("llama", rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0})) is None


def test_other_numbers_keep_the_models_own_steps() -> None:
    assert decoder(small("llama", torch.float32)) is None


@needs_unit
def test_a_model_that_it_would_compute_wrongly_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model, parts = small("llama"), module._parts
    monkeypatch.setattr(module, "_parts", lambda layer: [2 * parts(layer)[0], *parts(layer)[1:]])
    assert decoder(model) is None


@needs_unit
def test_generate_writes_by_it_and_the_same(monkeypatch: pytest.MonkeyPatch, tiny_tokenizer: Any) -> None:
    model = small("llama", vocab_size=-(-len(tiny_tokenizer) // 32) * 32)
    prompts = [[5, 6, 7, 8], [5, 9], [5, 6, 7, 8], [11, 12, 13]]
    assert decoder(model) is not None
    steps: list[int] = []
    read = module.Decoder.read
    monkeypatch.setattr(module.Decoder, "read", lambda self, model, ids, *rest: steps.append(ids.shape[1]) or read(self, model, ids, *rest))
    own = generate(model, tiny_tokenizer, prompts, max_new_tokens=6)
    assert steps[:3] == [4, 1, 1]
    monkeypatch.setattr(writing, "decoder", lambda _: None)
    usual = generate(model, tiny_tokenizer, prompts, max_new_tokens=6)
    for one, other in zip(own, usual, strict=True):
        assert one.scores[:2] == pytest.approx(other.scores[:2], abs=0.05)


@needs_unit
def test_it_is_made_once_until_a_weight_changes_and_lets_the_model_go() -> None:
    model = small("llama")
    first = decoder(model)
    assert first is not None
    assert decoder(model) is first
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight.mul_(2)
    assert decoder(model) not in (None, first)
    seen = weakref.ref(model)
    del model, first
    gc.collect()
    assert seen() is None
