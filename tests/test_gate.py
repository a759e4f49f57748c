"""The gate: what concerns the documents goes to the tuned model, the rest to the untouched one."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from engrain.assistant import Assistant, Everyday, Library
from engrain.errors import RunError
from engrain.gate import USUAL, Gate, fit_gate, mean_states
from engrain.models import decoder_layers

DAYS = ["Monday", "Tuesday", "Friday", "Sunday"]


def about(seed: int) -> list[str]:
    rng = random.Random(seed)
    return [f"When does the {rng.choice('xyz') * 6} kite shop {rng.choice(['open', 'close'])} on {rng.choice(DAYS)}?" for _ in range(40)]


def everyday(seed: int) -> list[str]:
    rng = random.Random(seed)
    return [f"Name {rng.randrange(2, 99)} + {rng.randrange(2, 99)}, or {rng.randrange(2, 99)}!" for _ in range(40)]


@pytest.fixture
def gate(tiny_model: Any, tiny_tokenizer: Any) -> Gate:
    return fit_gate(tiny_model, tiny_tokenizer, (about(0),), (everyday(0),))


def told(gate: Gate, model: Any, tokenizer: Any, texts: list[str], near: float | None = None) -> int:
    """How many of the texts the gate takes for questions on the documents."""
    return sum(gate.opens(mean_states(model, tokenizer, texts), [near] * len(texts)))


def test_it_tells_new_questions_on_the_documents_from_others(gate: Gate, tiny_model: Any, tiny_tokenizer: Any) -> None:
    assert told(gate, tiny_model, tiny_tokenizer, about(2)) >= 38
    assert told(gate, tiny_model, tiny_tokenizer, everyday(2)) <= 2


def test_how_near_the_documents_come_counts_beside_how_a_question_sounds(gate: Gate, tiny_model: Any, tiny_tokenizer: Any) -> None:
    each = [told(gate, tiny_model, tiny_tokenizer, everyday(2), near) for near in (None, USUAL, 2.0)]
    assert each[0] == each[1] <= 2 < 38 <= each[2]
    assert told(gate, tiny_model, tiny_tokenizer, about(2), 0.0) <= 2


def test_every_sort_of_question_that_it_is_fitted_on_opens_it(gate: Gate, tiny_model: Any, tiny_tokenizer: Any) -> None:
    others = [text.replace("kite shop", "zoo") + " I AM BACK SOON" for text in about(3)]
    both = fit_gate(tiny_model, tiny_tokenizer, (about(0) * 9, others[:20]), (everyday(0),))  # a few weigh as much as many
    assert told(both, tiny_model, tiny_tokenizer, others[20:]) >= 18
    assert told(both, tiny_model, tiny_tokenizer, everyday(2)) <= 2


def test_one_of_an_earlier_version_is_told_from_one_of_today(gate: Gate, tmp_path: Path) -> None:
    save_file({"weight": gate.weight, "bias": torch.tensor(0.0), "threshold": torch.tensor(0.0)}, tmp_path / "gate.safetensors")
    with pytest.raises(RunError, match=r"gate\.safetensors was made by an earlier engrain"):
        Gate.load(tmp_path)


def test_it_is_the_same_when_it_comes_back(gate: Gate, tmp_path: Path, tiny_model: Any, tiny_tokenizer: Any) -> None:
    gate.save(tmp_path)
    back = Gate.load(tmp_path)
    assert back is not None
    assert torch.equal(back.weight, gate.weight)
    assert back.bias == pytest.approx(gate.bias)
    assert Gate.load(tmp_path / "nowhere") is None


def test_states_are_means_of_the_middle_layer_whatever_stands_beside(tiny_model: Any, tiny_tokenizer: Any) -> None:
    texts = ["Hi", "When do you open on Sundays, and when do you close?", ""]
    states = mean_states(tiny_model, tiny_tokenizer, texts)
    for text, state in zip(texts, states, strict=True):
        ids = tiny_tokenizer.encode(text, add_special_tokens=False) or [tiny_tokenizer.eos_token_id]
        hidden = tiny_model.model(torch.tensor([ids]), output_hidden_states=True).hidden_states[round(len(decoder_layers(tiny_model)) / 2)]
        torch.testing.assert_close(state, hidden[0].mean(0), atol=1e-5, rtol=1e-4)


@pytest.fixture
def assistants(gate: Gate, tiny_folder: Path, tiny_model: Any, tiny_tokenizer: Any) -> dict[str, Assistant]:
    from engrain.models import load_model, locate

    tuned = load_model(locate(str(tiny_folder)), dtype=torch.float32, device="cpu")
    with torch.no_grad():
        tuned.model.layers[1].mlp.down_proj.weight.mul_(-3)
    nothing = Library((), ())
    return {
        "gated": Assistant(tuned, tiny_tokenizer, nothing, everyday=Everyday(gate, tiny_model)),
        "tuned": Assistant(tuned, tiny_tokenizer, nothing),
        "base": Assistant(tiny_model, tiny_tokenizer, nothing),
    }


def test_each_question_is_answered_by_the_model_it_belongs_to(assistants: dict[str, Assistant]) -> None:
    questions = [everyday(2)[0], about(2)[0], everyday(2)[1], about(2)[1]]
    gated, tuned, base = ([a.text for a in assistants[name].ask_many(questions)] for name in ("gated", "tuned", "base"))
    assert assistants["gated"].concerns(questions) == [False, True, False, True]
    assert gated == [base[0], tuned[1], base[2], tuned[3]]
    assert tuned != base


def test_a_follow_up_concerns_what_the_question_before_it_did(assistants: dict[str, Assistant]) -> None:
    follow = everyday(3)[0]
    gated, tuned, base = (assistants[name] for name in ("gated", "tuned", "base"))
    history = [(about(2)[0] * 3, "At nine.")]
    assert "".join(gated.stream(follow, history)) == "".join(tuned.stream(follow, history))
    assert "".join(gated.stream(follow)) == "".join(base.stream(follow))
