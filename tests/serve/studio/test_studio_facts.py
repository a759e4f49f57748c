"""Facts and examples of a run over HTTP: read, searched, edited and removed; what people write; what the model sees."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engrain.config import settings_from
from engrain.pipeline import encode
from engrain.progress import SILENT
from engrain.run import Run


def facts(studio: Any, **query: Any) -> list[dict[str, Any]]:
    found = studio.get("/engrain/runs/kites/facts", params=query)
    assert found.status_code == 200, found.text
    rows: list[dict[str, Any]] = found.json()["rows"]
    return rows


def price(studio: Any) -> dict[str, Any]:
    (found,) = [row for row in facts(studio, q="gannet 41") if row["value"] == "£41"]
    return found


def test_facts_are_found_with_their_source(studio: Any, kites: Path) -> None:
    page = studio.get("/engrain/runs/kites/facts", params={"limit": 2}).json()
    assert page["editable"]
    assert len(page["rows"]) == 2 < page["total"]
    assert sum(page["kinds"].values()) == page["total"]
    assert page["documents"] == {"kites.md": page["total"]}
    fact = price(studio)
    passage = fact["passage"]
    assert passage["text"][passage["start"] : passage["end"]] == fact["value"] == "£41"
    assert fact["examples"] > 0
    assert facts(studio, q="no such words at all") == []


def test_a_changed_value_must_stand_in_the_document(studio: Any, kites: Path) -> None:
    fact = price(studio)
    refused = studio.patch(f"/engrain/runs/kites/facts/{fact['id']}", json={"value": "£99"})
    assert refused.status_code == 422
    assert "letter by letter" in refused.json()["error"]["message"]
    changed = studio.patch(f"/engrain/runs/kites/facts/{fact['id']}", json={"value": "41", "subject": "the Gannet kite"})
    assert changed.status_code == 200, changed.text
    assert changed.json()["id"] != fact["id"]
    stored = next(row for row in Run(kites).read_rows("facts.jsonl") if row["value"] == "41")
    section = next(s for s in Run(kites).read_rows("documents.jsonl") if f"{s['file']}#{s['number']}" == stored["section"])
    assert section["text"][stored["start"] : stored["end"]] == "41"
    assert studio.get("/engrain/runs/kites/examples").json()["stale"], "examples are written anew before training"


def test_a_removed_fact_is_gone(studio: Any, kites: Path) -> None:
    fact = price(studio)
    assert studio.delete(f"/engrain/runs/kites/facts/{fact['id']}").status_code == 204
    assert "£41" not in [row["value"] for row in facts(studio)]
    assert studio.delete(f"/engrain/runs/kites/facts/{fact['id']}").status_code == 404


def test_what_was_trained_on_stays_as_it_is(studio: Any, kites: Path) -> None:
    Run(kites).update(status="complete")
    fact = price(studio)
    for answer in (
        studio.delete(f"/engrain/runs/kites/facts/{fact['id']}"),
        studio.patch(f"/engrain/runs/kites/facts/{fact['id']}", json={"subject": "x"}),
        studio.delete("/engrain/runs/kites/examples/0-aa"),
    ):
        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "not_editable"


def test_examples_are_shown_as_the_model_gets_them(studio: Any, kites: Path) -> None:
    page = studio.get("/engrain/runs/kites/examples", params={"q": "gannet", "kind": "question", "limit": 1}).json()
    assert not page["stale"]
    assert page["counts"]["replay"] == 8
    (example,) = page["rows"]
    rendered = studio.get(f"/engrain/runs/kites/examples/{example['id']}/tokens").json()
    text = "".join(token["text"] for token in rendered["tokens"])
    learned = "".join(token["text"] for token in rendered["tokens"] if token["trained"])
    assert "<|im_start|>user\n" + example["turns"][0]["content"] in text
    assert learned == example["turns"][-1]["content"] + "<|im_end|>"
    lengths = studio.get("/engrain/runs/kites/lengths").json()
    rows = Run(kites).read_rows("examples/train.jsonl")
    assert {row["repeats"] for row in rows if "repeats" in row} > {0}, "some come again, others are known and not practised"
    practised = sum(row.get("repeats", 1) for row in rows) + page["counts"]["replay"]
    assert sum(each["count"] for each in lengths["bins"]) == lengths["examples"] == practised
    assert 0 < lengths["trained"] < lengths["tokens"]
    assert lengths["bins"][0]["low"] <= rendered["count"] <= lengths["longest"]


def test_lengths_are_those_of_the_rows_that_training_gets(studio: Any, kites: Path) -> None:
    run = Run(kites)
    asked = run.read_rows("examples/train.jsonl")[0]["messages"][-2]["content"]
    talk = [("user", asked), ("assistant", "Own answer."), ("user", "And on Sunday?"), ("assistant", "The same.")]
    run.write_rows("examples/own.jsonl", [{"messages": [{"role": role, "content": text} for role, text in talk], "kind": "own"}])
    run.update(settings={**run.info["settings"], "turns": "last", "max_length": 60})
    lengths = studio.get("/engrain/runs/kites/lengths").json()
    encode(run, settings_from(run.info["settings"]), SILENT)
    mix = run.info["mix"].values()
    sums = {name: sum(kind[name] for kind in mix) for name in ("examples", "tokens", "graded")}
    assert (lengths["examples"], lengths["tokens"], lengths["trained"]) == tuple(sums.values())
    (own,) = studio.get("/engrain/runs/kites/examples", params={"part": "own"}).json()["rows"]
    tokens = studio.get(f"/engrain/runs/kites/examples/{own['id']}/tokens", params={"part": "own"}).json()["tokens"]
    assert "".join(token["text"] for token in tokens if token["trained"]) == "The same.<|im_end|>"


def test_an_example_is_removed_once(studio: Any, kites: Path) -> None:
    first = studio.get("/engrain/runs/kites/examples", params={"limit": 1}).json()
    identifier = first["rows"][0]["id"]
    assert studio.delete(f"/engrain/runs/kites/examples/{identifier}").status_code == 204
    assert studio.get("/engrain/runs/kites/examples").json()["counts"]["train"] == first["counts"]["train"] - 1
    assert studio.delete(f"/engrain/runs/kites/examples/{identifier}").status_code == 404


def test_the_last_word_on_a_question_counts(studio: Any) -> None:
    for answer in ("Yes.", "Yes, on a lead."):
        made = studio.post("/engrain/examples", json={"question": "May I bring a dog?", "answer": answer, "origin": "correction"})
        assert made.status_code == 201, made.text
    (row,) = studio.get("/engrain/examples").json()["rows"]
    assert (row["answer"], row["origin"]) == ("Yes, on a lead.", "correction")
    assert studio.delete(f"/engrain/examples/{row['id']}").status_code == 204
    assert studio.get("/engrain/examples").json()["rows"] == []


@pytest.mark.parametrize("body", [{"question": "", "answer": "x"}, {"question": "x"}, {"question": "x", "answer": "  "}])
def test_an_empty_example_is_refused(studio: Any, body: dict[str, str]) -> None:
    assert studio.post("/engrain/examples", json=body).status_code == 400, json.dumps(body)


def test_lines_that_other_programs_break_stay_whole(studio: Any) -> None:
    answer = "One.\u2028Two.\u2029Three.\x85Four."
    assert studio.post("/engrain/examples", json={"question": "What?", "answer": answer}).status_code == 201
    assert [row["answer"] for row in studio.get("/engrain/examples").json()["rows"]] == [answer]


def test_examples_that_are_written_at_the_same_moment_are_all_kept(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from engrain.serve import studio_examples

    read = studio_examples.read_own

    def slow(space: Any) -> Any:
        found = read(space)
        time.sleep(0.1)
        return found

    gone = studio.post("/engrain/examples", json={"question": "Old?", "answer": "Yes."}).json()["id"]
    monkeypatch.setattr(studio_examples, "read_own", slow)
    bodies = [{"question": f"Question {number}?", "answer": "Yes."} for number in range(3)]
    with ThreadPoolExecutor(4) as pool:
        removed = pool.submit(studio.delete, f"/engrain/examples/{gone}")
        assert [answer.status_code for answer in pool.map(lambda body: studio.post("/engrain/examples", json=body), bodies)] == [201] * 3
        assert removed.result().status_code == 204
    questions = {row["question"] for row in studio.get("/engrain/examples").json()["rows"]}
    assert questions == {body["question"] for body in bodies}


@pytest.mark.parametrize("relation", ["  ", "the ___ costs ___."])
def test_a_relation_that_a_build_would_refuse_is_refused_at_once(studio: Any, kites: Path, relation: str) -> None:
    fact = price(studio)
    refused = studio.patch(f"/engrain/runs/kites/facts/{fact['id']}", json={"relation": relation})
    assert refused.status_code == 422
    assert refused.json()["error"]["param"] == "relation"
    assert price(studio) == fact
