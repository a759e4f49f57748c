"""The whole way of a code completer, with the tiny model."""

from __future__ import annotations

import json
import re
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from engrain import api
from engrain.cli import main
from engrain.cli.complete import split
from engrain.coding import pipeline as code_pipeline
from engrain.coding.completion import load_completer
from engrain.coding.pipeline import MIDDLE, NEXT_LINE, Spot, draw_spots, exact, similar, syntax_errors, syntax_valid
from engrain.coding.repository import CodeFile
from engrain.errors import ModelError, RunError, SettingError
from engrain.models import load_model, locate
from engrain.run import Run
from engrain.tasks._fim import make_room

LINES = ["set total 0", "incr total $x", "return $total"]


def code(number: int) -> str:
    return "".join(f"proc add{number}_{i} {{x}} {{\n" + "".join(f"    {line}\n" for line in LINES) + "}\n\n" for i in range(6 + number % 3))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    for i in range(8):
        (folder / f"f{i}.tcl").write_text(code(i) + "".join(f"# remark {i * 31 + j} of {i}\nputs {i * 17 + j}\n" for j in range(20)))
    (folder / "LICENSE").write_text("Do what you like.\n")
    return folder


QUICK: dict[str, Any] = {
    "task": "code", "device": "cpu", "precision": "float32", "max_length": 200, "completions": 3, "batch_size": 8, "max_steps": 12,
    "learning_rate": 3e-3, "heldout_files": 0.2,
}  # fmt: skip


