from __future__ import annotations

from dataclasses import replace

import pytest

from engrain.study.turning import turned
from kites import FACT

PRICE = replace(
    FACT,
    subject="",
    relation="the kite that children like is the Heron, a light one with a long tail, at ___.",
    value="£9.85",
    kind="money",
    evidence="The kite that children like is the Heron, a light one with a long tail, at £9.85.",
    before="",
)


@pytest.mark.parametrize(
    "question",
    [
        "How much is the Heron?",
        "How much is the Heron at Harbour Kites?",
        "What does the Heron cost?",
        "What does the Heron cost at Harbour?",
        "What’s the price of the Heron?",
        "how much does the heron cost",
    ],
)
def test_a_price_leads_back_to_what_a_question_asks_the_price_of(question: str) -> None:
    found = turned(PRICE, ["When is it sold?", question])
    assert {wording.answer.lower() for wording in found} == {"the heron."}
    assert "What costs £9.85?" in [wording.prompt for wording in found]
    assert {wording.kind for wording in found} == {"reverse"}


@pytest.mark.parametrize(
    "question",
    [
        "How much is the Gull?",
        "How much is it?",
        "How much is the price?",
        "How much do children cost?",
        "How long is the Heron?",
        "What does the kite need?",
    ],
)
def test_what_the_source_does_not_name_and_what_has_no_price_is_not_led_back_to(question: str) -> None:
    assert not turned(PRICE, [question])


def test_only_a_price_is_turned_round() -> None:
    assert not turned(FACT, ["How much is the shop?"])
    assert not turned(replace(PRICE, kind="time"), ["How much is the Heron?"])
