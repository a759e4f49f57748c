"""Updates of a run, without a model: what they read, keep and resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engrain import api, measuring, pipeline
from engrain.errors import DocumentError, ExampleError, RunError, SettingError
from engrain.run import Run

PRICES = "# Prices\n\nA gift card costs £20. The shop has 4 looms. A class lasts two hours.\n"
TEAM = "# Team\n\nMira Oduya runs the shop.\n"


class Stop(KeyboardInterrupt):
    pass


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def finish(run: Run, *_: Any) -> api.Result:
        (run.path / "adapter").mkdir(exist_ok=True)
        return api.Result(run)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "finish", finish)
    monkeypatch.setattr(api, "check_usable", lambda settings: None)
    monkeypatch.setattr(pipeline, "studying_model", lambda settings, progress: None)
    monkeypatch.setattr(pipeline, "write_replay", lambda run, *_: run.write_rows("examples/replay.jsonl", []))
    monkeypatch.setattr(measuring, "changed_answers", lambda *_: [measuring.Changed("Who?", "Mira.", "Jonas.")])
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "prices.md").write_text(PRICES)
    (folder / "team.md").write_text(TEAM)
    return folder


def edit(run: Run, old: str, **changes: Any) -> None:
    rows = [row | changes if row["value"] == old else row for row in run.read_rows("facts.jsonl")]
    run.write_rows("facts.jsonl", rows)


def facts(run: Run) -> dict[str, Any]:
    return {row["value"]: row for row in run.read_rows("facts.jsonl")}


def test_documents_are_read_once(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = api.build(docs, out="first").run
    (docs / "team.md").write_text(TEAM.replace("Mira Oduya", "Jonas Tern"))
    read, times = api.read_documents, []
    monkeypatch.setattr(api, "read_documents", lambda *a: times.append(a) or read(*a))
    found = api.update(first, docs, out="second")
    assert (len(times), found.changed) == (1, ("team.md",))
    assert found.result is not None
    assert found.result.run.read_json("changes.json")["answers"] == [{"question": "Who?", "before": "Mira.", "after": "Jonas."}]
    assert [answer.after for answer in found.answers] == ["Jonas."]


def test_own_questions_measure_an_update_too(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = api.build(docs, out="first").run
    (docs / "team.md").write_text(TEAM.replace("Mira Oduya", "Jonas Tern"))
    Path("bad.jsonl").write_text('{"question": "Who leads?"}\n')
    with pytest.raises(ExampleError, match="Who leads"):
        api.update(first, docs, questions="bad.jsonl", out="second")
    assert not Path("second").exists()
    Path("own.jsonl").write_text('{"id": "q1", "question": "Who leads?", "answers": ["Jonas"]}\n')
    asked: list[Any] = []
    finish = api.finish
    monkeypatch.setattr(api, "finish", lambda run, settings, questions, *_: asked.append(questions) or finish(run))
    api.update(first, docs, questions="own.jsonl", out="second")
    assert asked == [Path("own.jsonl")]


def test_hand_edits_stay_also_in_a_section_that_changed(docs: Path) -> None:
    first = api.build(docs, out="first").run
    edit(first, "£20", weight=0.2)
    edit(first, "two hours", relation="You need ___ for a class.")
    first.append_row("examples/train.jsonl", {"question": "May I bring tea?", "answer": "Yes, gladly."})
    (docs / "prices.md").write_text(PRICES.replace("4 looms", "6 looms"))
    found = api.update(first, docs, out="second").result
    assert found is not None
    now = facts(found.run)
    assert (now["£20"]["weight"], now["£20"]["edited"]) == (0.2, True)
    assert now["two hours"]["relation"] == "You need ___ for a class."
    assert "6" in now
    assert "4" not in now
    text = found.run.read_rows("documents.jsonl")[0]["text"]
    assert all(text[row["start"] : row["end"]] == row["value"] for row in now.values() if row["section"] == "prices.md#1")
    mine = [row for row in found.run.read_rows("examples/train.jsonl") if row.get("edited")]
    assert [row["messages"][0]["content"] for row in mine] == ["May I bring tea?"]


def test_a_bad_edit_ends_an_update_before_anything_is_made(docs: Path) -> None:
    first = api.build(docs, out="first").run
    edit(first, "£20", value="£21")
    (docs / "team.md").unlink()
    with pytest.raises(DocumentError, match="'£21' does not stand in"):
        api.update(first, docs, out="second")
    assert not Path("second").exists()


def test_an_update_that_was_stopped_goes_on(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = api.build(docs, out="first").run
    (docs / "team.md").unlink()
    with pytest.raises(SettingError, match="There is no stopped update of first"):
        api.update(first, docs, resume=True)
    finish = api.finish

    def stop(*_: Any) -> api.Result:
        raise Stop

    monkeypatch.setattr(api, "finish", stop)
    with pytest.raises(Stop):
        api.update(first, docs, out="runs/second")
    monkeypatch.setattr(api, "finish", finish)
    stopped = Run.open(Path("runs/second"))
    stopped.write_rows("examples/train.jsonl", stopped.read_rows("examples/train.jsonl")[:3])
    found = api.update(first, docs, resume=True).result
    assert found is not None
    assert found.run.path == Path("runs/second")
    assert found.run.info["status"] == "complete"
    assert len(found.run.read_rows("examples/train.jsonl")) == 3, "what was written is not written again"
    with pytest.raises(SettingError, match="is complete: nothing to resume"):
        api.update(first, docs, out="runs/second", resume=True)
    other = api.build(docs, out="other", until="examples").run
    with pytest.raises(SettingError, match="other is no update of first"):
        api.update(first, docs, out=other.path, resume=True)


def test_documents_that_changed_again_are_read_into_the_update_that_goes_on(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = api.build(docs, out="first").run
    (docs / "team.md").unlink()
    second = api.update(first, docs, out="second").result
    assert second is not None
    second.run.update(status="interrupted")
    (docs / "hours.md").write_text("# Hours\n\nThe shop opens at 9:00.\n")
    again = api.update(first, docs, out="second", resume=True)
    assert again.result is not None
    assert "9:00" in facts(again.result.run)
    assert set(json.loads((again.result.run.path / "run.json").read_text())["documents"]) == {"prices.md", "hours.md"}


def test_corrections_stay(docs: Path, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"question": "May I bring tea?", "answer": "Yes, gladly."}\n')
    first = api.build(docs, out="first", own=tmp_path / "own.jsonl").run
    (docs / "team.md").unlink()
    found = api.update(first, docs, out="second").result
    assert found is not None
    assert found.run.read_rows("examples/own.jsonl") == first.read_rows("examples/own.jsonl") != []


def test_what_was_being_written_anew_when_it_was_stopped_is_not_taken_for_done(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = api.build(docs, out="first").run
    first.write_json("evaluation.json", {})
    first.write_rows("by-heart.jsonl", [{"fact": "a", "known": True}])
    first.update(verdict={"choice": "tuned"})
    edit(first, "£20", subject="A ticket", relation="A ticket costs ___.")
    write = pipeline.write_examples

    def stop(*_: Any) -> None:
        raise Stop

    monkeypatch.setattr(pipeline, "write_examples", stop)
    with pytest.raises(Stop):
        api.build(docs, out="first", start_from="facts")
    assert not (first.path / "evaluation.json").exists()
    assert not (first.path / "by-heart.jsonl").exists()
    assert first.info["verdict"] is None, "what was measured is no more"
    monkeypatch.setattr(pipeline, "write_examples", write)
    api.build(docs, out="first", start_from="facts", resume=True)
    assert any("ticket" in row["messages"][0]["content"] for row in first.read_rows("examples/train.jsonl"))


def test_a_build_does_not_go_on_with_examples_that_were_made_otherwise(docs: Path) -> None:
    run = api.build(docs, out="first").run
    run.update(status="interrupted")
    with pytest.raises(RunError, match="cannot go on") as caught:
        api.build(docs, out="first", resume=True, redact=True)
    assert list(caught.value.problems) == ["redact was False, is True"]
    assert api.build(docs, out="first", resume=True, max_steps=3).run.path == run.path
