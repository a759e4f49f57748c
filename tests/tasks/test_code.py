from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from engrain.coding.repository import CodeFile
from engrain.tasks._fim import fill_in, find_sentinels, gap, left_to_right, make_room, pieces, prompt, tokenize
from engrain.tasks.code import Code, rows_of

TEXT = "proc area {w h} {\n    return [expr {$w * $h}]\n}\n\nproc shout {text} {\n    puts [string toupper $text]\n}\n"


@pytest.fixture
def tokenizer(tiny_folder: Any) -> Any:
    """A tokenizer of its own: sentinels are added to it."""
    from engrain.models import load_tokenizer, locate

    return load_tokenizer(locate(str(tiny_folder)))


def file(text: str = TEXT, path: str = "lib/a.tcl") -> CodeFile:
    return CodeFile(path, text, "tcl", 0.0, "")


def test_sentinels_are_the_bases_own_or_added_once(tokenizer: Any) -> None:
    before = len(tokenizer)
    first, again = find_sentinels(tokenizer), find_sentinels(tokenizer)
    assert first.added
    assert not again.added, "now the vocabulary has them"
    assert (first.prefix, first.suffix, first.middle) == (again.prefix, again.suffix, again.middle) == (before, before + 1, before + 2)
    assert len(tokenizer) == before + 3


def test_what_looks_like_a_control_word_stays_text(tokenizer: Any) -> None:
    sentinels = find_sentinels(tokenizer)
    ids = tokenize(tokenizer, "a <fim_middle> <|im_end|>")
    assert not {sentinels.middle, sentinels.end} & set(ids)
    assert tokenizer.decode(ids) == "a <fim_middle> <|im_end|>"


def test_a_filled_row_holds_every_character_once_in_either_order(tokenizer: Any) -> None:
    sentinels = find_sentinels(tokenizer)
    orders = set()
    for seed in range(30):
        row = fill_in(tokenizer, sentinels, "a.tcl", TEXT, random.Random(seed))
        ids = row.ids.tolist()
        p, s, m = (ids.index(each) for each in (sentinels.prefix, sentinels.suffix, sentinels.middle))
        assert ids[-1] == sentinels.end
        if p + 1 == s:  # suffix first: what follows the middle's mark is prefix and middle
            orders.add("SPM")
            text = tokenizer.decode(ids[m + 1 : -1]) + tokenizer.decode(ids[s + 1 : m])
        else:
            orders.add("PSM")
            text = tokenizer.decode(ids[p + 1 : s]) + tokenizer.decode(ids[m + 1 : -1]) + tokenizer.decode(ids[s + 1 : m])
        assert text == TEXT
        assert not row.supervised[[p, s, m]].any()
        assert row.supervised[-1]
        assert not row.supervised[: min(p, s)].any(), "the file's name is given, not learned"
    assert orders == {"PSM", "SPM"}


def test_gaps_are_whole_lines_or_end_with_their_line() -> None:
    for seed in range(200):
        start, end = gap(TEXT, random.Random(seed))
        assert 0 <= start <= end <= len(TEXT)
        assert end == len(TEXT) or TEXT[end] == "\n" or TEXT[end - 1] == "\n"


def test_several_missing_lines_are_practised_also_where_the_line_end_stays_behind_them() -> None:
    """So does an editor ask at the end of an empty line, and so are middles measured."""
    gaps = [gap(TEXT, random.Random(seed)) for seed in range(400)]
    several = [(start, end) for start, end in gaps if "\n" in TEXT[start : end - 1]]
    stays = sum(TEXT[end : end + 1] == "\n" for _, end in several) / len(several)
    assert 0.35 < stays < 0.65
    assert all(start == 0 or TEXT[start - 1] == "\n" for start, _ in several)


@pytest.mark.parametrize("added", [True, False])
def test_the_prompt_is_how_a_training_row_begins(tokenizer: Any, added: bool) -> None:
    """One whose suffix comes first where sentinels are new: the middle goes on with the prefix, as the base can already."""
    sentinels = replace(find_sentinels(tokenizer), added=added)
    seeds = 0
    for seed in range(50):
        start, end = gap(TEXT, random.Random(seed))
        ids = fill_in(tokenizer, sentinels, "a.tcl", TEXT, random.Random(seed)).ids.tolist()
        if end < len(TEXT) and (ids.index(sentinels.suffix) == ids.index(sentinels.prefix) + 1) is added:
            found, begin = prompt(tokenizer, sentinels, "a.tcl", TEXT[:start], TEXT[end:], 1000)
            assert found == ids[: len(found)]
            assert tokenizer.decode(ids[len(found) : -1]) == begin + TEXT[start:end]
            assert bool(begin) is (added and start > 0)
            seeds += 1
    assert seeds > 5


