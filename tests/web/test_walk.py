"""A new user walks all six steps in a browser, from an empty page to an answer; nothing leaves the machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from serving import KEY, running
from walking import SLOW, check_access, go

import engrain
from engrain import encoder, fetch, reranker
from engrain.encoder import TAUGHT as TAUGHT_ENCODER
from engrain.reranker import TAUGHT as TAUGHT_RERANKER

EXAMPLE = Path(engrain.__file__).parent / "data" / "demo"

KITES = """# Harbour Kites

Harbour Kites opened on 4 March 2025 in Salt Lane. Mira Oduvall runs the shop. Write to mira@harbourkites.example.

## Prices

| Kite | Price | Wind |
| --- | --- | --- |
| Gannet | £41 | 12 mph |
| Petrel | £29 | 8 mph |

## Rules

Repairs take nine days. A deposit of £15 is due when you hire a kite.
"""


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server without anything, on the tiny base or, where a test asks for it, with the embedded models."""
    monkeypatch.setenv("ENGRAIN_DEVICE", "cpu")
    if getattr(request, "param", "tiny") == "tiny":
        monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
        base = str(tiny_folder)
    else:
        monkeypatch.setattr(encoder, "made_from", fetch.made_from)
        monkeypatch.setattr(encoder, "TAUGHT", TAUGHT_ENCODER)
        monkeypatch.setattr(reranker, "TAUGHT", TAUGHT_RERANKER)
        base = "smollm2-135m"
    with running(tmp_path / "runs", base, context=1024, requests_per_minute=5000) as found:
        yield found.url


@pytest.mark.timeout(600)  # a busy machine may take several times the usual minute
def test_six_steps_from_nothing_to_an_answer(page: Any, address: str, tmp_path: Path) -> None:
    add_documents(page, address, tmp_path)
    look_at_facts(page)
    train(page)
    read_the_verdict(page, tmp_path)
    ask(page, tmp_path)
    take_it_away(page, tmp_path)


@pytest.mark.model
@pytest.mark.timeout(3600)  # a whole build: some minutes, on a busy machine several times that
@pytest.mark.parametrize("address", ["embedded"], indirect=True)
def test_documents_of_the_bundled_business_become_a_right_answer(page: Any, address: str, tmp_path: Path) -> None:
    page.goto(f"{address}/#key={KEY}")
    page.locator("#files").set_input_files(EXAMPLE / "docs" / "faq.md")
    page.get_by_role("button", name="Write facts and examples").click()
    page.get_by_role("tab", name="Facts").wait_for(timeout=5 * SLOW)
    start_training(page, {"Max steps": "12", "Replay": "8", "Readings": "0.05", "Batch size": "8"})
    go(page, "Verdict")
    page.get_by_role("heading", name="How often each way answers right").wait_for(timeout=10 * SLOW)
    go(page, "Ask")
    page.get_by_label("Yours, both").check()
    for question, value in (
        ("For how many days does the download link for Wexlaby scans work?", "45"),
        ("For how many months are gift vouchers good?", "18"),
    ):
        page.get_by_label("Your question").fill(question)
        page.get_by_role("button", name="Ask", exact=True).click()  # waits until the answers before are there
        answer = page.get_by_role("region", name=question).locator('[data-way="tuned+both"]')
        answer.get_by_text("It stands in the documents").wait_for(timeout=2 * SLOW)
        assert value in answer.locator(".text").inner_text()
        answer.locator("details", has_text="faq.md").first.locator("summary").click()
        answer.locator("blockquote mark", has_text=value).first.wait_for()
    take_it_away(page, tmp_path)


def add_documents(page: Any, address: str, tmp_path: Path) -> None:
    page.goto(f"{address}/")
    page.get_by_label("Key").fill("wrong")
    page.get_by_role("button", name="Open").click()
    page.get_by_role("alert").wait_for()
    page.goto("about:blank")
    page.goto(f"{address}/#key={KEY}")
    page.get_by_role("heading", name="Drop your documents here").wait_for()
    assert KEY not in page.url
    check_access(page)
    (tmp_path / "kites.md").write_text(KITES)
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    page.locator("#files").set_input_files([tmp_path / "kites.md", tmp_path / "broken.pdf"])
    page.get_by_text("1 file could not be read").wait_for()
    page.get_by_text("1 piece of private data").wait_for(timeout=SLOW)
    page.locator('tr[data-file="kites.md"] .coverage', has_text="%").wait_for()
    page.get_by_role("button", name="kites.md", exact=True).click()
    page.locator("dialog mark", has_text="£41").wait_for()
    page.locator("dialog mark.private", has_text="mira@").wait_for()
    check_access(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Remove broken.pdf").click()
    page.get_by_role("button", name="Remove it").click()
    page.get_by_text("could not be read").wait_for(state="detached")
    page.get_by_label("Mask all of it").check()
    page.get_by_role("button", name="Write facts and examples").click()


def look_at_facts(page: Any) -> None:
    page.get_by_role("tab", name="Facts").wait_for(timeout=SLOW)
    page.get_by_label("Search").fill("gannet 41")
    page.locator(".total", has_text=re.compile(r"^[1-4] facts?$")).wait_for()
    fact = page.get_by_role("article").filter(has_text="£41")
    fact.first.get_by_text("Where it stands").click()
    assert fact.first.locator("blockquote mark").inner_text() == "£41"
    fact.first.get_by_role("button", name="Change").click()
    page.get_by_label("The answer it must").fill("£99")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("alert").filter(has_text="letter by letter").wait_for()
    page.get_by_label("The answer it must").fill("41")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("article").filter(has_text="41").first.wait_for()
    check_access(page)
    page.get_by_role("tab", name="Examples").click()
    page.get_by_text("Facts were changed", exact=True).wait_for()
    page.get_by_role("button", name="As the model sees it").first.click()
    page.locator(".token.trained").first.wait_for()
    assert "<|im_start|>" in page.locator(".tokens").inner_text()
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="In the model’s eyes").click()
    page.get_by_role("img", name="Examples by length").wait_for()
    check_access(page)
    page.get_by_role("tab", name="Your own").click()
    page.get_by_label("A question somebody asks").fill("May I bring a dog?")
    page.get_by_label("The answer the model shall give").fill("Yes, on a lead.")
    page.get_by_role("button", name="Add it").click()
    page.get_by_role("article").filter(has_text="May I bring a dog?").wait_for()


