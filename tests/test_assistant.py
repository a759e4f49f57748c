"""What a run knows of its documents when it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from engrain.assistant import Answer, Assistant, Everyday, Library
from engrain.documents.base import Section, read_documents
from engrain.encoder import Encoder, Meaning
from engrain.gate import Gate
from engrain.knowledge.facts import find_facts
from engrain.knowledge.wording import REFUSAL
from engrain.progress import Progress, Stage
from engrain.reranker import Reranker
from engrain.retrieval import Asked, Retriever
from engrain.run import Run
from engrain.tokens import Shown

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def test_a_superseded_value_is_neither_shown_nor_a_support_and_the_others_stay_in_place(tmp_path: Path) -> None:
    (tmp_path / "prices.md").write_text("# Harbour Kites\n\nA Gannet costs £24. A Petrel costs £31.\n")
    documents = read_documents([tmp_path / "prices.md"]).documents
    old, kept = (next(f for f in find_facts(documents) if f.value == value) for value in ("£24", "£31"))
    run = Run.create(tmp_path / "run", "kites")
    run.write_rows("documents.jsonl", [asdict(s) | {"sha256": s.sha256} for d in documents for s in d.sections])
    run.write_rows("facts.jsonl", [kept])
    whole = Library.of(run).sections[0].text
    run.write_rows("superseded.jsonl", [old])
    (section,) = Library.of(run).sections
    assert "£24" in whole
    assert "£24" not in section.text
    assert section.text[kept.start : kept.end] == "£31"
    assert len(section.text) == len(whole)


class Recorder(Progress):
    """Notes every stage with how far it came once it has ended."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, float | None, float]] = []

    @contextmanager
    def stage(self, title: str, total: float | None = None, unit: str = "") -> Iterator[Stage]:
        counter = Counter()
        yield counter
        self.ended.append((title, total, counter.done))


class Counter(Stage):
    """Counts what is done."""

    done = 0.0

    def advance(self, amount: float = 1, **figures: float) -> None:
        self.done += amount


