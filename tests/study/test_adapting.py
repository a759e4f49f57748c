"""What an encoder learns is kept as a low-rank change of its layers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import tiny
from engrain.encoder import Encoder
from engrain.study.adapting import Adapting, adapt, write

TEXTS = ["What does a van cost?", "Is the yard open?", "Who keeps the keys?"]


def test_what_was_learned_is_read_again_from_the_adapter(tmp_path: Path) -> None:
    learner, wanted = Encoder(tiny.build_encoder(tmp_path / "encoder")), torch.tensor([1.0, -1.0, 0.5])
    head = nn.Parameter(torch.zeros(1))

    def loss(step: int) -> torch.Tensor:
        return (learner.means(TEXTS, 32)[:, 0] + head - wanted).square().mean()

    losses = adapt(learner, loss, tmp_path / "adapter", Adapting(rank=32, learning_rate=5e-3, warmup=5, steps=80), {"shift": head})
    assert losses[-1] < 0.5 * losses[0]
    again = Encoder(tiny.build_encoder(tmp_path / "again"), tmp_path / "adapter")
    assert torch.allclose(again.means(TEXTS, 32), learner.means(TEXTS, 32), atol=1e-4), "rank 32 is all of a layer this small"
    assert load_file(tmp_path / "adapter" / "adapter_model.safetensors")["shift"] == head.detach() != 0
    torch.testing.assert_close(
        {n: p for n, p in again.model.named_parameters() if "embeddings" in n or "pooler" in n},
        {n: p for n, p in learner.model.named_parameters() if "embeddings" in n or "pooler" in n},
    )


def test_of_a_change_the_largest_dimensions_are_kept(tmp_path: Path) -> None:
    left, right = torch.linalg.qr(torch.randn(8, 3))[0], torch.linalg.qr(torch.randn(6, 3))[0]
    change = left @ torch.diag(torch.tensor([5.0, 3.0, 0.1])) @ right.T
    write({"layer": change}, 2, {}, tmp_path)
    kept = load_file(tmp_path / "adapter_model.safetensors")
    found = kept["base_model.model.layer.lora_B.weight"] @ kept["base_model.model.layer.lora_A.weight"]
    assert torch.linalg.matrix_norm(found - change, 2).item() == pytest.approx(0.1, abs=1e-4)
