from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engrain.errors import ModelError
from engrain.tasks import _packed as module
from engrain.tasks._packed import check_model, common_prefix, flatten
from engrain.tasks.chat import Chat, log_likelihood
from engrain.tokens import Encoded
from training import UNUSUAL, examples, small_model

WINDOW = {"sliding_window": 7}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama, tied": {"tie_word_embeddings": True},
    "qwen2": {"use_sliding_window": True, "max_window_layers": 1, **WINDOW},
    "qwen3": {"head_dim": 8},
    "gemma2": {"head_dim": 8, "query_pre_attn_scalar": 11, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0, **WINDOW},
    "gemma3_text": {"head_dim": 8, "query_pre_attn_scalar": 11, **WINDOW},
    "mistral": {"head_dim": 8, **WINDOW},
    "phi3": {**WINDOW},
    "smollm3": {},
    **UNUSUAL,
}
REFUSED: dict[str, dict[str, Any]] = {
    "qwen2_moe": {
        "use_sliding_window": True, "max_window_layers": 1, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8,
        "shared_expert_intermediate_size": 8, **WINDOW,
    },
    "phi": {},
    "stablelm": {},
    "bloom": {},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
}  # fmt: skip


def plain_loss(model: Any, batch: list[Encoded]) -> Tensor:
    """The sum over the examples, each alone, of what the unpatched model itself gives for its labels."""
    total = torch.zeros(())
    for encoded in batch:
        ids = torch.from_numpy(encoded.ids).long()
        labels = torch.where(torch.from_numpy(encoded.supervised), ids, -100)
        total = total + model(input_ids=ids[None], labels=labels[None], use_cache=False).loss * (labels[1:] != -100).sum()
    return total


