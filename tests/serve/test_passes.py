"""What a turn computes: what the model computes in one plain pass, and for each part the same bits alone and beside others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engrain.errors import ModelError
from engrain.kernels import matmul
from engrain.serve.adapters import Adapter
from engrain.serve.engine import Weights
from engrain.serve.passes import ByDecoder, ByModules, Part, passes
from engrain.serve.slots import Slots
from training import UNUSUAL, small_model

BASE, ONE, TWO = (Weights("base", adapter=Path(name) if name else None) for name in ("", "one", "two"))
LINEARS = ("self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
needs_unit = pytest.mark.skipif(not matmul.ready(), reason="this processor does not multiply bf16")


def plain(model: Any, ids: list[int]) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    return logits


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma2", "gpt_neox", "mistral", *UNUSUAL])
def test_modules_compute_in_slots_what_the_model_computes(kind: str) -> None:
    """Chunks of a prompt and single tokens, against one plain pass; sliding windows and soft caps included."""
    special = {"gemma2": {"sliding_window": 12, "head_dim": 8}, "mistral": {"sliding_window": 12}, **UNUSUAL}
    model = small_model(kind, **special.get(kind, {}))
    ids = torch.randint(3, 97, (40,), generator=torch.Generator().manual_seed(0)).tolist()
    wanted = plain(model, ids)
    with torch.inference_mode():
        own = passes(model, Slots(2, 64), 16)
        assert isinstance(own, ByModules)
        for start in (0, 16):
            found = own.logits([Part(BASE, 1, start, tuple(ids[start : start + 16]), (3, 15))], [], {})[0]
            assert torch.allclose(found, wanted[[start + 3, start + 15]], atol=1e-4)
        for place in range(32, 40):
            found = own.logits([], [Part(BASE, 1, place, (ids[place],), (0,))], {})[0]
            assert torch.allclose(found[0], wanted[place], atol=1e-4)


def test_a_model_with_a_state_of_another_kind_is_refused() -> None:
    model = small_model("lfm2", layer_types=["conv", "full_attention"])
    with pytest.raises(ModelError, match="vllm"), torch.inference_mode():
        passes(model, Slots(2, 64), 16)


def wide_model() -> Any:
    """A model in sizes that are full units."""
    sizes = {"vocab_size": 160, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 2, "num_key_value_heads": 1}
    return small_model("llama", **sizes).to(torch.bfloat16)


def adapter(model: Any, seed: int, rank: int, *more: str) -> Adapter:
    """A on B of most linear layers, and of those named beside them."""
    torch.manual_seed(seed)
    names = [f"model.layers.{layer}.{name}" for layer in range(2) for name in LINEARS if (layer, seed) != (1, 2)]
    shapes = {name: model.get_submodule(name).weight.shape for name in [*names, *more]}
    return {name: (0.1 * torch.randn(rank, i).bfloat16(), 0.1 * torch.randn(o, rank).bfloat16()) for name, (o, i) in shapes.items()}


def merged(adapter: Adapter) -> Any:
    model = wide_model().float()
    for name, (a, b) in adapter.items():
        weight = model.get_submodule(name).weight
        weight += b.float() @ a.float()
    return model


def filled(own: ByDecoder, lengths: list[int], weights: list[Weights], adapters: dict[Weights, Any]) -> None:
    """Each slot has so many tokens of its own."""
    for slot, length in enumerate(lengths):
        own.logits([Part(weights[slot], slot, 0, text(slot)[:length], ())], [], adapters)


def text(slot: int) -> tuple[int, ...]:
    return tuple(torch.randint(3, 160, (80,), generator=torch.Generator().manual_seed(slot)).tolist())


def opened(slots: int) -> tuple[ByDecoder, dict[Weights, Any]]:
    model = wide_model()
    own = passes(model, Slots(slots, 96), 32)
    assert isinstance(own, ByDecoder)
    return own, {ONE: own.prepared(adapter(model, 1, 4)), TWO: own.prepared(adapter(model, 2, 40, "lm_head"))}


@needs_unit
@pytest.mark.parametrize("weights", [BASE, ONE, TWO])
def test_the_decoder_is_as_near_to_the_merged_model_in_fp32_as_modules_are(weights: Weights) -> None:
    given = {ONE: (1, 4), TWO: (2, 40, "lm_head")}.get(weights)
    made = adapter(wide_model(), *given) if given else {}
    wanted = plain(merged(made), list(text(0)))
    far = []
    for own in (opened(2)[0], ByModules(wide_model(), Slots(2, 96), 32)):
        adapters = {weights: own.prepared(made)} if given else {}
        with torch.inference_mode():
            parts = [Part(weights, 1, start, text(0)[start : start + 20], tuple(range(20))) for start in (0, 20, 40)]
            found = [logits for part in parts for logits in own.logits([part], [], adapters)]
            found += [own.logits([], [Part(weights, 1, place, text(0)[place : place + 1], (0,))], adapters)[0] for place in range(60, 80)]
        far.append(float((torch.cat(found).float() - wanted).norm() / wanted.norm()))
    assert far[0] <= 1.2 * far[1]


@needs_unit
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_part_has_the_same_bits_alone_and_beside_others_however_its_text_was_cut(data: st.DataObject) -> None:
    own, adapters = opened(5)
    weights = [data.draw(st.sampled_from([BASE, ONE, TWO])) for _ in range(5)]
    lengths = [data.draw(st.integers(1, 40)) for _ in range(5)]
    sizes = [data.draw(st.sampled_from([1, 1, 7, 30])) for _ in range(5)]
    with torch.inference_mode():
        filled(own, lengths, weights, adapters)
        parts = [
            Part(weights[slot], slot, lengths[slot], text(slot)[lengths[slot] : lengths[slot] + size], (size - 1,))
            for slot, size in enumerate(sizes)
        ]
        mixed = data.draw(st.permutations(parts))
        chunks, steps = ([part for part in mixed if (len(part.tokens) == 1) is single] for single in (False, True))
        together = dict(zip([part.slot for part in [*chunks, *steps]], own.logits(chunks, steps, adapters), strict=True))
        for part in parts:
            fresh, whole = opened(1)[0], text(part.slot)[: part.start + len(part.tokens)]
            alone = fresh.logits([Part(part.weights, 0, 0, whole, (len(whole) - 1,))], [], adapters)[0]
            assert torch.equal(together[part.slot], alone)


@needs_unit
def test_longer_texts_than_the_decoder_holds_are_computed_by_modules() -> None:
    with torch.inference_mode():
        assert isinstance(passes(wide_model(), Slots(1, 5000), 32), ByModules)
