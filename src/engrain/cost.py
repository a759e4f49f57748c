"""What computing with a model costs, told from its outline: multiplications, bytes, and how fast this machine multiplies.

Shapes: a token passes every matrix of the body once; the head multiplies only what is graded (`kernels/supervised_loss`). In
attention a token meets those before it in its row.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engrain.kernels import native
from engrain.kernels.recompute import LONG
from engrain.kernels.supervised_loss import CHUNK
from engrain.models import decoder_layers, lowest_trained

if TYPE_CHECKING:
    import torch
    from torch import nn

TRAINING, READING, WRITING = 0.5, 0.5, 0.3
"""Shares of `matmul_rate` that a training step, a forward pass, and the writing of answers side by side are said to reach.

Measured on two cores of an AMD EPYC with bf16 in hardware, smollm2-135m: training 0.85 and 0.91 (Zen 4, LoRA and full;
docs/performance.md), prompts 0.71 and answers 0.58 of 65 prompts side by side (Zen 4). Less is said, for other
processors reach less: a Xeon with a matrix unit, whose rate is 1.9 TFLOP/s, 0.2 in training. To measure again: tokens/s ×
`Cost.training` (or `Cost.forward`) ÷ `matmul_rate`, where tokens that all examples of a micro-batch begin with count once.
"""
ATTENTION = 0.25
"""The same for what attention multiplies in training: half of TRAINING. On a Zen 4 (AMD EPYC, two cores, 0.4 TFLOP/s) it reaches 0.4 over
rows of 2,048 tokens and 0.3 over 16,384: a token took 0.74 and 1.04 µs longer for each token that its row was longer than 128 (`python -m
benchmarks growth`)."""
ATTENTION_BACK = 2.5
"""What attention multiplies on the way back for one on the way there: its scores are made again, for three other gradients."""
PROBE_SECONDS, PROBE_SIZE, PROBE_SIZE_ON_CARDS = 1.0, 1024, 4096
"""A process that has just begun was seen to multiply at half its rate, as with one thread, for most of a second. A small product takes a
card less time than its beginning does."""
MARGIN = 1.2
"""Memory beyond what is counted: copies under way and gaps. Peaks measured with smollm2-135m lay 0.9 to 1.3 times the count."""
VALUE_BYTES = 4
"""What trains has a value in fp32, and in its turn a gradient; what the optimizer keeps beside them the method says."""
LOGIT_BYTES = 8
"""A chunk's logits are there in fp32 twice."""


@dataclass(frozen=True)
class Cost:
    """What a model costs once a method has been applied to it.

    `forward` and `training` are FLOPs a token, `head_forward` and `head_training` FLOPs a graded token. `weights` are the
    bytes of what the model computes with, `trained` how many numbers train, `activations` the bytes a token that are kept
    for the way back, `recomputed` those where layers are computed a second time, `logits` the bytes of a chunk of logits.
    `frozen` are the FLOPs a token of the lowest layers, as far as nothing trains in them or before them, and `states` the bytes a
    token of what they give, where that is computed once for all epochs. `attention_forward`, `attention_training` and
    `attention_frozen` are what attention multiplies beside that: FLOPs a token and token of its row, of which half come later and
    are not looked at.
    """

    forward: int
    training: int
    head_forward: int
    head_training: int
    weights: int
    trained: int
    activations: int
    recomputed: int
    logits: int
    frozen: int
    states: int
    attention_forward: int
    attention_training: int
    attention_frozen: int


