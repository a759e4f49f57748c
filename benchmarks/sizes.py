"""Models of several sizes with random weights, whose cost is that of real ones."""

from __future__ import annotations

from typing import Any

COMMON = {"vocab_size": 49152, "max_position_embeddings": 16384, "tie_word_embeddings": True}
SIZES: dict[str, dict[str, Any]] = {
    "135M": {
        "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    },
    "360M": {
        "hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 15, "num_key_value_heads": 5,
    },
    "1.7B": {
        "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 24, "num_attention_heads": 32, "num_key_value_heads": 32,
    },
    "1B": {
        "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
        "vocab_size": 128256,
    },
    "8B": {
        "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "vocab_size": 128256, "tie_word_embeddings": False,
    },
}  # fmt: skip
"""The shapes of the SmolLM2 models, and for CUDA those of Llama 3.2 1B and Llama 3.1 8B."""


def configuration(size: str) -> Any:
    """The configuration of a size."""
    from transformers import LlamaConfig

    return LlamaConfig(**{**COMMON, **SIZES[size]})


def random_model(size: str, dtype: Any, device: str = "cpu") -> Any:
    """A frozen model of this size with random weights, the same ones each time."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(configuration(size), dtype=dtype)
    return model.eval().requires_grad_(False)


def outline(size: str) -> Any:
    """The same without weights."""
    import torch

    return random_model(size, torch.float32, "meta")
