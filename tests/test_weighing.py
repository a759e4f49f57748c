"""Which answer a model finds likeliest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from engrain import assistant as assistants
from engrain.assistant import Assistant, Library
from engrain.documents.base import Section
from engrain.examples import Message
from engrain.generate import generate
from engrain.retrieval import Asked
from engrain.tokens import encode_example
from engrain.weighing import LEAST_SURE, Weighing, likelihoods

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

QUESTION = "What does the Gannet cost?"
SECTION = Section("kites.md", 0, ("Kites",), "The Gannet costs £41. The Petrel costs £52.", 0)
ASKED = (Asked("How much is the Gannet?", "£41.", SECTION.id, 17), Asked("How much is the Petrel?", "£52.", SECTION.id, 39))


def test_an_answer_weighs_the_mean_log_probability_of_its_tokens_after_each_prompt(
    tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    prompts = [(Message("user", text),) for text in (QUESTION, f"{SECTION.text}\n\n{QUESTION}")]
    answers = ["£41.", "At nine, on a Sunday."]
    weighing = Weighing.of(tiny_tokenizer, prompts, answers, (), lambda text: True, lambda texts: [0.5] * len(texts))
    assert (weighing.answers, weighing.near) == (tuple(answers), (0.5, 0.5))
    for prompt, rows in zip(prompts, weighing.rows, strict=True):
        expected = []
        for answer in answers:
            row = encode_example(tiny_tokenizer, (*prompt, Message("assistant", answer)))
            ids = torch.from_numpy(row.ids).long()
            with torch.no_grad():
                scores = tiny_model(ids[None]).logits[0, :-1].log_softmax(-1).gather(1, ids[1:, None])[:, 0]
            expected.append(float(scores[torch.from_numpy(row.supervised)[1:]].mean()))
        assert likelihoods(tiny_model, rows) == pytest.approx(expected, abs=1e-4)


def test_of_a_talk_only_the_new_answer_is_weighed(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    talk = (Message("user", "Hello."), Message("assistant", "Good day to you."), Message("user", QUESTION))
    ((row,),) = Weighing.of(tiny_tokenizer, [talk], ["£41."], (), lambda text: True, lambda texts: [0.0]).rows
    said = tiny_tokenizer.decode(row.ids[row.supervised], skip_special_tokens=True)
    assert said == "£41."


def test_what_the_documents_do_not_support_is_not_weighed(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    prompt = (Message("user", QUESTION),)
    weighing = Weighing.of(tiny_tokenizer, [prompt], ["£999.", "£41."], ["£52."], lambda text: text == "£41.", lambda texts: [0.5])
    assert weighing.answers == ("£41.",)
    none = Weighing.of(tiny_tokenizer, [prompt], ["£999."], (), lambda text: False, lambda texts: [])
    assert none.rows == ()
    assert none.decide([]) == none.declined


def test_the_mean_over_the_prompts_decides() -> None:
    weighing = Weighing(("b", "c"), (0.0, 0.0), ())
    assert weighing.decide([[-0.2, -0.9], [-0.8, -0.2]]) == "b"
    unlikely = LEAST_SURE - 0.1
    assert weighing.decide([[unlikely, unlikely]]) == weighing.declined
    assert weighing.decide([[unlikely, 2 * unlikely]], tuned=False) == "b", "what an untouched model finds unlikely says nothing"


def test_a_near_question_with_the_answer_counts_beside_its_likelihood() -> None:
    scores = [[-0.8, -0.5]]
    assert Weighing(("b", "c"), (0.9, 0.2), ()).decide(scores) == "b"
    assert Weighing(("b", "c"), (0.3, 0.2), ()).decide(scores) == "c"
    unlikely = Weighing(("a", "b"), (1.0, 0.0), ())
    assert unlikely.decide([[LEAST_SURE - 0.1, LEAST_SURE - 1]]) == unlikely.declined, "nearness alone makes nothing sure"


def both(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, said: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The reply of a model that says this from memory and this from passages, and finds short answers likeliest and long ones unlikely."""
    sureness = {3: -0.1, 4: -0.1, 5: -0.2, 6: -0.3, 22: -2.0, 23: -2.1}
    library = Library((SECTION,), (), ASKED)
    assistant = Assistant(model, tokenizer, library, "both")
    said_in = lambda row: tokenizer.decode(row.ids[row.supervised], skip_special_tokens=True)  # noqa: E731
    monkeypatch.setattr(assistants, "likelihoods", lambda model, rows: [sureness[len(said_in(row))] for row in rows])
    monkeypatch.setattr(assistant, "_pieces", lambda question, way, history: iter([said[way]]))
    return "".join(assistant.stream(QUESTION))


@pytest.mark.parametrize(
    ("closed", "opened", "reply"),
    [
        ("£41.", "£9.", "£41."),  # the documents support it
        ("£999.", "£9999.", "£41."),  # what similar questions are answered with is supported
        ("I’m sorry, I don’t know that.", "£9999.", "£41."),
        ("I’m sorry, I don’t know that.", "The documents don’t say.", "I’m sorry, I don’t know that."),
    ],
)
def test_mode_both_takes_what_the_documents_support_and_the_model_finds_likeliest(
    tiny_model: PreTrainedModel,
    tiny_tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
    closed: str,
    opened: str,
    reply: str,
) -> None:
    assert both(tiny_model, tiny_tokenizer, {"closed-book": closed, "retrieval": opened}, monkeypatch) == reply


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