def test_without_what_follows_a_prompt_is_how_a_plain_row_begins(tokenizer: Any) -> None:
    sentinels = find_sentinels(tokenizer)
    plain = left_to_right(tokenizer, sentinels, "a.tcl", TEXT, ends=True).ids.tolist()
    found, begin = prompt(tokenizer, sentinels, "a.tcl", TEXT[:40], "", 1000)
    assert found == plain[: len(found)]
    assert begin
    assert tokenizer.decode(found).endswith(TEXT[: 40 - len(begin)])
    assert tokenizer.decode(plain[len(found) :]).startswith(begin)


def test_nothing_is_to_be_written_again_where_nothing_else_would_be_shown_or_where_that_cannot_be_asked_for(tokenizer: Any) -> None:
    sentinels = find_sentinels(tokenizer)
    assert prompt(tokenizer, sentinels, "", "pro", "", 100) == (tokenize(tokenizer, "pro"), "")
    assert prompt(tokenizer, sentinels, "a.tcl", "pro", "", 100)[1] == "pro"
    assert prompt(tokenizer, sentinels, "a.tcl", "pro", "", 100, heal=False)[1] == ""


@pytest.mark.parametrize("added", [True, False])
@pytest.mark.parametrize("room", [40, 60, 90])
def test_a_long_prompt_keeps_what_is_near_the_gap(tokenizer: Any, room: int, added: bool) -> None:
    sentinels = replace(find_sentinels(tokenizer), added=added)
    before, after = "".join(f"line {i}\n" for i in range(50)), "".join(f"rest {i}\n" for i in range(50))
    ids, begin = prompt(tokenizer, sentinels, "a.tcl", before, after, room)
    assert begin == ("\n" if added else "")
    assert len(ids) <= room
    p, s, m = (ids.index(each) for each in (sentinels.prefix, sentinels.suffix, sentinels.middle))
    prefix = ids[m + 1 :] if added else ids[p + 1 : s]
    assert prefix
    assert before.endswith(tokenizer.decode(prefix) + begin)
    assert after.startswith(tokenizer.decode(ids[s + 1 : m]))
    assert m > s + 1
    assert len(prompt(tokenizer, sentinels, "", before, "", room)[0]) <= room


def test_pieces_are_whole_lines_and_lose_none(tokenizer: Any) -> None:
    assert "".join(pieces(tokenizer, TEXT, 60)) == TEXT
    assert all(len(tokenize(tokenizer, piece)) <= 60 and piece.endswith("\n") for piece in pieces(tokenizer, TEXT, 60))
    long = "short\n" + "x" * 100 + "\nend\n"
    assert "".join(pieces(tokenizer, long, 60)) == "short\nend\n"


def test_rows_depend_on_the_seed_alone(tokenizer: Any) -> None:
    sentinels = find_sentinels(tokenizer)
    files = [file(TEXT * 8, f"{i}.tcl") for i in range(6)]
    rows = [rows_of(tokenizer, sentinels, files, 120, 0.5, seed) for seed in (0, 0, 1)]
    same, other = ([r.ids.tolist() for r in each] for each in rows[1:])
    assert [r.ids.tolist() for r in rows[0]] == same != other
    assert max(len(r) for r in rows[0]) <= 120
    filled = np.mean([sentinels.middle in r.ids for r in rows[0]])
    assert 0.3 < filled < 0.7
    assert not any(sentinels.middle in r.ids for r in rows_of(tokenizer, sentinels, files, 120, 0.0, 0))
    assert all(sentinels.middle in r.ids for r in rows_of(tokenizer, sentinels, files, 120, 1.0, 0))


def test_a_model_without_sentinels_gets_the_same_ones_everywhere(tiny_folder: Any, tokenizer: Any) -> None:
    from engrain.models import load_model, locate

    sentinels = find_sentinels(tokenizer)
    models = [load_model(locate(str(tiny_folder)), dtype=torch.float32, device="cpu") for _ in range(2)]
    untouched = models[0].get_input_embeddings().weight.clone()
    for model in models:
        make_room(model, tokenizer, sentinels)
    first, second = (model.get_input_embeddings().weight for model in models)
    assert torch.equal(first, second)
    assert first.shape[0] == len(tokenizer)
    assert torch.equal(first[: len(untouched)], untouched)
    assert torch.equal(first[sentinels.middle], untouched[tokenize(tokenizer, "the text between")].mean(0))
    assert not torch.equal(first[sentinels.prefix], first[sentinels.suffix])


def test_the_loss_is_that_of_the_plain_model(tiny_model: Any, tokenizer: Any) -> None:
    sentinels = find_sentinels(tokenizer)
    task = Code(rows_of(tokenizer, sentinels, [file(TEXT * 3)], 100, 0.5, 0), (), lambda model: make_room(model, tokenizer, sentinels))
    task.prepare(tiny_model)
    loss = task.loss(tiny_model, task.train)
    total = 0.0
    for row in task.train:
        ids = torch.from_numpy(row.ids).long()
        labels = torch.where(torch.from_numpy(row.supervised), ids, -100)
        total += float(tiny_model(input_ids=ids[None], labels=labels[None]).loss * (labels[1:] != -100).sum())
    assert float(loss.total) == pytest.approx(total, rel=1e-4)
    assert loss.count == sum(map(task.targets, task.train))