@pytest.mark.parametrize(("mode", "gone"), [("closed-book", 1), ("retrieval", 3), ("both", 3)])
def test_turns_that_passages_leave_no_room_for_are_forgotten(mode: str, gone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assistant = Assistant.__new__(Assistant)
    assistant.mode = mode
    monkeypatch.setattr(assistant, "_fitted", lambda question, way, history: Shown((), [], (), {"closed-book": 1, "retrieval": 3}[way]))
    assert assistant.forgotten("And on Sundays?", [("Hello?", "Hi.")] * 4) == gone


def test_weighing_is_told_to_its_end(
    tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = Section("prices.md", 0, ("Prices",), "A Gannet costs £24.", 0)
    opened, progress = Assistant(tiny_model, tiny_tokenizer, Library((prices,), ()), "both"), Recorder()
    monkeypatch.setattr(opened, "_weightiest", lambda talk, said: talk[0].upper())
    assert [a.text for a in opened.ask_many(["one", "two"], progress)] == ["ONE", "TWO"]
    assert progress.ended[-1] == ("Weighing answers", 2, 2)


PRICES = Section("prices.md", 0, ("Prices",), "A Gannet costs £24. Ana leads the workshop.", 0)
ASKED = (Asked("Cost of the Gannet?", "£24", PRICES.id, 15), Asked("Who leads the workshop?", "Ana", PRICES.id, 20))


class ByFirstLetter:
    """An encoder to which texts mean the same that begin with the same letter."""

    width, version = 26, "letters"

    def vectors(self, texts: Sequence[str], *_: object) -> NDArray[np.float32]:
        return np.array([np.eye(26, dtype=np.float32)[(ord(text.lower()[0]) - ord("a")) % 26] for text in texts])


@pytest.fixture
def shop(tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase, request: pytest.FixtureRequest) -> Assistant:
    """A tuned assistant with two trained questions; those that begin with the same letter mean the same."""
    opened = Assistant(tiny_model, tiny_tokenizer, Library((PRICES,), (), ASKED), **getattr(request, "param", {}))
    opened.retriever = Retriever((PRICES,), ASKED, meaning=Meaning(ByFirstLetter()))
    return opened


def test_from_memory_a_question_is_asked_in_words_that_were_trained(shop: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    question, put = "Who is in charge of all weaving courses?", list[tuple[str, object]]()

    def generated(model: object, talks: Sequence[tuple[str, object]], *_: object) -> list[str]:
        put.extend(talks)
        return ["Ana." if asked == "Who leads the workshop?" else "£24." for asked, _ in talks]

    monkeypatch.setattr(shop, "_generated", generated)
    known, other = shop.ask("Who leads the workshop?"), shop.ask("Give me the fee")
    assert known.asked_as == other.asked_as == "", "one is a trained question, nothing is near the other"
    found = shop.ask(question)
    assert (found.text, found.asked_as, found.question) == ("Ana.", "Who leads the workshop?", question)
    earlier = [("Hello?", "Hi.")]
    assert "".join(shop.stream(question, earlier)) == "Ana."
    assert shop.asked_as(question, "ana", earlier) == "Who leads the workshop?"
    assert shop.asked_as(question, REFUSAL, earlier) == "", "it said nothing of the kind"
    assert set(put) == {("Who leads the workshop?", ()), ("Give me the fee", ())}, "what is whole in itself needs no talk before it"
    shop.switch("retrieval")
    found = shop.ask(question)
    assert (found.text, found.asked_as) == ("£24.", "")


def test_of_what_several_trained_questions_are_answered_with_what_weighs_most_is_given(
    shop: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"Who leads the workshop?": "Ana.", "Which bird is cheap?": "£24."}
    monkeypatch.setattr(shop.retriever, "known_words", lambda question, k: list(said))
    monkeypatch.setattr(shop, "_generated", lambda model, talks, *_: [said[asked] for asked, _ in talks])
    monkeypatch.setattr(shop, "check", lambda question, text: Answer(question, text, "", "supported"))
    for chosen, found in enumerate(said.values()):
        fits = [5.0 if number == chosen else 0.0 for number in range(2)]
        monkeypatch.setattr(shop.retriever, "fits", lambda question, answers, fits=fits: fits)
        answer = shop.ask("Something else?")
        assert (answer.text, answer.asked_as) == (found, list(said)[chosen])


def test_of_more_questions_than_the_reranker_remembers_nothing_is_read_twice(
    shop: Assistant, tiny_encoder_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engrain.pairs.REMEMBERED", 8)  # before the reranker is made, which asks for it then
    reranker, read = Reranker(Encoder(tiny_encoder_folder())), list[tuple[str, str]]()
    logits = reranker.logits

    def noted(questions: Sequence[str], candidates: Sequence[str]) -> torch.Tensor:
        read.extend(zip(questions, candidates, strict=True))
        return logits(questions, candidates)

    monkeypatch.setattr(reranker, "logits", noted)
    monkeypatch.setattr("engrain.assistant.READ_AT_ONCE", 2)
    shop.retriever = Retriever((PRICES,), ASKED, meaning=Meaning(ByFirstLetter()), load_reranker=lambda: reranker)
    monkeypatch.setattr(shop, "_generated", lambda model, talks, *_: ["£24."] * len(talks))
    questions, progress = [f"What does bird {number} cost?" for number in range(12)], Recorder()
    shop._said([(question, ()) for question in questions], "closed-book", progress)
    assert sorted({question for question, _ in read}) == sorted(questions)
    assert len(read) == len(set(read))
    assert progress.ended == [("Looking up what is meant", 12, 12)]


@pytest.mark.parametrize("shop", [{"rewrite": False}, {"tuned": False}], indirect=True)
def test_a_question_is_asked_as_it_is_where_nobody_wants_other_words_and_nobody_was_taught(shop: Assistant) -> None:
    bare = Assistant(shop.model, shop.tokenizer, Library((), ()))
    assert not shop.rewrites
    assert (shop.ask("Who is in charge of all weaving courses?").text, shop.ask("Who is in charge of all weaving courses?").asked_as) == (
        bare.ask("Who is in charge of all weaving courses?").text,
        "",
    )


def test_an_everyday_question_stays_in_its_words(shop: Assistant, tiny_model: PreTrainedModel) -> None:
    never = Gate(torch.zeros(tiny_model.config.hidden_size, dtype=torch.float64), -1.0)
    shop.everyday = Everyday(never, tiny_model)
    shop.retriever.nearest = lambda questions: [1.0] * len(questions)
    found, bare = shop.ask("Who is in charge of all weaving courses?"), Assistant(tiny_model, shop.tokenizer, Library((), ()))
    assert (found.text, found.asked_as) == (bare.ask(found.question).text, "")


def test_peoples_own_questions_are_known_words_where_they_stand_alone(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", "kites")
    turns = [("user", "Hello?"), ("assistant", "Hi."), ("user", "And on Sunday?"), ("assistant", "No.")]
    talks = [turns, [("system", "Be short."), ("user", "Is there a lift?"), ("assistant", "Yes.")]]
    rows = [{"messages": [{"role": role, "content": text} for role, text in each], "kind": "own"} for each in talks]
    run.write_rows("examples/own.jsonl", rows)
    assert Library.of(run).asked == (), "there is nothing to look up"
    (tmp_path / "house.md").write_text("# The house\n\nIt has a lift.\n")
    run.write_rows("documents.jsonl", [asdict(s) for d in read_documents([tmp_path / "house.md"]).documents for s in d.sections])
    assert Library.of(run).asked == (Asked("Is there a lift?", "Yes."),)
