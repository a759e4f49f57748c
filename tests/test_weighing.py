"""Which of several answers is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from engrain import assistant as assistants
from engrain.assistant import Assistant, Library
from engrain.documents.base import Section
from engrain.generate import generate
from engrain.knowledge.wording import REFUSAL
from engrain.retrieval import Asked
from engrain.weighing import FIRST, FIT, LEAD, NEARNESS, PUT, SUPPORTED, Weighing

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

QUESTION = "What does the Gannet cost?"
SECTION = Section("kites.md", 0, ("Kites",), "The Gannet costs £41. The Petrel costs £52.", 0)
ASKED = (Asked("How much is the Gannet?", "£41.", SECTION.id, 17), Asked("How much is the Petrel?", "£52.", SECTION.id, 39))


def unfit(texts: Sequence[str]) -> list[float]:
    """No text is near, and none fits."""
    return [0.0] * len(texts)


def test_what_speaks_for_an_answer_is_added_up() -> None:
    weighing = Weighing.of(["£41.", "At nine, on a Sunday."], (), lambda text: True, lambda texts: [0.5] * len(texts), unfit, unfit)
    assert weighing.answers == ("£41.", "At nine, on a Sunday.")
    assert weighing.worth == (0.5 * NEARNESS + SUPPORTED + FIRST, 0.5 * NEARNESS + SUPPORTED, 0.5 * NEARNESS)


def test_what_was_made_up_is_not_weighed_and_what_the_documents_support_weighs_more() -> None:
    near = {"£41.": 0.5, "£52.": 0.4, REFUSAL: 0.5, "At nine.": 0.0}

    def weighing(said: Sequence[str], similar: Sequence[str], *supported: str) -> Weighing:
        cosines = lambda texts: [near.get(text, 0.0) for text in texts]  # noqa: E731
        return Weighing.of(said, similar, lambda text: text in supported, cosines, unfit, unfit)

    found = weighing(["£999.", "At nine.", "£41."], ["£52."], "£41.", "At nine.")
    assert found.answers == ("£52.", "At nine.", "£41."), "£999 neither answers a trained question nor stands in the documents"
    assert found.worth == (0.4 * NEARNESS + FIRST, SUPPORTED, 0.5 * NEARNESS + SUPPORTED, 0.5 * NEARNESS)
    none = weighing(["£999."], ())
    assert none.answers == ()
    assert none.decide() == none.declined
    near["£52."] = 0.9
    assert weighing([], ["£52."]).worth[0] == 0.9 * NEARNESS + SUPPORTED + FIRST, "a trained question that means the same has this answer"


def test_the_answer_that_weighs_most_is_given_unless_declining_weighs_more() -> None:
    assert Weighing(("b", "c"), (0.9 + LEAD, 0.2 + LEAD, 0.8)).decide() == "b"
    assert Weighing(("b", "c"), (0.3 + LEAD, 0.9 + LEAD, 0.8)).decide() == "c"
    declined = Weighing(("b", "c"), (0.7 + LEAD, 0.2 + LEAD, 0.8))
    assert declined.decide() == declined.declined


def test_an_untouched_model_declines_where_it_said_so() -> None:
    assert Weighing(("b",), (-9.0, 0.0)).decide(tuned=False) == "b", "it was not taught to decline"
    declined = Weighing(("b",), (1.0 + LEAD, 0.0), refused=True, declined="The documents don’t say.")
    assert declined.decide(tuned=False) == "The documents don’t say."
    assert declined.decide() == "b"


def test_the_answer_of_the_most_similar_question_counts_and_without_any_what_was_said_first() -> None:
    def worth(said: Sequence[str], similar: Sequence[str], recalled: bool = False) -> tuple[float, ...]:
        return Weighing.of(said, similar, lambda text: True, unfit, unfit, unfit, recalled).worth

    assert worth(["£41.", "£52."], ["£9.", "£41."]) == (SUPPORTED + FIRST, SUPPORTED, SUPPORTED, 0.0)
    assert worth(["£41.", "£52."], []) == (SUPPORTED + FIRST, SUPPORTED, 0.0)
    assert worth(["£41.", "£52."], ["£9.", "£41."], recalled=True) == (SUPPORTED, SUPPORTED + FIRST, SUPPORTED, 0.0)
    assert worth([REFUSAL, "£52."], []) == (SUPPORTED, 0.0), "what comes first is to be declined"


def test_how_well_an_answer_fits_counts_beside_how_near_a_question_with_it_is() -> None:
    held = ["£41.", "£52."]
    weighing = Weighing.of(held, (), lambda text: False, lambda texts: [0.2, 0.4, 0.1], lambda texts: [3.0, -2.0], unfit)
    assert weighing.worth == pytest.approx((0.2 * NEARNESS + 3 * FIT + FIRST, 0.4 * NEARNESS - 2 * FIT, 0.1 * NEARNESS))


def test_how_likely_the_question_is_about_what_it_answers_counts() -> None:
    held = ["£41.", "£52."]
    weighing = Weighing.of(held, (), lambda text: True, unfit, unfit, lambda texts: [-0.5, 0.0])
    assert weighing.worth == pytest.approx((SUPPORTED - 0.5 * PUT + FIRST, SUPPORTED, 0.0))


def test_only_what_is_weighed_is_read_by_the_reranker() -> None:
    read = list[str]()

    def fits(texts: Sequence[str]) -> list[float]:
        read.extend(texts)
        return unfit(texts)

    Weighing.of(["£41.", "£999."], (), lambda text: text == "£41.", unfit, fits, fits)
    assert read == ["£41.", "£41."], "by the reranker, and by the questioner"


def both(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    said: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    declining: float = 0.0,
) -> str:
    """The reply of a model that says this from memory and this from passages, where so near a question is to be declined."""
    assistant = Assistant(model, tokenizer, Library((SECTION,), (), ASKED), "both")
    monkeypatch.setattr(assistant, "_said", lambda talks, way: [[said[way]] for _ in talks])
    near = lambda question, texts: [*[0.1] * (len(texts) - 1), declining]  # noqa: E731
    monkeypatch.setattr(assistant.retriever, "nearness", near)
    return "".join(assistant.stream(QUESTION))


@pytest.mark.parametrize(
    ("closed", "opened", "reply"),
    [
        ("£41.", "£9.", "£41."),  # the documents support it
        ("£999.", "£9999.", "£41."),  # what similar questions are answered with is supported
        ("I’m sorry, I don’t know that.", "£9999.", "£41."),
        ("I’m sorry, I don’t know that.", "The documents don’t say.", "£41."),  # it said so, and yet that weighs more
    ],
)
def test_mode_both_takes_what_weighs_most(
    tiny_model: PreTrainedModel,
    tiny_tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
    closed: str,
    opened: str,
    reply: str,
) -> None:
    assert both(tiny_model, tiny_tokenizer, {"closed-book": closed, "retrieval": opened}, monkeypatch) == reply


def test_mode_both_declines_where_that_weighs_more_than_any_answer(
    tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, most = {"closed-book": "£41.", "retrieval": "£9."}, 0.1 * NEARNESS + SUPPORTED + FIRST - LEAD
    assert both(tiny_model, tiny_tokenizer, said, monkeypatch, declining=(most - 0.1) / NEARNESS) == "£41."
    assert both(tiny_model, tiny_tokenizer, said, monkeypatch, declining=(most + 0.1) / NEARNESS) == REFUSAL


@pytest.mark.parametrize(
    ("said", "declining", "reply"),
    [
        ("£41.", 0.0, "£41."),
        ("£41.", 9.0, REFUSAL),
        ("£9999.", 0.0, REFUSAL),
        ("I’m sorry, I don’t know that.", 0.0, "I’m sorry, I don’t know that."),
    ],
)
def test_what_a_tuned_model_says_from_memory_is_weighed_against_declining(
    tiny_model: PreTrainedModel,
    tiny_tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    declining: float,
    reply: str,
) -> None:
    """What the documents do not support is made up, and no other answer takes its place: from memory there is what the model said."""
    assistant = Assistant(tiny_model, tiny_tokenizer, Library((SECTION,), (), ASKED))
    near = lambda question, texts: [*[0.0] * (len(texts) - 1), declining]  # noqa: E731
    monkeypatch.setattr(assistant.retriever, "nearness", near)
    monkeypatch.setattr(assistant, "_said", lambda talks, way: [[said] for _ in talks])
    monkeypatch.setattr(assistants, "stream", lambda *_, **__: iter(["What it ", "says."]))
    assert "".join(assistant.stream(QUESTION)) == "What it says.", "without meaning nothing is weighed"
    monkeypatch.setattr(Assistant, "rewrites", True)
    assert "".join(assistant.stream(QUESTION)) == reply


def test_what_was_said_closed_book_is_weighed_without_being_asked_again(
    tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[int] = []

    def counting(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, given: list[list[int]], **how: object) -> object:
        prompts.append(len(given))
        return generate(model, tokenizer, given, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(assistants, "generate", counting)
    assistant = Assistant(tiny_model, tiny_tokenizer, Library((SECTION,), (), ASKED))
    first = assistant.replies([QUESTION, QUESTION, "Where?"], "closed-book")
    assert first[0] == first[1]
    assistant.replies([QUESTION], "both")
    assert prompts == [2, 0, 1], "two closed-book, none again, one with passages"
