from __future__ import annotations

import pytest

from engrain.documents.base import Document, Section
from engrain.privacy import find_private, masked, redacted


def section(text: str, number: int = 1) -> Section:
    return Section("a.md", number, ("Desk",), text, 0)


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("Write to mira.oneil@kites.example today.", "e-mail address", "mira.oneil@kites.example"),
        ("Call +44 1632 960 771 or come by.", "phone number", "+44 1632 960 771"),
        ("Call (01632) 960771.", "phone number", "(01632) 960771"),
        ("Ring 416-555-0143 after six.", "phone number", "416-555-0143"),
        ("Card 4111 1111 1111 1111 was used.", "card number", "4111 1111 1111 1111"),
        ("Pay to DE89 3704 0044 0532 0130 00.", "bank account", "DE89 3704 0044 0532 0130 00"),
        ("The key is AKIAIOSFODNN7EXAMPLE.", "key or password", "AKIAIOSFODNN7EXAMPLE"),
        ("wifi password: kite-7731!", "key or password", "kite-7731"),
        ("The alarm PIN is 48213.", "key or password", "48213"),
    ],
)
def test_private_data_is_found_and_masked(text: str, kind: str, found: str) -> None:
    assert found in text
    assert masked(text) == text.replace(found, f"[{kind}]")
    assert [(p.kind, p.place) for p in find_private([section(text)])] == [(kind, "a.md › Desk")]


@pytest.mark.parametrize(
    "text",
    [
        "Open 09:00 to 17:30 from 1 May 2026 to 31 October 2026.",
        "A delta costs £1,250.00, a box £12.50.",
        "Article 4111 1111 1111 1112 is no card.",
        "DE00 3704 0044 0532 0130 00 is no account.",
        "Orders of 120-150 kites leave within 10 - 14 days.",
        "Choose a password with your partner.",
        "Invoice 2026-11-25-0007 is 3 pages long.",
        "Follow us @kites on Sundays.",
    ],
)
def test_what_is_not_private_stays(text: str) -> None:
    assert find_private([section(text)]) == []
    assert masked(text) == text


def test_a_list_names_the_place_and_does_not_spread_what_it_found() -> None:
    found = find_private([section("mira@kites.example, mira@kites.example"), section("jo@kites.example", 2)])
    assert [p.hint for p in found] == ["mir…", "jo@…"]


def test_a_redacted_document_keeps_the_rest() -> None:
    document = Document("a.md", "A", (section("Ask mira@kites.example or +44 1632 960 771, we open at 9."),), "x")
    assert redacted(document).sections[0].text == "Ask [e-mail address] or [phone number], we open at 9."
    assert redacted(document).sections[0].place == document.sections[0].place
