"""The whole path on a tiny random model: what it leaves, how it resumes, and what bad input gets."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import engrain
from engrain import api
from engrain.config import settings_from
from engrain.errors import DocumentError, ExampleError, ModelError, RunError, SettingError
from engrain.evaluate import Evaluation
from engrain.examples import Message
from engrain.knowledge.dataset import Studied
from engrain.knowledge.wording import Wording
from engrain.progress import SILENT, Progress
from engrain.run import Run
from engrain.study.adapter import study_adapter
from engrain.study.base import Writer
from engrain.tasks import _packed

DOCUMENT = """# Harbour Kites

Harbour Kites opened on 4 March 2025 in Salt Lane. Mira Oduvall runs the shop.

## Prices

| Kite | Price | Wind |
| --- | --- | --- |
| Gannet | £41 | 12 mph |
| Petrel | £29 | 8 mph |

## Rules

Repairs take nine days. A deposit of £15 is due when you hire a kite.
"""
OPTIONS = {
    "max_steps": 4,
    "readings": 0,
    "replay": 8,
    "rank": 4,
    "batch_size": 4,
    "evaluate_every": 0.01,
    "precision": "float32",
    "device": "cpu",
}


class Notes(Progress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and caches go into the test's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "kites.md").write_text(DOCUMENT)
    return folder


@pytest.mark.parametrize(("method", "artifact"), [("lora", "adapter/adapter_model.safetensors"), ("layerwise", "model/model.safetensors")])
def test_build_leaves_a_whole_run(documents: Path, tiny_folder: Path, method: str, artifact: str) -> None:
    options = {k: v for k, v in OPTIONS.items() if k != "rank" or method == "lora"}
    result = engrain.build(documents, base=str(tiny_folder), method=method, out="kites", **options)
    run = result.run
    assert run.path == Path("kites")
    for name in (
        "documents.jsonl",
        "facts.jsonl",
        "coverage.json",
        "examples/train.jsonl",
        "examples/heldout.jsonl",
        "examples/replay.jsonl",
    ):
        assert (run.path / name).is_file(), name
    for name in (artifact, "metrics.jsonl", "evaluation.json", "by-heart.jsonl", "report.html", "README.md"):
        assert (run.path / name).is_file(), name
    info = run.info
    assert info["status"] == "complete"
    assert info["settings"]["method"] == method
    assert info["trained"]["steps"] == 4
    assert info["base"]["files"]
    assert result.verdict is not None
    assert info["verdict"]["choice"] == result.verdict.choice
    assert result.evaluation is not None
    assert result.evaluation.columns == ("base", "base+retrieval", "tuned", "tuned+retrieval")
    sections = {f"{row['file']}#{row['number']}": row["text"] for row in run.read_rows("documents.jsonl")}
    facts = run.read_rows("facts.jsonl")
    assert any(fact["value"] == "£41" for fact in facts)
    assert all(sections[f["section"]][f["start"] : f["end"]] == f["value"] for f in facts)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"layers": "40"}, "does not fit a model with layers 0 to"),
        ({"target_modules": "q_porj"}, "LoRA cannot adapt q_porj"),
        ({"rank": 2000}, "larger than every matrix"),
        ({"bias": "all"}, "no such bias"),
    ],
)
def test_a_method_that_does_not_fit_the_base_is_told_before_anything_is_made(
    options: dict[str, Any], told: str, documents: Path, tiny_folder: Path
) -> None:
    own = documents.parent / "own.jsonl"
    own.write_text(json.dumps({"question": "Where is the shed?", "answer": "Behind the mill."}) + "\n")
    for work in (engrain.build, engrain.tune):
        with pytest.raises(SettingError, match=told):
            work(documents if work is engrain.build else own, base=str(tiny_folder), out="kites", **{**OPTIONS, **options})
    assert not Path("kites").exists()


def test_a_size_that_only_the_weights_tell_is_no_reason_against_it(tiny_folder: Path) -> None:
    api.check_usable(settings_from({"base": str(tiny_folder), "method": "shira", "precision": "float32", "device": "cpu"}))


def test_a_base_that_cannot_be_packed_is_told_before_anything_is_made(
    documents: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engrain.tasks._packed.tolerance", lambda _: -1.0)
    with pytest.raises(ModelError, match="computes packed rows wrongly"):
        engrain.build(documents, base=str(tiny_folder), out="kites", **OPTIONS)
    assert not Path("kites").exists()


def test_everyday_questions_are_left_to_the_base_by_a_gate(documents: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the encoder: to one with random weights all questions are like a trained one. And without what people ask elsewhere:
    # to a base with random weights that sounds like anything else.
    monkeypatch.setattr("engrain.pipeline.asked_elsewhere", lambda count: [])
    run = engrain.build(documents, base=str(tiny_folder), out="kites", encoder=False, **OPTIONS).run
    evaluation = run.read_json("evaluation.json")
    assert (run.path / "gate.safetensors").is_file()
    assert evaluation["alone"]["replies"].keys() == {q["id"] for q in evaluation["questions"]}
    assert evaluation["perplexity"].keys() == {"base", "tuned", "tuned, alone"}
    assert json.loads(json.dumps(Evaluation.from_dict(evaluation).to_dict())) == evaluation
    question = "What is the capital of France?"
    gated, alone, base = (engrain.load(run, **given) for given in ({}, {"gate": False}, {"base_only": True}))
    assert gated.concerns([question, "What does the Gannet cost?"]) == [False, True]
    assert gated.ask(question).text == base.ask(question).text
    assert alone.everyday is None
    without = engrain.build(documents, base=str(tiny_folder), out="open", gate=False, encoder=False, **OPTIONS)
    assert not (without.run.path / "gate.safetensors").exists()
    assert without.evaluation is not None
    assert without.evaluation.alone == (), "it is asked by itself already"


def test_what_the_model_answers_in_the_words_of_those_who_ask_is_measured_beside_what_it_answers_in_its_own(
    documents: Path, tiny_folder: Path
) -> None:
    evaluation = engrain.build(documents, base=str(tiny_folder), out="kites", gate=False, **OPTIONS).evaluation
    assert evaluation is not None
    alone = {outcome.question.question: outcome.reply for outcome in evaluation.alone}
    bare = engrain.load("kites", rewrite=False)
    questions = [o.question.question for o in evaluation.alone if not o.question.system][:8]
    assert bare.replies(questions, "closed-book") == [alone[question] for question in questions]
    asked = {outcome.question.question: outcome.reply for outcome in evaluation.outcomes["tuned"]}
    assert alone.keys() == asked.keys()
    assert alone != asked
    assert evaluation.perplexity_ratio("tuned, alone") == evaluation.perplexity_ratio()


def test_a_build_can_stop_at_its_examples_and_go_on_from_edited_ones(documents: Path, tiny_folder: Path) -> None:
    options: dict[str, Any] = {**OPTIONS, "base": str(tiny_folder), "out": "kites"}
    ready = engrain.build(documents, until="examples", **options).run
    assert ready.info["status"] == "ready"
    assert not (ready.path / "adapter").exists()
    train = ready.read_rows("examples/train.jsonl")
    ready.write_rows("examples/train.jsonl", train[1:])
    again = {"question": train[1]["messages"][0]["content"], "answer": "What people wrote wins."}
    own = documents.parent / "own.jsonl"
    own.write_text("\n".join(map(json.dumps, [{"question": "May I bring a dog?", "answer": "Yes, on a lead."}, again])))
    notes = Notes()
    result = engrain.build(documents, start_from="examples", own=own, progress=notes, **options)
    assert result.run.info["status"] == "complete"
    assert len(result.run.read_rows("examples/train.jsonl")) == len(train) - 1
    own_rows = result.run.read_rows("examples/own.jsonl")
    assert len(own_rows) == 2
    # One was removed and one is replaced; what people wrote comes as often as what comes most often.
    learned = sum(row.get("repeats", 1) for row in (*train[2:], *own_rows)) + OPTIONS["replay"]
    assert own_rows[0]["repeats"] == max(row.get("repeats", 1) for row in train)
    assert any(note.startswith(f"{learned} examples with") for note in notes.texts)
    with pytest.raises(SettingError, match="sideways"):
        engrain.build(documents, until="sideways")


def test_examples_written_anew_from_edited_facts_keep_what_was_studied(
    documents: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Curious(Writer):
        def notice(self, facts: Any, sections: Any, business: str) -> list[Any]:
            return list(facts)

        def study(self, facts: Any, sections: Any) -> Studied:
            asked.extend(fact.value for fact in facts)
            return Studied({f.id: [Wording("question", "studied", f"How is {f.id} called?", f"{f.value}.")] for f in facts})

    monkeypatch.setattr("engrain.pipeline.studying_model", lambda *_: Curious())
    options: dict[str, Any] = {**OPTIONS, "base": str(tiny_folder), "until": "examples", "out": "kites"}
    run = engrain.build(documents, **options).run
    assert "£41" in asked
    facts = run.read_rows("facts.jsonl")
    changed = next(fact for fact in facts if fact["value"] == "£41")
    changed |= {"value": "41", "start": changed["start"] + 1}
    run.write_rows("facts.jsonl", facts)
    asked.clear()
    engrain.build(documents, start_from="facts", **options)
    assert asked == ["41"]


def test_a_build_keeps_edited_facts_of_an_earlier_run(documents: Path, tiny_folder: Path) -> None:
    options: dict[str, Any] = {**OPTIONS, "base": str(tiny_folder), "until": "examples"}
    first = engrain.build(documents, out="first", **options).run
    kept = [fact for fact in first.read_rows("facts.jsonl") if fact["value"] != "£29"]
    first.write_rows("facts.jsonl", kept)
    (documents / "news.md").write_text("# News\n\nThe Fulmar costs £88 from May 2026.\n")
    second = engrain.build(documents, out="second", earlier="first", **options).run
    values = {fact["value"] for fact in second.read_rows("facts.jsonl")}
    assert "£29" not in values
    assert {"£41", "£88"} <= values


def test_a_tuned_run_answers_and_says_what_supports_it(documents: Path, tiny_folder: Path) -> None:
    result = engrain.build(documents, base=str(tiny_folder), **OPTIONS)
    run = result.run
    assistant = engrain.load(result)
    answer = assistant.ask("What does the Gannet cost?")
    assert answer.status in {"supported", "unsupported", "refused"}
    checked = assistant.check("What does the Gannet cost?", "£41")
    assert checked.status == "supported"
    assert checked.source.startswith("kites.md")
    assert assistant.check("What does the Gannet cost?", "£77").status == "unsupported"
    assert "".join(assistant.stream("What does the Gannet cost?")).strip() == answer.text
    opened = engrain.load(run, mode="retrieval")
    assert any("Gannet" in text for text in opened.passages("What does the Gannet cost?"))
    opened.switch("both")
    assert opened.mode == "both"
    assert "".join(opened.stream("What does the Gannet cost?")).strip() == opened.ask("What does the Gannet cost?").text
    with pytest.raises(SettingError, match="sideways"):
        opened.switch("sideways")
    assert opened.mode == "both", "a refused switch changes nothing"
    assert isinstance(engrain.load(run, base_only=True).ask("Hello?").text, str)


def test_an_interrupted_build_goes_on_where_it_stopped(documents: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = engrain.build(documents, base=str(tiny_folder), out="whole", **OPTIONS).run
    real = api.pipeline.tune

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api.pipeline, "tune", stop)
    with pytest.raises(KeyboardInterrupt):
        engrain.build(documents, base=str(tiny_folder), out="broken", **OPTIONS)
    assert Run.open(Path("broken")).info["status"] == "interrupted"
    with pytest.raises(RunError, match="--resume"):
        engrain.build(documents, base=str(tiny_folder), out="broken", **OPTIONS)
    monkeypatch.setattr(api.pipeline, "tune", real)
    again = engrain.build(documents, base=str(tiny_folder), out="broken", resume=True, **OPTIONS).run
    assert again.info["status"] == "complete"
    name = "adapter/adapter_model.safetensors"
    assert (again.path / name).read_bytes() == (whole.path / name).read_bytes()


def test_edited_examples_are_what_is_trained(documents: Path, tiny_folder: Path) -> None:
    run = engrain.build(documents, base=str(tiny_folder), out="edited", **OPTIONS).run
    rows = run.read_rows("examples/train.jsonl")
    practised = [row for row in rows if "repeats" not in row][:2]
    resting = next(row for row in rows if row.get("repeats") == 0)
    run.write_rows("examples/train.jsonl", [resting])
    with pytest.raises(ExampleError, match="practised"):
        engrain.build(documents, base=str(tiny_folder), out="edited", start_from="examples", **OPTIONS | {"replay": 0})
    resting["messages"][0]["content"] = "In other words?"  # what people edit is practised
    run.write_rows("examples/train.jsonl", [*practised, resting])
    again = engrain.build(documents, base=str(tiny_folder), out="edited", start_from="examples", **OPTIONS | {"replay": 0}).run
    assert len(again.read_rows("examples/train.jsonl")) == 3
    assert again.info["trained"]["steps"] == 3, "three passes over one batch"


def test_written_examples_that_are_too_long_are_left_out(documents: Path, tiny_folder: Path) -> None:
    notes = Notes()
    result = engrain.build(documents, base=str(tiny_folder), max_length=110, progress=notes, **OPTIONS)
    assert result.run.info["status"] == "complete"
    assert any("longer than 110 tokens are left out" in text for text in notes.texts)


def test_tune_measures_the_examples_that_are_kept_apart(tmp_path: Path, tiny_folder: Path) -> None:
    rows = [{"question": f"What is {i}?", "answer": f"Number {i}."} for i in range(8)]
    for name, chosen in (("learn.jsonl", rows[:6]), ("keep.jsonl", rows[6:])):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in chosen))
    run = engrain.tune(tmp_path / "learn.jsonl", heldout=tmp_path / "keep.jsonl", base=str(tiny_folder), **OPTIONS).run
    assert len(run.read_rows("examples/train.jsonl")) == 6
    assert [row["messages"][0]["content"] for row in run.read_rows("examples/heldout.jsonl")] == ["What is 6?", "What is 7?"]


def test_the_base_is_looked_at_before_a_method_changes_it(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[bool] = []
    monkeypatch.setattr(_packed, "check_model", lambda model: looked_at.append(any(p.requires_grad for p in model.parameters())))
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"Question {i}?", "completion": f"Answer {i}."}) + "\n" for i in range(6)))
    options = {name: value for name, value in OPTIONS.items() if name != "rank"}
    engrain.tune(file, base=str(tiny_folder), method="prefix_tuning", evaluate=False, **options)
    assert looked_at == [False]


def test_a_chatbot_is_told_what_it_was_told_in_training(tmp_path: Path, tiny_folder: Path) -> None:
    run = Run.create(tmp_path / "desk", "desk")
    run.update(status="complete", settings={"base": str(tiny_folder), "method": "lora", "precision": "float32", "device": "cpu"})
    assert engrain.load(run, base_only=True).system == ""
    turns = [Message("system", "You are the front desk."), Message("user", "May I bring my dog?"), Message("assistant", "Yes.")]
    run.write_rows("examples/train.jsonl", [{"messages": turns}])
    assistant = engrain.load(run, base_only=True)
    assert assistant.system == "You are the front desk."
    assert assistant.told("").system == ""


def test_tune_uses_ones_own_examples(tmp_path: Path, tiny_folder: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"Question {i}?", "completion": f"Answer {i}."}) + "\n" for i in range(40)))
    result = engrain.tune(file, base=str(tiny_folder), **OPTIONS)
    assert result.run.info["status"] == "complete"
    assert result.evaluation is not None
    assert result.evaluation.columns == ("base", "tuned")
    assert len(result.run.read_rows("examples/heldout.jsonl")) == 2
    assert result.run.info["settings"]["epochs"] == 25.0
    assert result.run.info["settings"]["patience"] is None


def test_a_tuning_does_not_go_on_with_another_base(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"Question {i}?", "completion": f"Answer {i}."}) + "\n" for i in range(40)))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api.pipeline, "tune", stop)
    with pytest.raises(KeyboardInterrupt):
        engrain.tune(file, base=str(tiny_folder), out="mine", **OPTIONS)
    other = tmp_path / "other"
    shutil.copytree(tiny_folder, other)
    with pytest.raises(RunError, match="cannot go on with what has changed") as caught:
        engrain.tune(file, base=str(other), out="mine", resume=True, **OPTIONS)
    assert [problem.split(" ")[0] for problem in caught.value.problems] == ["base"]


def test_a_task_of_its_own_goes_on_with_what_it_was_made_with() -> None:
    code, images = (api.settings_of_task(settings_from({"task": task})) for task in ("code", "image-classification"))
    assert {"base", "seed", "completions", "heldout_files"} <= code.keys()
    assert {"seed", "image_size", "test_share"} <= images.keys()
    assert "base" not in images
    assert not {"minutes", "method", "learning_rate"} & (code.keys() | images.keys())


def test_too_few_examples_to_hold_any_out_leave_no_verdict(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "one.jsonl").write_text(json.dumps({"prompt": "When?", "completion": "At nine."}) + "\n")
    notes = Notes()
    result = engrain.tune(tmp_path / "one.jsonl", base=str(tiny_folder), progress=notes, **OPTIONS)
    assert (result.run.info["status"], result.verdict) == ("complete", None)
    assert any("Nothing was held out" in text for text in notes.texts)


def test_prompts_fit_what_the_model_sees_at_once(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "long.md").write_text(
        "# Kites\n\n" + "\n\n".join(f"The kite {n}, which flies {'very ' * 110}well, costs £{n}." for n in range(1, 9))
    )  # sentences are not cut
    run = engrain.build(tmp_path / "long.md", base=str(tiny_folder), evaluate=False, **OPTIONS).run
    assistant = engrain.load(run, mode="retrieval")
    assert sum(map(len, assistant.passages("What does the kite 3 cost?"))) > 1024, "more than the model can see"
    assert assistant.ask("What does the kite 3 cost?").status in {"supported", "unsupported", "refused"}
    talk = [("When?" * 40, "At nine." * 40)] * 3
    assert isinstance("".join(assistant.stream("And then?", talk)), str)
    with pytest.raises(SettingError, match=r"'Why Why .*…: 4,\d+ tokens"):
        assistant.ask_many(["Why?", "Why " * 1000])


def test_no_evaluate_leaves_no_verdict(documents: Path, tiny_folder: Path) -> None:
    result = engrain.build(documents, base=str(tiny_folder), evaluate=False, **OPTIONS)
    assert result.verdict is None
    assert not (result.run.path / "evaluation.json").exists()
    assert result.run.info["status"] == "complete"


def test_own_questions_are_asked(documents: Path, tiny_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps({"id": "a", "question": "Who runs Harbour Kites?", "answers": ["Mira Oduvall"], "kind": "direct"}) + "\n")
    run = engrain.build(documents, base=str(tiny_folder), questions=file, **OPTIONS).run
    asked = [row for row in run.read_json("evaluation.json")["questions"] if row["kind"] != "general"]
    assert [row["id"] for row in asked] == ["a"]
    assert set(asked[0]["replies"]) == {"base", "base+retrieval", "tuned", "tuned+retrieval"}
    evaluation = api.evaluate(run, file)
    assert evaluation.accuracy("tuned").count == 1


def test_examples_previews_without_training(documents: Path) -> None:
    preview = api.examples(documents)
    assert {f.value for f in preview.facts} >= {"£41", "£29"}
    assert preview.train
    assert preview.heldout
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda folder: folder, DocumentError, "no"),
        (lambda folder: (folder / "empty.txt").write_text("") and folder, DocumentError, "empty"),
        (lambda folder: folder / "missing", DocumentError, "missing"),
    ],
)
def test_bad_documents_end_with_one_clear_error(tmp_path: Path, tiny_folder: Path, make, error: type[Exception], words: str) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "bad"
    folder.mkdir()
    with pytest.raises(error, match=words):
        engrain.build(make(folder) or folder, base=str(tiny_folder), out="run", **OPTIONS)


def test_documents_without_facts_are_refused(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "blah.txt").write_text("Hm. Well. Oh dear.")
    with pytest.raises(DocumentError, match="fact"):
        engrain.build(tmp_path / "blah.txt", base=str(tiny_folder), out="run", **OPTIONS)


def test_wrong_calls_name_the_setting(documents: Path, tiny_folder: Path) -> None:
    with pytest.raises(SettingError, match="rank"):
        engrain.build(documents, method="full", rank=8)
    with pytest.raises(SettingError, match="start_from"):
        engrain.build(documents, start_from="nowhere")
    with pytest.raises(SettingError, match="mode"):
        engrain.load(base_only=True, base=str(tiny_folder), mode="sideways")


def test_bad_example_rows_are_all_listed(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"prompt": "a", "completion": ""}\n{broken\n{"prompt": "a", "completion": "b"}\n')
    with pytest.raises(ExampleError) as caught:
        engrain.tune(file)
    assert "bad.jsonl:1" in str(caught.value)
    assert "bad.jsonl:2" in str(caught.value)


def test_an_example_longer_than_the_limit_is_named(tmp_path: Path, tiny_folder: Path) -> None:
    file = tmp_path / "long.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"q{i}", "completion": "x" * (900 if i == 3 else 5)}) + "\n" for i in range(6)))
    with pytest.raises(ExampleError, match=r"long\.jsonl:4: 948 tokens\nShorten them, or raise --max-length"):
        engrain.tune(file, base=str(tiny_folder), max_length=300, **OPTIONS)
    assert not list(Path("runs").iterdir()), "a run that has nothing to go on from is removed"


def test_a_prepared_base_writes_questions_in_later_builds(
    documents: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from engrain.models import locate
    from engrain.study import adapter, lessons, prepare

    trade = lessons.read_corpus()[0]
    few = replace(trade, rows=trade.rows[:3])
    monkeypatch.setattr(prepare, "read_corpus", lambda: [few])
    base = str(tiny_folder)
    assert study_adapter(locate(base)) is None
    small = {name: OPTIONS[name] for name in ("max_steps", "batch_size", "precision", "device")}
    run = api.prepare(base, rank=4, **small).run
    assert run.info["status"] == "complete"
    assert run.path == Path("studies") / tiny_folder.name
    assert api.runs() == [], "it is none of the runs, of which the newest is asked"
    folder = study_adapter(locate(base))
    assert folder is not None
    assert (folder / "adapter_model.safetensors").stat().st_size < (run.path / "adapter" / "adapter_model.safetensors").stat().st_size

    monkeypatch.setattr(adapter, "fluent", lambda tokenizer, reply: adapter.lines(reply.text))
    monkeypatch.setattr(adapter.StudyingModel, "_sure", lambda self, shown, wordings, answers: dict.fromkeys(wordings, 0.0))
    monkeypatch.setattr(adapter, "QUESTION_TOKENS", 20)
    monkeypatch.setattr(adapter, "sensible", lambda fact, question: True)
    notes = Notes()
    built = engrain.build(documents, base=base, out="with", progress=notes, **OPTIONS).run
    rows = [row for row in built.read_rows("examples/train.jsonl") if row["form"] == "studied"]
    assert rows
    assert {row["fact"] for row in rows} <= {row["id"] for row in built.read_rows("facts.jsonl")}
    assert any("studying model" in text for text in notes.texts)
    without = engrain.build(documents, base=base, out="without", study=False, **OPTIONS).run
    assert not [row for row in without.read_rows("examples/train.jsonl") if row["form"] == "studied"]


def test_an_update_studies_only_what_changed_and_tells_what_is_answered_otherwise(documents: Path, tiny_folder: Path) -> None:
    (documents / "hours.md").write_text("# Hours\n\nThe shop opens at 9:00 on Mondays. Parking costs £2 a day.\n")
    first = engrain.build(documents, base=str(tiny_folder), out="first", **OPTIONS).run
    assert api.update(first, documents, out="same").result is None
    assert not Path("same").exists()

    (documents / "hours.md").write_text("# Hours\n\nThe shop opens at 10:30 on Mondays. Parking costs £2 a day.\n")
    (documents / "team.md").write_text("# Team\n\nMira Oduya founded the shop in 2019.\n")
    edited = [row | {"weight": 0.25} if row["section"].startswith("kites.md") else row for row in first.read_rows("facts.jsonl")]
    first.write_rows("facts.jsonl", edited)
    found = api.update(first, documents, out="second")
    assert (found.added, found.changed, found.removed) == (("team.md",), ("hours.md",), ())
    assert found.result is not None
    second = found.result.run
    facts = second.read_rows("facts.jsonl")
    assert {row["value"] for row in facts} >= {"10:30", "2019"}
    assert "9:00" not in {row["value"] for row in facts}
    assert {row["weight"] for row in facts if row["section"].startswith("kites.md")} == {0.25}, "what was edited by hand stays"
    assert second.info["settings"] == first.info["settings"]
    assert second.info["updates"] == "first"
    assert second.read_json("changes.json")["answers"] == [vars(answer) for answer in found.answers]
    (documents / "team.md").unlink()
    (documents / "hours.md").unlink()
    (documents / "own.jsonl").write_text('{"question": "Who?", "answer": "Mira."}\n')
    tuned = engrain.tune(documents / "own.jsonl", base=str(tiny_folder), out="own", evaluate=False, **OPTIONS).run
    (documents / "own.jsonl").unlink()
    with pytest.raises(SettingError, match="own was not made from documents"):
        api.update(tuned, documents, out="fourth")
    assert api.update(second, documents, out="third", evaluate=False).removed == ("hours.md", "team.md")


def test_what_a_model_wrote_about_unchanged_sections_is_kept(documents: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[str]] = []

    class Scholar(Writer):
        def notice(self, facts: Any, sections: Any, business: str) -> Any:
            return list(facts)

        def study(self, facts: Any, sections: Any) -> Studied:
            asked.append(set(sections))
            wordings = {f.id: [Wording("question", "studied", f"What about {f.id}?", f.value)] for f in facts}
            return Studied(wordings, {name: [f"Who painted {name}?"] for name in sections})

    monkeypatch.setattr(api.pipeline, "studying_model", lambda settings, progress: Scholar())
    first = engrain.build(documents, base=str(tiny_folder), out="first", evaluate=False, **OPTIONS).run
    (documents / "team.md").write_text("# Team\n\nMira Oduya founded the shop in 2019.\n")
    found = api.update(first, documents, out="second").result
    assert found is not None
    assert {name.partition("#")[0] for name in asked[0]} == {"kites.md"}
    assert {name.partition("#")[0] for name in asked[1]} == {"team.md"}
    kept = {row["fact"]: row for row in found.run.read_rows("studied.jsonl")}
    assert all(kept[row["fact"]] == row for row in first.read_rows("studied.jsonl"))
    assert set(found.run.read_json("absent.json")) == asked[0] | asked[1]


def test_private_data_is_listed_and_masked_where_asked(documents: Path, tiny_folder: Path) -> None:
    (documents / "desk.md").write_text("# Desk\n\nMira answers mira@kites.example. The desk opens at 9:00.\n")
    notes = Notes()
    run = engrain.build(documents, base=str(tiny_folder), out="masked", redact=True, evaluate=False, progress=notes, **OPTIONS).run
    assert [row["kind"] for row in run.info["private"]] == ["e-mail address"]
    assert any("Private data: e-mail address × 1 (masked)" in text for text in notes.texts)
    assert any("e-mail address" in text and "… in " in text for text in notes.texts), "and where"
    assert not any("mira@kites.example" in path.read_text(errors="ignore") for path in run.path.rglob("*.json*"))
    assert [p.place for p in api.examples(documents).private] == ["desk.md › Desk"]


def test_lora_learns_documents_in_the_top_half_of_the_layers() -> None:
    chosen = settings_from({}).for_documents()
    assert (chosen.training.minutes, chosen.training.patience, chosen.method_settings.layers) == (None, None, "0.5")
    for told in ({"layers": "1.0", "max_steps": 3, "patience": 2}, {"method": "full", "epochs": 1, "patience": 0}):
        assert settings_from(told).for_documents() == settings_from(told)


def test_training_has_what_a_build_leaves_of_its_time_and_goes_on_with_as_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, open_ended = Run.create(tmp_path / "run", "run"), settings_from({})
    assert api.budgeted(run, open_ended, 9.5 * 60).training.minutes == 5.5
    assert api.budgeted(run, open_ended, 0).training.minutes == 8, "nothing was trained yet"
    assert run.info["training_minutes"] == 8
    monkeypatch.setattr(Run, "newest_checkpoint", lambda self: (3, self.path))
    assert api.budgeted(run, open_ended, 9.5 * 60).training.minutes == 8, "else a resumed training would have other settings"
    for told in ({"minutes": 2.0}, {"epochs": 1.0}, {"max_steps": 4}):
        assert api.budgeted(run, settings_from(told), 9.5 * 60) == settings_from(told)


@pytest.mark.parametrize(("told", "wanted"), [({}, ["base", "train", "all"]), ({"epochs": 1.0}, ["train", "all"])])
def test_training_waits_for_the_base_only_where_its_minutes_depend_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], wanted: list[str]
) -> None:
    done: list[str] = []
    monkeypatch.setattr(api, "begin_measuring", lambda *given: ["a question"])
    monkeypatch.setattr(api, "measured", lambda *given: done.append("all"))
    monkeypatch.setattr(api.measuring, "measure_base", lambda *given: done.append("base"))
    monkeypatch.setattr(api.pipeline, "encode", lambda *given: None)
    monkeypatch.setattr(api.pipeline, "tune", lambda *given: done.append("train"))
    api.finish(Run.create(tmp_path / "run", "test"), settings_from(told), None, SILENT, 0.0)
    assert done == wanted


def test_a_build_tells_training_how_long_it_took_so_far(documents: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def tell(_run: Run, settings: Any, besides: float) -> Any:
        seen.append(besides)
        return settings

    monkeypatch.setattr(api, "budgeted", tell)
    real = api.begin_measuring
    monkeypatch.setattr(api, "begin_measuring", lambda *given: (clock.__setitem__(0, clock[0] + 100), real(*given))[1])
    clock = [5000.0]
    # of this module alone: an event loop that still runs in another thread would sleep until a clock that never comes
    monkeypatch.setattr(api, "time", SimpleNamespace(monotonic=lambda: clock[0], time=time.time, perf_counter=time.perf_counter))
    engrain.build(documents, base=str(tiny_folder), out="timed", **OPTIONS)
    assert seen == [100 + 100 * api.MEASURED_AGAIN + api.OTHERWISE]
