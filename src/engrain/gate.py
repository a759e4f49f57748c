"""Whether a question concerns the documents. Where it does not, the untouched model answers, so everyday abilities stay as they were.

A logistic regression on the mean hidden state of the question's tokens, about a quarter of the way up the untouched model.
It is fitted on the questions that are trained and on everyday prompts, and its threshold is set so that held-out questions
on the documents pass: to take one of those for an everyday question loses its answer, the other mistake costs little.

Shapes: B texts, T tokens, D model width.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from engrain.files import staged
from engrain.kernels.partial_model import states_before
from engrain.models import decoder_layers

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FILE = "gate.safetensors"
DEPTH = 0.25
"""How far up the model its hidden states are read: what a question is about shows early, and the rest need not be computed."""
PENALTY = 0.01
"""Weight of the squared coefficients (standardised inputs): there are about as many of them as questions."""
TURNED_AWAY = 0.02
"""Share of held-out questions on the documents that may fall under the threshold."""
MOST_TEXTS, MOST_TOKENS, BATCH = 4000, 128, 64


@dataclass(frozen=True)
class Gate:
    """Opens for a text whose mean hidden state (D) gives `weight · state + bias` of at least `threshold`."""

    weight: Tensor
    bias: float
    threshold: float

    def opens(self, states_BD: Tensor) -> list[bool]:
        """For each text, whether it concerns the documents."""
        return [bool(score >= self.threshold) for score in states_BD.double() @ self.weight + self.bias]

    def save(self, folder: Path) -> None:
        """Write `gate.safetensors`."""
        numbers = {"weight": self.weight, "bias": torch.tensor(self.bias), "threshold": torch.tensor(self.threshold)}
        with staged(folder / FILE) as partial:
            save_file(numbers, partial)

    @classmethod
    def load(cls, folder: Path) -> Gate | None:
        """The gate in a folder; None where there is none."""
        if not (folder / FILE).is_file():
            return None
        saved = load_file(folder / FILE)
        return cls(saved["weight"], float(saved["bias"]), float(saved["threshold"]))


def fit_gate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    about: Sequence[str],
    heldout: Sequence[str],
    everyday: Sequence[str],
    seed: int = 0,
) -> Gate:
    """The gate between questions `about` the documents and `everyday` texts, from the hidden states of the untouched `model`."""
    rng = random.Random(seed)
    chosen = [rng.sample(list(texts), min(len(texts), MOST_TEXTS)) for texts in (about, everyday)]
    inside, outside = (mean_states(model, tokenizer, texts).double() for texts in chosen)
    states = torch.cat([inside, outside])
    labels = torch.cat([torch.ones(len(inside)), torch.zeros(len(outside))]).double()
    mean, spread = states.mean(0), states.std(0) + 1e-6
    coefficients, intercept = _regression((states - mean) / spread, labels)
    weight = coefficients / spread
    bias = float(intercept - weight @ mean)
    known = mean_states(model, tokenizer, rng.sample(list(heldout), min(len(heldout), MOST_TEXTS))).double() if heldout else inside
    threshold = min(0.0, float(torch.quantile(known @ weight + bias, TURNED_AWAY)))
    return Gate(weight, bias, threshold)


def _regression(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients and intercept of a logistic regression in which both classes weigh the same."""
    weights = torch.where(labels > 0, 0.5 / labels.mean(), 0.5 / (1 - labels).mean())
    coefficients = torch.zeros(inputs.shape[1], dtype=inputs.dtype, requires_grad=True)
    intercept = torch.zeros((), dtype=inputs.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([coefficients, intercept], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        fit = F.binary_cross_entropy_with_logits(inputs @ coefficients + intercept, labels, weights)
        total = fit + PENALTY / 2 * coefficients.square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    return coefficients.detach(), intercept.detach()


def mean_states(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Tensor:
    """The mean hidden state (B, D, fp32) of each text's first tokens; no layer above the one that is read is computed."""
    rows = [tokenizer.encode(text, add_special_tokens=False)[:MOST_TOKENS] or [tokenizer.eos_token_id] for text in texts]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    layer = round(DEPTH * len(decoder_layers(model)))
    states = torch.empty(len(rows), model.config.get_text_config().hidden_size)
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        longest = len(rows[batch[-1]])
        # Attention looks back only, so what fills a row up to the longest changes nothing before it.
        ids = torch.tensor([rows[i] + rows[i][-1:] * (longest - len(rows[i])) for i in batch], device=model.device)
        with torch.no_grad():
            hidden_BTD = states_before(model, layer, input_ids=ids, use_cache=False)
        for i, hidden_TD in zip(batch, hidden_BTD, strict=True):
            states[i] = hidden_TD[: len(rows[i])].float().mean(0)
    return states
