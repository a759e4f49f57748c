"""The attention of generation equals PyTorch's own, over caches with empty room too, on every usual architecture."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from engrain.kernels import native
from engrain.kernels import plain_attention as module
from engrain.kernels.plain_attention import BLOCK, FEW_KEYS, FEW_QUERIES, NAME, RoomyLayer, plain, plain_attention, roomy_cache
from training import UNUSUAL, small_model


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_equals_the_fused_attention(data: st.DataObject) -> None:
    rows, groups, key_heads, keys = (data.draw(st.integers(1, high)) for high in (3, 3, 2, 40))
    queries = data.draw(st.integers(1, keys))
    torch.manual_seed(data.draw(st.integers(0, 99)))
    q = torch.randn(rows, groups * key_heads, queries, 8)
    k, v = torch.randn(2, rows, key_heads, keys, 8)
    mask = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries).expand(rows, 1, queries, keys)
    mask = mask & (torch.rand(rows, 1, 1, keys) < 0.8) | torch.eye(queries, keys, dtype=torch.bool)
    out, _ = plain_attention(torch.nn.Identity().eval(), q, k, v, mask)
    wanted = F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True).transpose(1, 2)
    torch.testing.assert_close(out, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(native.library() is None, reason="no C compiler")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize("shared", [True, False])
def test_few_queries_are_computed_natively(dtype: torch.dtype, width: int, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As over all scores, whatever lies between the queries of a row in memory; a row that sees nothing gets zeros."""
    torch.manual_seed(0)
    q = torch.randn(5, 3, 6, width + 1).to(dtype)[..., :width].transpose(1, 2)
    k, v = torch.randn(2, 5, 2, 40, width).to(dtype)
    mask = torch.rand(1 if shared else 5, 1, 3, 40) < 0.7
    mask[0, :, 2] = False
    wanted = plain_attention(torch.nn.Identity().eval(), q.float(), k.float(), v.float(), mask)[0]  # with gradients, so not natively
    monkeypatch.setattr(module, "with_scores", lambda *_: pytest.fail("over all scores"))
    with torch.no_grad():
        out, _ = plain_attention(torch.nn.Identity().eval(), q, k, v, mask)
    assert not out[0, 2].any()
    wanted[mask.expand(5, -1, -1, -1)[:, 0].sum(-1) == 0] = 0
    torch.testing.assert_close(
        out.float(), wanted, atol=1e-5 if dtype == torch.float32 else 0.02, rtol=1e-5 if dtype == torch.float32 else 0.02
    )


def test_room_is_made_in_blocks_and_stays_empty() -> None:
    layer = RoomyLayer()
    first, second = torch.randn(2, 3, BLOCK - 1, 4), torch.randn(2, 3, 2, 4)
    keys, _ = layer.update(first, first)
    assert keys.shape[2] == layer.get_mask_sizes(0)[0] == BLOCK
    place = keys.data_ptr()
    assert layer.update(second[:, :, :1], second[:, :, :1])[0].data_ptr() == place, "a token is written where there is room"
    keys, values = layer.update(second[:, :, 1:], second[:, :, 1:])
    torch.testing.assert_close(keys[:, :, : BLOCK + 1], torch.cat([first, second], 2))
    assert layer.get_seq_length() == BLOCK + 1
    assert not values[:, :, BLOCK + 1 :].any()


def small(kind: str) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    given: dict[str, Any] = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    given |= {"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    given |= {"sliding_window": 6} if kind in ("mistral", "gemma3_text") else {}
    given |= {"head_dim": 8} if kind != "phi3" else {}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **given)
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()


@pytest.mark.parametrize(
    "kind", ["llama", "qwen2", "qwen3", "mistral", "gemma", "gemma3_text", "phi3", "smollm3", "granite", "deepseek_v3", "cohere2"]
)
def test_step_by_step_gives_the_logits_of_the_whole_row(kind: str) -> None:
    model = small_model(kind, **UNUSUAL[kind]) if kind in UNUSUAL else small(kind)
    ids = torch.randint(3, 64, (2, 20))
    with torch.no_grad():
        wanted = model(ids, use_cache=False).logits
        with plain(model):
            cache = roomy_cache(model)
            steps = [model(part, cache=cache, use_cache=True).logits for part in (ids[:, :9], *ids[:, 9:].split(1, 1))]
    torch.testing.assert_close(torch.cat(steps, 1), wanted, atol=1e-4, rtol=1e-4)


def test_other_attentions_are_left_alone() -> None:
    model = small("llama")
    model.set_attn_implementation("eager")
    with plain(model):
        assert model.config._attn_implementation == "eager"
        assert roomy_cache(model) is None


def test_the_model_is_as_before_afterwards(tiny_model: Any) -> None:
    before = tiny_model.config._attn_implementation
    with plain(tiny_model):
        assert tiny_model.config._attn_implementation == NAME
    assert tiny_model.config._attn_implementation == before


def test_long_rows_keep_the_fused_attention() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(1, 4, FEW_QUERIES + 1, 8), *torch.randn(2, 1, 2, FEW_KEYS + 1, 8)
    mask = torch.ones(FEW_QUERIES + 1, FEW_KEYS + 1, dtype=torch.bool).tril(FEW_KEYS - FEW_QUERIES)[None, None]
    module = torch.nn.Identity().eval()
    module.num_key_value_groups = 2
    out, _ = plain_attention(module, q, k, v, mask)
    torch.testing.assert_close(out, F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True).transpose(1, 2), atol=1e-5, rtol=1e-5)