def train(page: Any) -> None:
    start_training(page, {"Max steps": "16", "Replay": "8", "Readings": "0.02", "Rank": "4", "Batch size": "4", "Evaluate every": "0.02"})
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("Paused; nothing is lost").wait_for(timeout=SLOW)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("img", name="Surprise (loss)").wait_for(timeout=SLOW)
    page.reload()
    page.get_by_role("heading", name="All versions").wait_for()
    go(page, "Verdict")


def start_training(page: Any, settings: dict[str, str]) -> None:
    go(page, "Train")
    page.get_by_text("How this was worked out").wait_for(timeout=SLOW)
    page.get_by_text("More: method and settings").click()
    for name, value in settings.items():
        page.get_by_label(name, exact=True).fill(value)
    page.get_by_label("Batch size", exact=True).press("Tab")
    check_access(page)
    page.get_by_text("How this was worked out").wait_for(timeout=SLOW)
    page.get_by_role("button", name="Start training").click()


def read_the_verdict(page: Any, tmp_path: Path) -> None:
    page.get_by_role("heading", name="How often each way answers right").wait_for(timeout=2 * SLOW)
    assert page.get_by_role("columnheader").count() == 6
    page.get_by_role("button", name="Lost").click()
    page.get_by_role("button", name="Your model is wrong").click()
    check_access(page)
    with page.expect_download() as started:
        page.get_by_role("button", name="Download the report").click()
    started.value.save_as(tmp_path / "report.html")
    assert "<h2>How often each way answers right" in (tmp_path / "report.html").read_text()


def ask(page: Any, tmp_path: Path) -> None:
    go(page, "Ask")
    page.get_by_label("Yours, with passages").check()
    page.get_by_label("Yours, both").check()
    page.get_by_label("Your question").fill("What does the Gannet cost?")
    page.keyboard.press("Enter")
    for way in ("base", "tuned", "tuned+retrieval", "tuned+both"):
        page.locator(f'[data-way="{way}"] .foot .chip').wait_for(timeout=SLOW)
    page.get_by_text("What it was given to read").first.click()
    page.locator("blockquote", has_text="Gannet").first.wait_for()
    page.get_by_role("button", name="This is wrong: Yours, from memory", exact=True).click()
    page.get_by_label("What would have been right?").fill("£41.")
    page.get_by_role("button", name="Keep it for the next training").click()
    page.get_by_text("The next training learns it").wait_for()
    page.get_by_label("It goes on from the talk so far").check()
    page.get_by_label("Your question").fill("And the Petrel?")
    page.keyboard.press("Enter")
    turn = page.get_by_role("region", name="And the Petrel?")
    turn.get_by_text("Goes on from: What does the Gannet cost?").wait_for()
    turn.locator('[data-way="tuned"] .foot .chip').wait_for(timeout=SLOW)
    turn.get_by_role("button", name="This is wrong: Yours, from memory", exact=True).click()
    turn.get_by_label("The whole question").fill("What does the Petrel cost?")
    check_access(page)
    own = [json.loads(line) for line in (tmp_path / "runs" / ".studio" / "own.jsonl").read_text().splitlines()]
    assert [row["origin"] for row in own] == ["own", "correction"]


def take_it_away(page: Any, tmp_path: Path) -> None:
    go(page, "Take it away")
    page.get_by_text("It answers from memory").wait_for()
    page.locator('[data-target="merged"]').get_by_label("Number format").select_option("f16")
    for name, title in (("adapter", "Only what was learned"), ("merged", "The whole model")):
        with page.expect_download(timeout=SLOW) as started:
            page.get_by_role("button", name=f"Download for {title}").click()
        started.value.save_as(tmp_path / f"{name}.zip")
        assert any(entry.endswith(".safetensors") for entry in ZipFile(tmp_path / f"{name}.zip").namelist())
    page.locator('[data-target="vllm"]').get_by_text("vllm serve ./").wait_for()
    check_access(page)
    go(page, "Facts and examples")
    page.get_by_role("button", name="Make a new version").wait_for()