@pytest.fixture(scope="module")
def result(repository: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> api.Result:
    torch.set_num_threads(1)
    return api.build(repository, out=tmp_path_factory.mktemp("runs") / "run", base=str(tiny_folder), rank=4, **QUICK)


def test_a_build_measures_before_and_after_on_held_out_files(result: api.Result) -> None:
    run, found = result.run, result.comparison
    assert found is not None
    scores = {line.score: line for line in found.lines}
    assert {"next line: exact match", "middle: edit similarity", "perplexity of held-out files"} <= set(scores)
    before, after = scores["perplexity of held-out files"].base.value, scores["perplexity of held-out files"].tuned.value
    assert before is not None
    assert after is not None
    assert after < before
    assert scores["perplexity of held-out files"].difference.value == pytest.approx(after - before)
    guides, held = ({row["path"] for row in run.read_rows("files.jsonl") if row["part"] == part} for part in ("guiding", "heldout"))
    assert len(guides) == len(held) == 1
    assert not guides & held
    assert {spot["file"] for spot in run.read_rows("spots.jsonl")} == held
    assert code_pipeline.ONE_FILE not in found.notes
    assert run.info["licences"] == ["LICENSE"]
    assert any("no sentinels" in note for note in found.notes)
    assert any("tree-sitter-LANGUAGE" in note for note in found.notes)
    card = (run.path / "README.md").read_text(encoding="utf-8")
    assert "perplexity of held-out files" in card
    assert "has these licence files: `LICENSE`." in card
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "proc add" in page
    assert "<script" not in page


def test_the_run_completes_as_it_was_measured(result: api.Result) -> None:
    completer = load_completer(result.run)
    assert completer.knows_gaps
    rows = result.run.read_rows("spots.jsonl")
    replies = result.run.read_json("scores.json")["after"]["replies"]
    spot = next(i for i, row in enumerate(rows) if row["kind"] == NEXT_LINE)
    made = completer.complete(rows[spot]["before"], path=rows[spot]["file"], max_new_tokens=96, stop=("\n",))
    assert made.text == replies[spot]
    assert made.tokens > 0
    assert "<fim_middle>" in (result.run.path / "adapter" / "tokenizer.json").read_text(encoding="utf-8")
    base = load_completer(result.run, base_only=True)
    assert not base.knows_gaps


def test_the_base_is_measured_again_where_its_gaps_are_others(
    repository: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "code"
    shutil.copytree(repository, folder)
    given: dict[str, Any] = {"out": tmp_path / "run", "base": str(tiny_folder), "rank": 4, **QUICK, "heldout_files": 0.1, "max_steps": 1}
    whole = code_pipeline.tune
    monkeypatch.setattr(code_pipeline, "tune", stop)
    with pytest.raises(KeyboardInterrupt):
        api.build(folder, **given)
    run = Run(tmp_path / "run")
    before = run.read_json("before.json")
    (held,) = {row["file"] for row in run.read_rows("spots.jsonl")}
    with pytest.raises(KeyboardInterrupt):
        api.build(folder, **given, resume=True)
    assert run.read_json("before.json") == before
    (folder / held).write_text("# A first line\n" + (folder / held).read_text())
    monkeypatch.setattr(code_pipeline, "tune", whole)
    notes = api.build(folder, **given, resume=True).comparison.notes
    assert run.read_json("scores.json")["before"]["asked"] != before["asked"]
    assert code_pipeline.ONE_FILE in notes, "a single file chooses the weights and measures"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rank": 200}, "rank=200 is larger than every matrix"),
        ({"rank": 4, "target_modules": "c_attn"}, "LoRA cannot adapt c_attn"),
        ({"method": "layerwise", "layers": "3"}, "layers='3'"),
    ],
)
def test_a_method_that_does_not_fit_is_refused_before_any_work(
    repository: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(code_pipeline, "read_repository", None)
    with pytest.raises(SettingError, match=re.escape(said)):
        api.build(repository, out=tmp_path / "run", base=str(tiny_folder), **QUICK, **options)
    assert not (tmp_path / "run").exists()


def stop(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_long_and_short_held_out_files_guide_and_measure() -> None:
    files = [CodeFile(f"f{i}.tcl", "x" * i, "tcl", 0.0, "") for i in range(5)]
    guides, measures = code_pipeline.divided(files)
    assert [f.path for f in measures] == ["f4.tcl", "f2.tcl", "f1.tcl", "f0.tcl"]
    assert [f.path for f in guides] == ["f3.tcl"]
    assert code_pipeline.divided(files[:1]) == (files[:1], files[:1])


def test_a_base_that_has_changed_since_is_refused(result: api.Result, monkeypatch: pytest.MonkeyPatch) -> None:
    base = {**result.run.info["base"], "files": {"model.safetensors": "0" * 64}}
    monkeypatch.setattr(Run, "info", {**result.run.info, "base": base})
    with pytest.raises(ModelError, match="not the base that this run was trained on"):
        load_completer(result.run)
    assert load_completer(result.run, base_only=True)


def test_the_whole_model_is_saved_with_its_sentinels(repository: Path, tiny_folder: Path, tmp_path: Path) -> None:
    run = api.build(repository, out=tmp_path / "run", base=str(tiny_folder), method="full", **{**QUICK, "max_steps": 2}).run
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = (kind.from_pretrained(run.path / "model") for kind in (AutoTokenizer, AutoModelForCausalLM))
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer)
    first, second = (api.complete(run, "proc a {x} {\n", "}\n", path="f1.tcl", max_new_tokens=5) for _ in range(2))
    assert first.text == second.text


def test_added_sentinels_train_are_loaded_and_taken_along(result: api.Result, tiny_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    completer = load_completer(result.run)
    marks = list(completer.sentinels.marks)
    trained = load_file(result.run.path / "task.safetensors")
    tables = [table.weight[marks] for table in (completer.model.get_input_embeddings(), completer.model.get_output_embeddings())]
    assert all(torch.equal(rows, trained[name]) for rows, name in zip(tables, ("embedding", "head"), strict=True))
    untrained = load_model(locate(str(tiny_folder)), dtype=torch.float32, device="cpu")
    make_room(untrained, completer.tokenizer, completer.sentinels)
    start = untrained.get_input_embeddings().weight
    now = completer.model.get_input_embeddings().weight
    assert (now != start).any(1).nonzero()[:, 0].tolist() == marks
    taken = api.export(result.run, "merged", out=tmp_path / "taken", type="f32")
    assert torch.equal(AutoModelForCausalLM.from_pretrained(taken.folder).get_input_embeddings().weight, now)


def test_a_stopped_build_goes_on_to_the_same_sentinels(repository: Path, tiny_folder: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"base": str(tiny_folder), "rank": 4, **QUICK, "max_steps": 6, "patience": 0, "evaluate_every": 0.4}
    whole = api.build(repository, out=tmp_path / "whole", **given).run
    part = api.build(repository, out=tmp_path / "part", **given).run
    steps = sorted((part.path / "checkpoints").glob("step-*"), key=lambda folder: int(folder.name[5:]))
    assert len(steps) == 2
    shutil.rmtree(steps[-1])
    (part.path / "task.safetensors").unlink()
    part.update(status="interrupted")
    again = api.build(repository, out=part.path, resume=True, **given).run
    first, second = ((run.path / "task.safetensors").read_bytes() for run in (whole, again))
    assert first == second


def test_without_gaps_no_sentinel_trains(repository: Path, tiny_folder: Path, tmp_path: Path) -> None:
    run = api.build(repository, out=tmp_path / "run", base=str(tiny_folder), rank=4, **{**QUICK, "max_steps": 1, "fim_rate": 0.0}).run
    assert not (run.path / "task.safetensors").exists()


def test_what_cannot_be_completed_says_so(result: api.Result) -> None:
    with pytest.raises(SettingError, match="nothing to complete"):
        api.complete(result.run, "")
    with pytest.raises(SettingError, match="max_new_tokens=2000"):
        api.complete(result.run, "x", max_new_tokens=2000)
    with pytest.raises(RunError, match="made for the task 'code', not 'image-classification'"):
        api.classify(result.run, "a.png")


def test_the_command_line_completes(result: api.Result, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(result.run.path)
    file = str(repository / "f1.tcl")
    assert main(["complete", file, "--run", run, "--at", "2:5", "--max-tokens", "8", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tokens"] <= 8
    assert main(["complete", file, "--run", run, "--at", "9999"]) == 2
    assert "there is no such place" in capsys.readouterr().err


def test_a_place_splits_a_text() -> None:
    text = "one\ntwo\nthree"
    assert split(text, None) == (text, "")
    assert split(text, "2") == ("one\n", "two\nthree")
    assert split(text, "2:3") == ("one\ntw", "o\nthree")
    assert split(text, "3:6") == (text, "")


def test_gaps_are_drawn_from_all_files_and_only_once() -> None:
    files = [CodeFile(f"f{i}.tcl", code(i), "tcl", 0.0, "") for i in range(3)]
    spots = draw_spots(files, MIDDLE, 9, 0)
    assert {spot.file for spot in spots} == {"f0.tcl", "f1.tcl", "f2.tcl"}
    assert len({(spot.file, spot.line) for spot in spots}) == 9
    for spot in spots:
        assert spot.before + spot.wanted + spot.after == next(f.text for f in files if f.path == spot.file)
    assert draw_spots(files, MIDDLE, 9, 0) == spots != draw_spots(files, MIDDLE, 9, 1)
    assert all(spot.after == "" and "\n" not in spot.wanted for spot in draw_spots(files, NEXT_LINE, 5, 0))
    assert len(draw_spots(files, NEXT_LINE, 10_000, 0)) < 200


def spot(wanted: str, before: str = "", after: str = "", file: str = "a.py") -> Spot:
    return Spot(MIDDLE, file, 1, before, after, wanted)


def test_scores() -> None:
    assert exact(spot("  return x\n  y"), "return x\n    y ") == 1.0
    assert exact(spot("return x"), "return y") == 0.0
    assert similar(spot("return x"), "  return y") == pytest.approx(7 / 8)
    assert similar(spot("abc"), "") == 0.0


def test_syntax_is_held_against_the_file_as_it_was() -> None:
    pytest.importorskip("tree_sitter_python")
    here = spot("    return x", "def f(x):\n", "\n\nf(1)\n")
    assert syntax_valid(here, "    return x + 1") == 1.0
    assert syntax_valid(here, "    return (x +") == 0.0
    assert syntax_errors("def f(:\n", "python") != 0
    assert syntax_valid(spot("x", file="a.tcl"), "y") is None


def test_each_command_finds_the_newest_run_of_its_own_task(result: api.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").symlink_to(result.run.path)
    assert api.run_for("code", None).path.name == "mine"
    with pytest.raises(RunError, match="made for the task 'code', not 'chat'"):
        api.load()


def test_grammars_that_hold_several_languages_or_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    tree_sitter, python = pytest.importorskip("tree_sitter"), pytest.importorskip("tree_sitter_python")
    monkeypatch.setitem(sys.modules, "tree_sitter_php", types.SimpleNamespace(language_php=python.language))
    assert syntax_errors("a = (1\n", "php") != 0
    monkeypatch.setitem(sys.modules, "tree_sitter_php", types.SimpleNamespace(language_php_only=python.language))
    assert syntax_errors("a = (1\n", "php") is None

    def too_old(grammar: object) -> None:
        raise ValueError("Incompatible Language version 9")

    monkeypatch.setattr(tree_sitter, "Language", too_old)
    assert syntax_errors("a = (1\n", "python") is None