def gradients(model: Any, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("shared", [0, 10])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_packed_batch_equals_each_example_alone(name: str, shared: int) -> None:
    model = small_model(name.partition(",")[0], **ARCHITECTURES[name]).requires_grad_(True)
    batch = examples(5, shared=shared)
    assert common_prefix(batch) == shared
    loss = Chat(batch).loss(model, batch)
    plain = plain_loss(model, batch)
    assert loss.count == sum(int(e.supervised[1:].sum()) for e in batch)
    torch.testing.assert_close(loss.total, plain, rtol=1e-5, atol=1e-4)
    fast, slow = gradients(model, loss.total), gradients(model, plain)
    for parameter, expected in slow.items():
        scale = float(expected.norm()) + 1e-3
        assert float((fast[parameter] - expected).norm()) <= 1e-4 * scale, parameter


def test_rows_are_made_of_round_length_without_changing_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model("llama").requires_grad_(True)
    batch = sorted(examples(5, shared=10), key=len, reverse=True)
    monkeypatch.setattr(module, "ROUND", 1)
    plain = gradients(model, Chat(batch).loss(model, batch).total)
    lengths: list[int] = []
    monkeypatch.setattr(module, "ROUND", 4)
    monkeypatch.setattr(model.base_model.norm, "forward", noted(model.base_model.norm.forward, lengths))
    rounded = gradients(model, Chat(batch).loss(model, batch).total)
    assert lengths[-1] % 4 == 0 != (10 + sum(len(e) - 10 for e in batch)) % 4
    for parameter, expected in plain.items():
        torch.testing.assert_close(rounded[parameter], expected, rtol=1e-4, atol=1e-5)


def noted(forward: Any, lengths: list[int]) -> Any:
    def run(x: Tensor) -> Tensor:
        lengths.append(x.shape[-2])
        return forward(x)

    return run


@pytest.mark.parametrize("lengths", [[30], [30, 30], [30, 29]])
def test_no_row_grows_beyond_the_longest(lengths: list[int]) -> None:
    assert module._to_round(lengths, sum(lengths)) == 0


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_packing_would_compute_wrongly_is_refused(name: str) -> None:
    model = small_model(name, **REFUSED[name])
    with pytest.raises(ModelError, match=f"{type(model).__name__} (computes packed rows wrongly|cannot compute packed rows)"):
        Chat(examples(2)).loss(model, examples(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_check_leaves_the_model_as_it_was(dtype: torch.dtype) -> None:
    model = small_model("mistral", head_dim=8, **WINDOW).to(dtype).train()
    check_model(model)
    assert model.training
    assert model.config.sliding_window == WINDOW["sliding_window"]
    assert all(p.grad is None for p in model.parameters())


def test_a_model_is_checked_once(tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(module, "check_model", seen.append)
    task, batch = Chat([]), examples(2)
    assert task.loss(tiny_model, batch).count == task.loss(tiny_model, batch).count
    assert seen == [tiny_model]


def test_correct_counts_the_likeliest_tokens() -> None:
    model, batch = small_model(), examples(6)
    right = 0
    for encoded in batch:
        guesses = model(input_ids=torch.from_numpy(encoded.ids).long()[None]).logits[0].argmax(-1).numpy()
        right += int(((guesses[:-1] == encoded.ids[1:]) & encoded.supervised[1:]).sum())
        encoded.ids[1:][encoded.supervised[1:]] = guesses[:-1][encoded.supervised[1:]]
    assert Chat(batch).loss(model, examples(6)).correct == right
    assert Chat(batch).loss(model, batch).correct > right


def test_what_is_practised_twice_and_would_not_be_said_is_not_known() -> None:
    model, (said, other, once, replayed) = small_model(), examples(4)
    for place in np.flatnonzero(said.supervised):
        said.ids[place] = int(model(input_ids=torch.from_numpy(said.ids[:place]).long()[None]).logits[0, -1].argmax())
    task = Chat([once, said, other, other, said], (), [replayed, replayed])
    assert task.by_heart() == [1, 2]
    assert task.not_known(model) == [2]
    said.ids[np.flatnonzero(said.supervised)[0]] += 1
    assert task.not_known(model) == [1, 2]
    assert Chat([once, said, other]).by_heart() == Chat([once, said, other]).not_known(model) == []


def test_replayed_rows_hold_the_model_where_it_was() -> None:
    """On its own expectations the untouched model has no gradient, and what it learned elsewhere is pulled back."""
    model = small_model(vocab_size=60).requires_grad_(True)
    rows = examples(4)
    for row in rows:
        row.ids[:] %= 60
    task = Chat([], [], rows)
    task.prepare(model)
    assert [e.likely.tokens.shape for e in task.train if e.likely] == [(len(e), 60) for e in rows]
    assert [e.supervised.tolist() for e in task.train] == [[False] * 11 + [True] * (len(e) - 11) for e in rows]
    held = gradients(model, task.loss(model, task.train).total)
    free = gradients(model, Chat(rows).loss(model, rows).total)
    for name, gradient in free.items():
        assert float(held[name].norm()) <= 1e-3 * float(gradient.norm()) + 1e-4, name


def test_replayed_rows_and_others_share_a_batch() -> None:
    model, rows = small_model(), examples(6)
    task = Chat(rows[:3], [], rows[3:])
    task.prepare(model)
    assert [e.likely is None for e in task.train] == [True] * 3 + [False] * 3
    together = task.loss(model, task.train)
    apart = [task.loss(model, part) for part in (task.train[:3], task.train[3:])]
    torch.testing.assert_close(together.total, apart[0].total + apart[1].total)
    assert together.count == apart[0].count + apart[1].count == sum(map(task.targets, task.train))


def encoded(ids: list[int], supervised: list[int]) -> Encoded:
    return Encoded(np.array(ids, dtype=np.int32), np.array(supervised, dtype=bool))


def test_the_prefix_leaves_each_row_the_token_before_its_first_target() -> None:
    short = encoded([*range(10), 50], [0] * 10 + [1])
    long = encoded([*range(10), 60, 61], [0] * 10 + [1, 1])
    assert common_prefix([short, long]) == 9
    assert common_prefix([short]) == 0
    flat = flatten([short, long], 9)
    assert flat.ids.tolist() == [*range(9), 9, 50, 9, 60, 61]
    assert (flat.lengths, flat.after) == ((2, 3), (-1, -1))
    assert flat.positions.tolist() == [9, 11, 12]
    assert flat.targets.tolist() == [50, 60, 61]


def test_rows_with_one_prompt_continue_it() -> None:
    first, second = encoded([0, 1, 2, 3, 50], [0] * 4 + [1]), encoded([0, 1, 2, 3, 60, 61], [0] * 4 + [1, 1])
    other, nothing = encoded([0, 1, 7, 50], [0] * 3 + [1]), encoded([0, 1, 2], [0] * 3)
    flat = flatten([first, second, other, nothing], 1, by_prompt=True)
    assert flat.ids.tolist() == [0, 1, 2, 3, 50, 3, 60, 61, 1, 7, 50, 1, 2]
    assert (flat.lengths, flat.after) == ((2, 2, 3, 3, 2), (-1, 0, 0, -1, -1))
    assert [int(flat.ids[place + 1]) for place in flat.positions] == flat.targets.tolist() == [50, 60, 61, 50]
    assert flatten([first, second], 3, by_prompt=True).after == (-1, -1), "all of the prompt is the prefix"


@pytest.mark.parametrize("prompts", [["one", "one", "two", "three", "three"], ["one"] * 3, ["one", "two"]])
def test_a_prompt_that_is_computed_once_gives_what_it_gives_each_time(prompts: list[str]) -> None:
    torch.manual_seed(0)
    model, places = small_model(), {name: torch.randint(3, 60, (9 + n,)).tolist() for n, name in enumerate(("one", "two", "three"))}
    rows = [encoded([*range(10), *places[name], 5, n, 9], [0] * (11 + len(places[name])) + [1, 1]) for n, name in enumerate(prompts)]
    once, each = log_likelihood(model, rows, by_prompt=True), log_likelihood(model, rows)
    assert [(found.tokens, found.foremost) for found in once] == [(found.tokens, found.foremost) for found in each]
    assert [found.total for found in once] == pytest.approx([found.total for found in each], abs=1e-4)


def test_rows_equal_to_the_end_or_without_targets() -> None:
    same = encoded(list(range(12)), [0] * 11 + [1])
    nothing = encoded(list(range(12)), [0] * 12)
    for batch in ([same, same], [same, nothing], [nothing, nothing]):
        model = small_model().requires_grad_(True)
        loss = Chat([]).loss(model, batch)
        assert loss.count == sum(e is same for e in batch)
        expected = plain_loss(model, [e for e in batch if e is same])
        torch.testing.assert_close(loss.total, expected)
        loss.total.backward()


def test_a_target_at_the_very_beginning_does_not_count() -> None:
    row = encoded([5, 6, 7], [1, 0, 1])
    task = Chat([row])
    assert task.targets(row) == task.loss(small_model(), [row]).count == 1
    assert task.length(row) == 3


def test_content_tells_examples_apart() -> None:
    task = Chat([])
    rows = [encoded([1, 2], [0, 1]), encoded([1, 3], [0, 1]), encoded([1, 2], [1, 1])]
    assert len({task.content(row) for row in rows}) == 3
    assert task.content(rows[0]) == task.content(encoded([1, 2], [0, 1]))


def test_labels_are_smoothed_while_the_model_trains_and_not_where_it_is_measured() -> None:
    model, rows = small_model(), examples(6)
    task = Chat(rows[:3], [], rows[3:], label_smoothing=0.2)
    task.prepare(model)
    own, replay = task.train[:3], task.train[3:]
    plain = [task.loss(model.eval(), part).total for part in (own, replay)]
    torch.testing.assert_close(plain[0], plain_loss(model, own))
    smoothed = [task.loss(model.train(), part).total for part in (own, replay)]
    expected = torch.zeros(())
    for row in own:
        ids = torch.from_numpy(row.ids).long()
        labels = torch.where(torch.from_numpy(row.supervised), ids, -100)[1:]
        logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
        expected = expected + F.cross_entropy(logits, labels, reduction="sum", label_smoothing=0.2)
    torch.testing.assert_close(smoothed[0], expected)
    torch.testing.assert_close(smoothed[1], plain[1])
