"""The commands that try things out or join them: what reaches the api, and what is shown of its answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engrain.api import Result
from engrain.cli import _render, main
from engrain.errors import Interrupted, SettingError
from engrain.evaluate import TUNED, Evaluation, score
from engrain.examples import Question
from engrain.run import Run
from engrain.scoreboard import Costs, Scoreboard, advice, score_of
from engrain.tried import Swept, Tried
from engrain.verdict import Verdict
from test_cli import answers_with, api  # noqa: F401 - a fixture


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "one", "one")


def board() -> Scoreboard:
    questions = [Question("1", "What?", ("£5",), "direct"), Question("2", "Who?", ("Maria",), "reverse")]
    seen = Evaluation({TUNED: tuple(score(questions, ["£5", "Peter"]))})
    scores = (score_of("lora", TUNED, [seen], [Costs(1234, 2**30, 61.0, 99.0, 2**20)]),)
    return Scoreboard(scores, advice(scores), {"ia3-0": "no memory"})


def swept(*trials: Tried) -> Swept:
    return Swept(("rank", "layers"), trials, "engrain build docs --rank 8")


TRIALS = (
    Tried(1, {"rank": 8, "layers": ""}, "complete", 0.25, ((4, 0.25),), 12.0, 1234),
    Tried(0, {"rank": 64, "layers": "0.33"}, "pruned", 0.5, ((2, 0.5),), 6.0, 5678),
    Tried(2, {"rank": 256, "layers": ""}, "failed", None, reason="no memory"),
)


@pytest.mark.parametrize(
    ("choice", "options"),
    [("use the tuned model", ""), ("use tuned + retrieval", " --mode both"), ("use retrieval", " --base-only --mode both")],
)
def test_what_comes_next_is_what_the_verdict_says(choice: str, options: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    _render.result(Result(run, Verdict(choice, "So it is.", ())), as_json=False)
    assert f'Next:   engrain ask --run {run.path}{options} "…"' in capsys.readouterr().out
    _render.result(Result(run, Verdict("do not use", "It is not.", ())), as_json=False)
    assert "Next:" not in capsys.readouterr().out


def test_compare_trains_what_was_named_and_shows_the_table(api: Any, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    answers_with(api, "compare", (run, board()))
    command = [
        "compare",
        str(tmp_path),
        "--methods",
        "lora:rank=4, full",
        "--seeds",
        "2",
        "--minutes",
        "1.5",
        "--base",
        "some/base",
        "--resume",
    ]
    assert main(command) == 0
    ((_, (paths, methods), given),) = api.calls
    assert paths == (tmp_path,)
    assert methods == ["lora:rank=4", "full"]
    assert (given["seeds"], given["resume"], given["questions"], given["out"]) == (2, True, None, None)
    assert (given["settings"].training.minutes, given["settings"].model.base) == (1.5, "some/base")
    shown = capsys.readouterr().out
    for text in ("lora", "50% (", "1,234", "1.00 GiB", "61", "Not ended: ia3-0: no memory", str(run.path / "comparison.html")):
        assert text in shown
    assert "in wordings not trained" in shown
    run.update(questions="0123abcd")
    assert main(command) == 0
    assert "in wordings not trained" not in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["scores"][0]["exact"]["right"] == 1
    assert found["failed"] == {"ia3-0": "no memory"}


@pytest.mark.parametrize("option", ["--seed=1", "--task=code", "--small-sample=3"])
def test_compare_takes_no_setting_without_effect(option: str, api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    assert main(["compare", str(tmp_path), "--methods", "lora", option]) == 2
    assert "No such option" in capsys.readouterr().err
    assert not api.calls


def test_sweep_shows_what_was_tried_and_how_to_build_with_the_best(
    api: Any,  # noqa: F811
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers_with(api, "sweep", (run, swept(*TRIALS)))
    command = ["sweep", str(tmp_path), "--trials", "3", "--tune", "rank,learning-rate", "--method", "dora", "--max-steps", "9"]
    assert main(command) == 0
    ((_, (paths,), given),) = api.calls
    assert paths == (tmp_path,)
    assert (given["trials"], given["tune"], given["resume"]) == (3, ["rank", "learning_rate"], False)
    assert (given["settings"].method, given["settings"].training.max_steps) == ("dora", 9)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["8", "all", "0.2500", "by", "itself", "1,234", "12"] in rows
    assert ["64", "0.33", "0.5000", "early", "5,678", "6"] in rows
    assert ["256", "all", "failed:", "no", "memory", "0"] in rows
    assert ["Next:", "engrain", "build", "docs", "--rank", "8"] in rows
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["command"] == "engrain build docs --rank 8"
    assert found["trials"][0]["settings"] == {"rank": 8, "layers": ""}


def test_a_sweep_in_which_nothing_ended_says_what_to_do(api: Any, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    answers_with(api, "sweep", (run, swept(TRIALS[2])))
    assert main(["sweep", str(tmp_path)]) == 0
    assert "No training ended" in capsys.readouterr().out
    assert api.calls[0][2]["tune"] == []


def test_merge_shows_how_the_result_was_measured(api: Any, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    seen = Evaluation({TUNED: tuple(score([Question("1", "What?", ("£5",), "direct")], ["£5"]))})
    run.update(settings={"task": "chat"})
    answers_with(api, "merge", Result(run, None, seen))
    folders = [str(tmp_path / name) for name in ("a", "b")]
    assert main(["merge", *folders, "--how", "ties", "--weights", "1,0.5", "--density", "0.3"]) == 0
    ((_, (runs,), given),) = api.calls
    assert runs == tuple(map(Path, folders))
    assert (given["how"], given["weights"], given["density"], given["evaluate"]) == ("ties", (1.0, 0.5), 0.3, True)
    shown = capsys.readouterr().out
    assert "100% (" in shown
    assert f"Run:    {run.path}" in shown
    assert main(["merge", *folders, "--no-evaluate"]) == 0
    assert api.calls[1][2]["evaluate"] is False
    assert main(["merge", *folders, "--weights", "1,x"]) == 2
    assert "is no list of numbers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "more", "error", "code"),
    [
        ("compare", ["--methods", "lora"], SettingError("These methods cannot be compared:", "", ["lorra: no"]), 2),
        ("compare", ["--methods", "lora"], Interrupted("The comparison was stopped", "Go on with --resume.", 15), 143),
        ("sweep", [], SettingError("These settings cannot be tuned:", "", ["base: no"]), 2),
        ("sweep", [], Interrupted("The sweep was stopped", "Go on with --resume.", 2), 130),
        ("merge", [], SettingError("These adapters cannot be joined:", "", ["a: no"]), 2),
    ],
)
def test_what_goes_wrong_is_one_message_and_an_exit_code(
    name: str,
    more: list[str],
    error: Exception,
    code: int,
    api: Any,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers_with(api, name, error)
    assert main([name, str(tmp_path), *more]) == code
    assert capsys.readouterr().err == f"engrain: {error}\n"
