from __future__ import annotations

import pytest

from engrain.documents.base import Document, Section
from engrain.privacy import find_private, holds_secret, masked, redacted

PGP = "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBGU\n-----END PGP PRIVATE KEY BLOCK-----"


def section(text: str, number: int = 1) -> Section:
    return Section("a.md", number, ("Desk",), text, 0)


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("Write to mira.oneil@kites.example today.", "e-mail address", "mira.oneil@kites.example"),
        ("Call +44 1632 960 771 or come by.", "phone number", "+44 1632 960 771"),
        ("Call (01632) 960771.", "phone number", "(01632) 960771"),
        ("Ring 416-555-0143 after six.", "phone number", "416-555-0143"),
        ("Call +441632960771.", "phone number", "+441632960771"),
        ("Call 07700900123.", "phone number", "07700900123"),
        ("Call 0612345678.", "phone number", "0612345678"),
        ("Call +49 30 12345678.", "phone number", "+49 30 12345678"),
        ("Call +47 22334455.", "phone number", "+47 22334455"),
        ("Call 1-800-555-0199.", "phone number", "1-800-555-0199"),
        ("Call 030/12345678.", "phone number", "030/12345678"),
        ("Call +44 (0)1632 960771.", "phone number", "+44 (0)1632 960771"),
        ("Call 01632 960771 on 01.05.2026 at 10:00.", "phone number", "01632 960771"),
        ("Your order? Call 01632 960771.", "phone number", "01632 960771"),
        ("Card 4111 1111 1111 1111 was used.", "card number", "4111 1111 1111 1111"),
        ("Pay to DE89 3704 0044 0532 0130 00.", "bank account", "DE89 3704 0044 0532 0130 00"),
        ("Sort code 20-00-00, for transfers.", "bank account", "20-00-00"),
        ("Sort code: 20 00 00", "bank account", "20 00 00"),
        ("Pay to account number 55779911 at the desk.", "bank account", "55779911"),
        ("**Account no.:** 5577 9911", "bank account", "5577 9911"),
        ("| Account number | 55779911 |", "bank account", "55779911"),
        ("Our routing number is 011000015.", "bank account", "011000015"),
        ("ABA number: 011000015", "bank account", "011000015"),
        ("BLZ 370 400 44", "bank account", "370 400 44"),
        ("Kontonummer: 0532013000", "bank account", "0532013000"),
        ("The key is AKIAIOSFODNN7EXAMPLE.", "key or password", "AKIAIOSFODNN7EXAMPLE"),
        ("wifi password: kite-7731!", "key or password", "kite-7731"),
        ("Set password=hunter22 there.", "key or password", "hunter22"),
        ("Set api_key=abc12345.", "key or password", "abc12345"),
        ("DB_PASSWORD=hunter22", "key or password", "hunter22"),
        ("**Password:** kite-7731", "key or password", "kite-7731"),
        ("| Wifi password | kite-7731 |", "key or password", "kite-7731"),
        ('{"password":"hunter22"}', "key or password", "hunter22"),
        ("The alarm PIN is 48213.", "key or password", "48213"),
        ("SECRET_KEY=quartz-7731-loom", "key or password", "quartz-7731-loom"),
        ("Our private key: heron-7731", "key or password", "heron-7731"),
        (PGP, "key or password", PGP),
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
        "Prices rose by +1.250.000 to £1234567890.",
        "In 2019 2020 2021 and 2024-2026 we closed.",
        "ISBN 0306406152 and ISBN: 0-306-40615-2, ISBN-13 978-0-306-40615-7.",
        "Order number 0412345678, order no. 0412345678, order #0412345678.",
        "See https://kites.example/item/0412345678 for it.",
        "Barcode 012345678905 is a reel.",
        "From 01.05.2026 10:00 to 05/06/2026 18:30, not 2026-05-01 09:00.",
        "connect(password=args.password, retries=3)",
        "Your account number is on your card, and 20-00-00 is a pattern.",
        "Account number 12 is the first.",
        "Pick a password: eight letters, 2 digits.",
    ],
)
def test_what_is_not_private_stays(text: str) -> None:
    assert find_private([section(text)]) == []
    assert masked(text) == text


@pytest.mark.parametrize(
    "code",
    [
        'password = "kite-7731"',
        "SECRET_KEY = 'quartz-7731-loom'",
        '{"api_key": "kite7731"}',
        "define('DB_PASSWORD', 'kite7731');",
        "config['secret'] = 'kite7731'",
        '#define WIFI_PASSWORD "kite7731"',
        'set password {kite}; set pwd "kite7731"',
        "export DB_PASSWORD=kite7731\n",
        "pin = '48213'",
        "key = 'AKIAIOSFODNN7EXAMPLE'",
        f'KEY = """{PGP}"""',
    ],
)
def test_a_secret_that_is_written_out_in_code_is_one(code: str) -> None:
    assert holds_secret(code)


@pytest.mark.parametrize(
    "code",
    [
        "pin = Pin(25)",
        "led_pin = 'GPIO17'",
        "secret = hashlib.sha256(x)",
        "password = hash_v2(raw)",
        "connect(password=hash_v2)",
        "api_key = os.environ['API_KEY_2']",
        "PASSWORD=$1\n",
        "password = '${DB_PASS1}'",
        "password = f'{user}1'",
        '<input name="password" id="password1">',
    ],
)
def test_what_code_computes_is_no_secret(code: str) -> None:
    assert not holds_secret(code)


def test_a_list_names_the_place_and_does_not_spread_what_it_found() -> None:
    found = find_private([section("mira@kites.example, mira@kites.example"), section("jo@kites.example", 2)])
    assert [p.hint for p in found] == ["mir…", "jo@…"]


HEADED = Section("a.md", 1, ("Desk", "Mira: mira@kites.example, 01632 960771"), "Ask here.", 0)


def test_headings_are_listed_once_a_file_and_their_places_spread_nothing() -> None:
    below = Section("a.md", 2, (*HEADED.headings, "Hours"), "Nine to five.", 0)
    found = find_private([HEADED, below])
    assert [(p.kind, p.hint) for p in found] == [("e-mail address", "mir…"), ("phone number", "016…")]
    assert {p.place for p in found} == {"a.md › Desk › Mira: [e-mail address], [phone number]"}


def test_title_and_headings_are_masked() -> None:
    document = redacted(Document("a.md", "Ring 01632 960771", (HEADED,), "x"))
    assert document.title == "Ring [phone number]"
    assert document.sections[0].headings == ("Desk", "Mira: [e-mail address], [phone number]")


def test_a_redacted_document_keeps_the_rest() -> None:
    document = Document("a.md", "A", (section("Ask mira@kites.example or +44 1632 960 771, we open at 9."),), "x")
    assert redacted(document).sections[0].text == "Ask [e-mail address] or [phone number], we open at 9."
    assert redacted(document).sections[0].place == document.sections[0].place