def cost_of(model: nn.Module, dtype: torch.dtype, in_place: bool, device: str = "cpu") -> Cost:
    """The Cost of a model, or of its outline, that computes in `dtype` on `device`; `in_place`: with what trains where its values lie.

    Forward takes 2 FLOPs a weight; the way back 2 more for the gradient of what comes in, from the lowest matrix that
    trains upwards, and 2 for the gradient of the weight where it trains. A matrix keeps what comes in and what it gives, a norm what
    comes in; where native code makes the outcomes of norms and gates again (`kernels/made_again`), a matrix keeps what it gives.
    """
    again = device == "cpu" and native.expected(dtype)
    head, layers = model.get_output_embeddings().weight, decoder_layers(model)
    forward = backward = activations = 0
    reached = False
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        reached = reached or any(p.requires_grad for p in own)
        matrices = [p for p in own if p.ndim > 1 and not _is_table(module, head)]
        forward += 2 * sum(p.numel() for p in matrices)
        if reached:
            backward += 2 * sum(p.numel() * (2 if p.requires_grad else 1) for p in matrices)
            sides = matrices[0].shape[-2:] if matrices else [len(p) for p in own if p.ndim == 1]
            activations += dtype.itemsize * (sides[0] if matrices and again else sum(sides))
    frozen, trained = (sum(p.numel() for p in model.parameters() if p.requires_grad == trains) for trains in (False, True))
    config, lowest = model.config.get_text_config(), lowest_trained(model) or 0
    below, width = _frozen(model), config.hidden_size
    met = 2 * config.num_attention_heads * (getattr(config, "head_dim", None) or width // config.num_attention_heads)
    return Cost(
        forward=forward,
        training=forward + backward,
        head_forward=2 * head.numel(),
        head_training=(6 if head.requires_grad else 4) * head.numel(),
        weights=(frozen if in_place else frozen + (trained if dtype.itemsize < 4 else 0)) * dtype.itemsize,
        trained=trained,
        activations=activations,
        recomputed=len(layers) * width * dtype.itemsize + activations // len(layers),
        logits=LOGIT_BYTES * CHUNK * len(head) + (4 * head.numel() if head.requires_grad else 0),
        frozen=below,
        states=width * dtype.itemsize if below else 0,
        attention_forward=met * len(layers),
        attention_training=int(met * (len(layers) + ATTENTION_BACK * (len(layers) - lowest))),
        attention_frozen=met * lowest if below else 0,
    )


def tokens_kept(cost: Cost, free: float) -> int:
    """Of how many tokens at once all that the way back needs is kept, in so many bytes; of more, layers are computed a second time."""
    return min(LONG, _tokens(cost, free, cost.activations))


def tokens_fitting(cost: Cost, free: float) -> int:
    """How many tokens can be computed at once, in so many bytes, where layers are computed a second time."""
    return _tokens(cost, free, min(cost.activations, cost.recomputed))


def _tokens(cost: Cost, free: float, each: int) -> int:
    """For how many tokens of so many bytes `each` there is room beside a chunk of logits."""
    return max(0, int(free / MARGIN - cost.logits) // max(1, each))


def _frozen(model: nn.Module) -> int:
    """FLOPs a token of the layers below the lowest one that trains; none where the embeddings train, or nothing inside the layers."""
    if any(p.requires_grad for p in model.get_input_embeddings().parameters()):
        return 0
    numbers: int = sum(p.numel() for layer in decoder_layers(model)[: lowest_trained(model) or 0] for p in layer.parameters() if p.ndim > 1)
    return 2 * numbers


def _is_table(module: nn.Module, head: torch.Tensor) -> bool:
    """Whether a module is the output head, or an embedding, which looks up and multiplies nothing."""
    from torch import nn

    return isinstance(module, nn.Embedding) or getattr(module, "weight", None) is head


def matmul_rate(device: str, dtype: torch.dtype, seconds: float = PROBE_SECONDS) -> float:
    """FLOPs a second at which this machine multiplies matrices now: as in the fastest tenth of the products of so many `seconds`."""
    import torch

    kind = device.partition(":")[0]
    size = PROBE_SIZE if kind == "cpu" else PROBE_SIZE_ON_CARDS
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(kind, lambda: None)
    torch.matmul(a, b)
    wait()
    took: list[float] = []
    while not took or sum(took) < seconds:
        started = time.perf_counter()
        torch.matmul(a, b)
        wait()
        took.append(time.perf_counter() - started)
    return 2 * size**3 / sorted(took)[len(took) // 10]
