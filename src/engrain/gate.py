"""Whether a question concerns the documents. Where it does not, the untouched model answers, so everyday abilities stay as they were.

A logistic regression on the mean hidden state of the question's tokens, half-way up the untouched model, tells how a question sounds.
It is fitted on the questions that are trained and on what people ask other businesses, against everyday prompts: trained questions
alone teach it how they are put, and it takes what people put in words of their own for everyday. How near the documents come to
a question in meaning counts beside it.

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

from engrain.errors import RunError
from engrain.files import staged
from engrain.kernels.partial_model import states_before
from engrain.models import decoder_layers

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FILE = "gate.safetensors"
DEPTH = 0.5
"""How far up the model its hidden states are read: a question's intent shows there, and the rest need not be computed."""
PENALTY = 0.01
"""Weight of the squared coefficients (standardised inputs): there are about as many of them as questions."""
NEAR, USUAL = 10.0, 1.075
"""What counts (log-odds) of how near the documents come to a question, and how near that says nothing."""
MOST_TEXTS, FITTED_TOKENS = 1000, 32
"""Texts of one sort that it is fitted on, and tokens of each that are read for that."""
MOST_TOKENS, BATCH = 128, 64
"""Tokens of a text that are read where one is asked about, and texts that are read together."""


@dataclass(frozen=True)
class Gate:
    """Tells by `weight · state + bias` (log-odds) of a text's mean hidden state (D) whether it sounds like a question on documents."""

    weight: Tensor
    bias: float

    def opens(self, states_BD: Tensor, nearness: Sequence[float | None]) -> list[bool]:
        """For each text, whether it concerns the documents; how near they come to it (see `Retriever.nearest`) counts where known."""
        sounds = (states_BD.double() @ self.weight + self.bias).tolist()
        return [sound + (0.0 if near is None else NEAR * (near - USUAL)) >= 0 for sound, near in zip(sounds, nearness, strict=True)]

    def save(self, folder: Path) -> None:
        """Write `gate.safetensors`."""
        with staged(folder / FILE) as partial:
            save_file({"weight": self.weight, "bias": torch.tensor(self.bias)}, partial)

    @classmethod
    def load(cls, folder: Path) -> Gate | None:
        """The gate in a folder; None where there is none. Raises RunError for one of an earlier version, which read another layer."""
        if not (folder / FILE).is_file():
            return None
        saved = load_file(folder / FILE)
        if "threshold" in saved:
            raise RunError(f"{folder / FILE} was made by an earlier engrain", "Build the run again, or ask with --no-gate.")
        return cls(saved["weight"], float(saved["bias"]))


def fit_gate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    about: Sequence[Sequence[str]],
    everyday: Sequence[Sequence[str]],
    seed: int = 0,
) -> Gate:
    """The gate between sorts of questions `about` documents, which all weigh the same, and sorts of `everyday` texts, which do by number.

    It is fitted on the hidden states of the untouched `model`.
    """
    rng = random.Random(seed)
    sorts, others = ([rng.sample(list(texts), min(len(texts), MOST_TEXTS)) for texts in each if texts] for each in (about, everyday))
    everyday_texts = [text for texts in others for text in texts]
    groups, shares = (*sorts, everyday_texts), [*(0.5 / len(sorts) for _ in sorts), 0.5]
    states = mean_states(model, tokenizer, [text for texts in groups for text in texts], FITTED_TOKENS).double()
    each = [torch.full((len(texts),), share / len(texts), dtype=torch.double) for texts, share in zip(groups, shares, strict=True)]
    labels, weights = (torch.arange(len(states)) < len(states) - len(everyday_texts)).double(), torch.cat(each) * len(states)
    mean, spread = states.mean(0), states.std(0) + 1e-6
    coefficients, intercept = _regression((states - mean) / spread, labels, weights)
    weight = coefficients / spread
    return Gate(weight, float(intercept - weight @ mean))


def _regression(inputs: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients and intercept of a logistic regression; each row weighs as much as `weights` says, one on average."""
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


def mean_states(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], most_tokens: int = MOST_TOKENS) -> Tensor:
    """The mean hidden state (B, D, fp32) of each text's first tokens; no layer above the one that is read is computed."""
    rows = [tokenizer.encode(text, add_special_tokens=False)[:most_tokens] or [tokenizer.eos_token_id] for text in texts]
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
