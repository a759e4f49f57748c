from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import engrain
from engrain import registry
from engrain.cli import main
from engrain.cli._progress import JsonLines, Pace, Plain, duration, shown, status
from engrain.documents.base import Unread
from engrain.errors import DocumentError, Interrupted, SettingError
from engrain.evaluate import Evaluation, score
from engrain.examples import Example, Message, Question
from engrain.knowledge.coverage import Coverage
from engrain.privacy import Private
from engrain.run import Run
from engrain.verdict import Check, Verdict

COMMANDS = registry.names("cli")
SUPPORTED = {"tuner_options": "ia3", "virtual_tokens": "prompt_tuning"}
"""A supported method for settings that the library's methods alone have."""


@dataclass(frozen=True)
class Answer:
    question: str
    text: str
    source: str
    status: str
    asked_as: str = ""


@dataclass
class Assistant:
    given: dict[str, Any]
    histories: list[list[tuple[str, str]]] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    system: str = ""

    def switch(self, mode: str) -> None:
        if mode == "nonsense":
            raise SettingError("mode='nonsense': there is no such mode", "Choose another.")
        self.modes.append(mode)

    def ask(self, question: str) -> Answer:
        return self.check(question, f"{question.lower()} yes")

    def ask_many(self, questions: list[str], progress: Any) -> list[Answer]:
        return [self.ask(question) for question in questions]

    def stream(self, question: str, history: list[tuple[str, str]]) -> Iterator[str]:
        if "endless" in question:
            raise SettingError("The question is too long.", "Shorten it.")
        self.histories.append(list(history))
        yield from ("At ", "nine.")

    def forgotten(self, question: str, history: list[tuple[str, str]]) -> int:
        return max(0, len(history) - 2)

    def asked_as(self, question: str, text: str, history: list[tuple[str, str]]) -> str:
        return "When are you open?" if "hours" in question else ""

    def check(self, question: str, text: str) -> Answer:
        place = {"supported": "hours.md › Opening"}.get(state := "refused" if "moon" in question else "supported", "")
        return Answer(question, text, place, state)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A stand-in for `engrain.api` that remembers its calls; a test gives it the functions that it calls."""
    fake: Any = ModuleType("engrain.api")
    fake.calls = []
    fake.Answer, fake.Assistant = Answer, Assistant
    monkeypatch.setitem(sys.modules, "engrain.api", fake)
    monkeypatch.setattr(engrain, "api", fake, raising=False)
    forget_commands()
    yield fake
    forget_commands()


def forget_commands() -> None:
    """Let the next call import the commands anew, with the api of that moment."""
    for name in COMMANDS:
        sys.modules.pop(f"engrain.cli.{name}", None)


def answers_with(api: Any, name: str, result: Any) -> None:
    def call(*args: Any, **kwargs: Any) -> Any:
        api.calls.append((name, args, kwargs))
        if isinstance(result, BaseException):
            raise result
        return result(*args, **kwargs) if callable(result) else result

    setattr(api, name, call)


@pytest.fixture
def assistant(api: Any) -> Any:
    answers_with(api, "load", lambda *args, **given: Assistant(given))
    return api


def run_python(code: str, **rest: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, **rest)


# --- start and help


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown_help = capsys.readouterr().out
    assert all(name in shown_help for name in COMMANDS)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in ("ask", "chat", "doctor", "evaluate", "runs")), ["runs"]]
)
def test_nothing_heavy_is_imported_before_it_is_used(arguments: list[str], tmp_path: Path) -> None:
    code = (
        f"import sys; from engrain.cli import main; code = main({arguments!r}); heavy = {{'torch', 'transformers', 'spacy'}};"
        "print('loaded', sorted(heavy & set(sys.modules)), code)"
    )
    assert run_python(code, cwd=tmp_path).stdout.splitlines()[-1] == "loaded [] 0"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_ends_with_a_real_example(name: str, api: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-2].strip() == "Example:"
    assert lines[-1].strip().startswith(f"engrain {name}")


def test_every_command_that_reports_has_json(api: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for name in set(COMMANDS) - {"chat", "serve", "lsp"}:
        assert main([name, "--help"]) == 0
        assert "--json" in capsys.readouterr().out, name


def test_python_m_engrain_is_the_same_program() -> None:
    done = subprocess.run([sys.executable, "-m", "engrain", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("engrain 0.")


def test_the_reference_page_is_what_help_says() -> None:
    root = Path(__file__).parent.parent
    made = runpy.run_path(str(root / "scripts" / "make_cli_docs.py"))["text"]()
    assert made == (root / "docs" / "cli.md").read_text(encoding="utf-8"), "run: make docs"


# --- exit codes and errors


def test_an_unknown_command_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["biuld"]) == 2
    assert "did you mean 'build'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DocumentError("No document could be read:", "Give a folder with documents.", ["a.pdf: encrypted"]), 1),
        (SettingError("epochs=0: must be above 0", "Raise it."), 2),
        (Interrupted("Stopped at step 3.", "Go on with --resume.", signal_number=15), 143),
        (KeyboardInterrupt(), 130),
        (OSError(28, "No space left on device", "runs/x"), 1),
        (MemoryError(), 1),
        (ZeroDivisionError("division by zero"), 1),
    ],
)
def test_an_error_is_one_message_with_its_exit_code(
    error: BaseException, code: int, api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers_with(api, "build", error)
    assert main(["build", str(tmp_path)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.lstrip().startswith("engrain: ")  # after Ctrl-C, click first ends the line in which ^C stands
    assert "Traceback" not in err


def test_debug_shows_the_traceback(api: Any, tmp_path: Path) -> None:
    answers_with(api, "build", ZeroDivisionError("division by zero"))
    with pytest.raises(ZeroDivisionError):
        main(["build", str(tmp_path), "--debug"])


def test_a_file_that_is_not_there_is_a_wrong_call(api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(tmp_path / "none")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_sigterm_ends_with_143(tmp_path: Path) -> None:
    code = """
import sys, time, types
import engrain
api = sys.modules["engrain.api"] = engrain.api = types.ModuleType("engrain.api")
api.evaluate = lambda *args, **kwargs: (print("ready", flush=True), time.sleep(30))
from engrain.cli import main
sys.exit(main(["evaluate", "."]))
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143
        assert process.stderr is not None
        assert process.stderr.read().strip() == "engrain: Stopped."


@pytest.mark.parametrize(("arguments", "found"), [(["ask", "--help"], 0), (["methods", "--json"], 1), (["methods", "--json"], 10_000)])
def test_a_reader_that_has_gone_ends_the_program_without_a_word(arguments: list[str], found: int, tmp_path: Path) -> None:
    code = f"""
import sys, types
import engrain
api = sys.modules["engrain.api"] = engrain.api = types.ModuleType("engrain.api")
api.methods = lambda *args, **kwargs: ["lora"] * {found}
from engrain.cli import main
sys.exit(main({arguments!r}))
"""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


# --- settings


def built(api: Any, arguments: list[str], folder: Path) -> Any:
    answers_with(api, "build", Interrupted("enough"))
    assert main(["build", str(folder), *arguments]) == 130
    return api.calls[-1][2]["settings"]


def test_options_reach_the_settings(api: Any, tmp_path: Path) -> None:
    settings = built(api, ["--epochs", "2", "--rank", "4", "--no-shuffle", "--seed", "7"], tmp_path)
    assert (settings.training.epochs, settings.training.seed, settings.method_settings.rank) == (2.0, 7, 4)
    assert (settings.training.shuffle, settings.training.evaluate) == (False, True)


def test_options_win_over_the_configuration_file(api: Any, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("epochs: 2\nshuffle: false\nbatch_size: 4\n", encoding="utf-8")
    training = built(api, ["--config", str(file), "--batch-size", "16"], tmp_path).training
    assert (training.epochs, training.shuffle, training.batch_size) == (2.0, False, 16)


def test_a_setting_that_cannot_take_effect_is_refused(api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers_with(api, "build", None)
    assert main(["build", str(tmp_path), "--method", "full", "--rank", "8"]) == 2
    assert "rank=8: it cannot take effect" in capsys.readouterr().err
    assert api.calls == []


def test_every_setting_has_an_option_that_reaches_run_json(api: Any, tmp_path: Path) -> None:
    from engrain.config import DEFAULT_TASK, USED, catalogue

    for setting in catalogue().values():
        methods = [owner for owner in setting.owners if owner in registry.names("methods")]
        tasks = [task for task, parts in USED.items() if task != DEFAULT_TASK and parts[-1] in setting.owners]
        value = another(setting)
        arguments = (
            [f"--{setting.flag}"]
            + ([] if setting.kind is bool else [str(value)])
            + (["--method", SUPPORTED.get(setting.name, methods[0])] if methods else [])
        )
        arguments += NEEDED.get(setting.name, [])
        saved = built(api, [*arguments, *(["--task", tasks[0]] if tasks else [])], tmp_path).to_dict()[setting.name]
        assert saved == ([value] if isinstance(saved, list) else value), setting.name


NEEDED = {"rotation_steps": ["--rotated-layers", "2"]}
"""Options without which a setting does nothing, and is refused."""


def another(setting: Any) -> Any:
    """A value that is not the setting's default, yet near enough to be allowed."""
    if setting.choices:
        return next(choice for choice in setting.choices if choice != setting.default)
    if setting.kind in (int, float):
        return setting.kind(1 if setting.default is None else setting.default + 1 if setting.kind is int else setting.default * 1.01)
    if setting.kind is bool:
        return not setting.default
    return {"window": "40,400", "augment": "flip", "rank_pattern": "q_proj=8", "tuner_options": "fan_in_fan_out=true"}.get(
        setting.name, "q_proj"
    )


# --- ask


def test_chat_says_what_the_model_no_longer_sees(
    assistant: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = iter(["one?", "two?", "three?", "four?", "/exit"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    assert main(["chat"]) == 0
    out = capsys.readouterr().out
    assert out.count("The talk is longer than the model can see: the first turn is forgotten.") == 1
    assert out.count("[source: hours.md › Opening]") == 4


def test_ask_shows_the_answer_and_its_source(assistant: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Open on Sunday?"]) == 0
    assert capsys.readouterr().out == "open on sunday? yes\n  [source: hours.md › Opening]\n"
    assert assistant.calls[0][2]["mode"] == "closed-book"


def test_ask_says_plainly_that_nothing_supports_an_answer(assistant: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "How far is the moon?"]) == 0
    assert "not found in the documents" in capsys.readouterr().out


def test_ask_json_is_json_alone(assistant: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Open?", "--json", "--mode", "both", "--run", "runs/x"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["text"], answer["source"], answer["status"]) == ("open? yes", "hours.md › Opening", "supported")
    assert (assistant.calls[0][2]["mode"], assistant.calls[0][2]["run"]) == ("both", Path("runs/x"))


def test_ask_answers_a_file_of_questions(assistant: Any, tmp_path: Path) -> None:
    source, target = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    source.write_text('{"id": "a", "question": "Open?"}\n\n{"id": 2, "question": "The moon?", "more": 1}\n', encoding="utf-8")
    assert main(["ask", "--input", str(source), "--output", str(target)]) == 0
    rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [list(row) for row in rows] == [["id", "question", "answer", "source", "status", "asked_as"]] * 2
    assert [(row["id"], row["status"]) for row in rows] == [("a", "supported"), (2, "refused")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.jsonl", "questions.jsonl"]


def test_ask_lists_every_bad_line(assistant: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "questions.jsonl"
    source.write_text('{"id": 1, "question": "Open?"}\n{"id": 2\n{"id": 3, "question": " "}\n{"question": "x"}\n[1]\n', encoding="utf-8")
    assert main(["ask", "--input", str(source), "--output", str(tmp_path / "out.jsonl")]) == 1
    message = capsys.readouterr().err
    assert all(f"questions.jsonl:{number}:" in message for number in (2, 3, 4, 5))
    assert "questions.jsonl:1:" not in message
    assert not (tmp_path / "out.jsonl").exists()
    assert assistant.calls == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["Open?", "--input", "FILE"],
        ["Open?", "--output", "x"],
        ["Open?", "--base", "tiny"],
        ["--input", "FILE", "--output", "no/such/x"],
    ],
)
def test_ask_refuses_calls_that_say_nothing_or_two_things(arguments: list[str], assistant: Any, tmp_path: Path) -> None:
    source = tmp_path / "questions.jsonl"
    source.write_text('{"id": 1, "question": "Open?"}\n', encoding="utf-8")
    assert main(["ask", *(str(source) if argument == "FILE" else argument for argument in arguments)]) == 2
    assert assistant.calls == []


# --- chat, evaluate, runs, plan, doctor


def typed(monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
    waiting = iter(lines)

    def type_next(prompt: str = "") -> str:
        line = next(waiting, None)
        if line is None:
            raise EOFError
        return line

    monkeypatch.setattr("builtins.input", type_next)


def test_chat_keeps_the_history(assistant: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made: list[Assistant] = []
    answers_with(assistant, "load", lambda *args, **given: made.append(Assistant(given)) or made[-1])
    typed(monkeypatch, ["When?", "endless", "", "And then?", "/clear", "Again?", "/mode both", "/mode nonsense", "/exit", "never"])
    assert main(["chat"]) == 0
    out = capsys.readouterr().out
    assert out.count("At nine.\n  [source: hours.md › Opening]") == 3
    assert made[0].histories == [[], [("When?", "At nine.")], []]
    assert (len(made), made[0].given["mode"], made[0].modes) == (1, "closed-book", ["both"]), "the model is loaded once"
    assert "mode='nonsense'" in out
    assert "Shorten it." in out


def test_chat_says_in_which_words_a_question_was_asked(
    assistant: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers_with(assistant, "load", lambda *args, **given: Assistant(given))
    typed(monkeypatch, ["Your hours?", "/exit"])
    assert main(["chat", "--no-rewrite"]) == 0
    assert assistant.calls[0][2]["rewrite"] is False
    assert "  [source: hours.md › Opening; asked as: When are you open?]" in capsys.readouterr().out


def test_chat_shows_what_is_said_before_every_question(
    assistant: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers_with(assistant, "load", lambda *args, **given: Assistant(given, system="You mend kites.\n\nBe brief."))
    typed(monkeypatch, [])
    assert main(["chat"]) == 0
    assert "(Said before every question, as in training: You mend kites. Be brief.)" in capsys.readouterr().out


def test_chat_ends_with_its_input(assistant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, [])
    assert main(["chat"]) == 0


@pytest.mark.parametrize(
    ("arguments", "run"), [(["Q"], None), (["RUN", "Q"], "RUN"), (["Q", "--run", "RUN"], "RUN"), (["RUN", "Q", "--run", "RUN"], "refused")]
)
def test_evaluate_takes_its_run_in_front_or_by_name(arguments: list[str], run: str | None, api: Any, tmp_path: Path) -> None:
    (tmp_path / "RUN").mkdir()
    (tmp_path / "Q").write_text("", encoding="utf-8")
    answers_with(api, "evaluate", {"fine": True})
    code = main(["evaluate", "--json", *(a if a.startswith("--") else str(tmp_path / a) for a in arguments)])
    assert code == (2 if run == "refused" else 0)
    if code == 0:
        assert api.calls[0][1] == (tmp_path / run if run else None, tmp_path / "Q")


def test_runs_lists_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run.create(tmp_path / "first", "first")
    run.update(status="complete", settings={"base": "tiny", "method": "lora"})
    assert main(["runs", "--root", str(tmp_path)]) == 0
    assert {"complete", "tiny", "lora"} <= set(capsys.readouterr().out.split())
    assert main(["runs", "--root", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found[0]["path"], found[0]["status"]) == (str(tmp_path / "first"), "complete")


def test_runs_says_that_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--root", str(tmp_path)]) == 0
    assert "engrain build PATH" in capsys.readouterr().out


def test_doctor_reports_and_fails_when_something_blocks(
    api: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from engrain import doctor

    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Check("memory", "blocks", "1.0 GB free", "Free memory.")])
    assert main(["doctor"]) == 1
    assert "Free memory." in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == [{"name": "memory", "state": "blocks", "found": "1.0 GB free", "remedy": "Free memory."}]


def test_no_color_is_honoured(api: Any, tmp_path: Path) -> None:
    environment = os.environ | {"NO_COLOR": "1", "FORCE_COLOR": "1"}
    done = run_python("from engrain.cli import main; main(['doctor'])", cwd=tmp_path, env=environment)
    assert "python" in done.stdout
    assert "\x1b[3" not in done.stdout


# --- tables


def evaluated() -> Evaluation:
    asked = [Question("1", "When?", ("nine",)), Question("2", "Who?", (), "unanswerable"), Question("3", "2 + 2?", ("4",), "general")]
    return Evaluation(
        {"base": tuple(score(asked, ["ten", "Bob", "4"])), "tuned": tuple(score(asked, ["nine", "Bob", "5"]))},
        {"base": 20.0, "tuned": 21.0},
    )


def test_evaluate_prints_every_score(api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Q").write_text("", encoding="utf-8")
    answers_with(api, "evaluate", evaluated())
    assert main(["evaluate", str(tmp_path / "Q")]) == 0
    out = capsys.readouterr().out
    assert ["direct", "1", "0%", "(0-79%)", "100%", "(21-100%)"] in [line.split() for line in out.splitlines()]
    assert "tuned against base: +100 points (" in out
    assert "1 won and 0 lost, which may be chance." in out
    assert "0 of the 1 general questions" in out
    assert "perplexity 1.05 times" in out


def test_evaluate_json_is_the_evaluation(api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Q").write_text("", encoding="utf-8")
    answers_with(api, "evaluate", evaluated())
    assert main(["evaluate", str(tmp_path / "Q"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(evaluated().to_dict()))


def test_build_prints_scores_verdict_and_the_next_step(api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run.create(tmp_path / "first", "first")
    verdict = Verdict("use the tuned model", "It is right more often.", (Check("sample", False, "Only 1 question was asked."),))
    answers_with(api, "build", SimpleNamespace(run=run, verdict=verdict, evaluation=evaluated(), comparison=None))
    assert main(["build", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "Verdict: use the tuned model" in out
    assert "Only 1 question was asked." in out
    assert f"engrain chat --run {run.path}" in out


def test_tune_json_holds_run_verdict_and_evaluation(api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass(frozen=True)
    class Result:
        run: Run
        verdict: Verdict | None
        evaluation: Evaluation | None

    (tmp_path / "rows.jsonl").write_text("", encoding="utf-8")
    answers_with(api, "tune", Result(Run.create(tmp_path / "first", "first"), Verdict("do not use", "No gain.", ()), None))
    assert main(["tune", str(tmp_path / "rows.jsonl"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["run"]["status"], found["verdict"]["choice"], found["evaluation"]) == ("running", "do not use", None)


def test_examples_shows_what_would_be_learned(api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = Example((Message("user", "When?"), Message("assistant", "At nine.")), "question")
    coverage = Coverage("hours.md", 3, 4, 3, 80, 40, ("Well, well.",), {"sentence": (4, 3)}, {"time": (2, 2)})
    unread = Unread("locked.pdf", "it is encrypted", "Save it without a password.")
    private = Private("e-mail address", "mir…", "hours.md › Desk")
    found = {"facts": (), "coverage": (coverage,), "train": (example,) * 1200, "heldout": (example,)}
    answers_with(api, "examples", SimpleNamespace(**found, unread=(unread,), private=(private,), superseded=()))
    assert main(["examples", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert ["question", "1,200", "1"] in [line.split() for line in out.splitlines()]
    assert "assistant: At nine." in out
    assert "Private: e-mail address mir… in hours.md › Desk" in out
    assert "Not read: locked.pdf: it is encrypted. Save it without a password." in out


@pytest.mark.parametrize(("fits", "code"), [(True, 0), (False, 1)])
def test_plan_ends_with_1_where_it_does_not_fit(
    fits: bool, code: int, api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @dataclass(frozen=True)
    class Plan:
        fits: bool
        steps: int
        memory_bytes: int
        reasons: tuple[str, ...]

    answers_with(api, "plan", Plan(fits, 1300, 3 * 2**30, ("300 steps: 3 epochs of 100",)))
    assert main(["plan", str(tmp_path)]) == code
    out = capsys.readouterr().out
    assert "steps 1,300\n  memory 3.0 GB" in out
    assert "300 steps: 3 epochs of 100" in out


def test_demo_asks_five_questions_before_and_after(assistant: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers_with(
        assistant, "build", SimpleNamespace(run=Run.create(tmp_path / "demo", "demo"), verdict=None, evaluation=None, comparison=None)
    )
    assert main(["demo", "--max-steps", "1"]) == 0
    assert [call[0] for call in assistant.calls] == ["build", "load", "load"]
    assert (assistant.calls[1][2]["base_only"], assistant.calls[2][2].get("base_only", False)) == (True, False)
    assert "before and after" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("choice", "mode"), [("use tuned + retrieval", "both"), ("use the tuned model", "closed-book"), ("do not use", "closed-book")]
)
def test_the_demo_asks_as_the_verdict_says_and_says_how_to(
    assistant: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], choice: str, mode: str
) -> None:
    made = Run.create(tmp_path / "demo", "demo")
    answers_with(assistant, "build", SimpleNamespace(run=made, verdict=Verdict(choice, "Because.", ()), evaluation=None, comparison=None))
    assert main(["demo", "--max-steps", "1"]) == 0
    assert assistant.calls[2][2]["mode"] == mode
    told = " ".join(capsys.readouterr().out.split())
    assert f"after ({mode})" in told
    assert ("--mode both" in told) == (mode == "both")


def test_the_five_questions_are_among_the_bundled_ones() -> None:
    from engrain.cli.demo import BUSINESS, five

    assert len(five(BUSINESS / "questions.jsonl")) == 5


# --- progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def paced(steps: list[tuple[float, float]], total: float | None) -> Pace:
    clock = Clock()
    pace = Pace(total, clock)
    for seconds, amount in steps:
        clock.now += seconds
        pace.advance(amount)
    return pace


def test_no_time_is_promised_before_it_is_known() -> None:
    assert paced([(1, 5)], 100).remaining is None
    assert paced([(1, 1)] * 5, None).remaining is None
    assert paced([(2, 0.1)] * 4, 100).remaining is None


def test_the_time_left_follows_the_last_minute() -> None:
    assert paced([(1, 1)] * 10, 100).remaining == pytest.approx(90)
    assert paced([(1, 10)] * 10 + [(10, 10)] * 20, 500).remaining == pytest.approx(200, rel=0.05)


def test_plain_progress_is_a_line_at_start_now_and_then_and_at_the_end() -> None:
    clock, lines = Clock(), list[str]()
    with Plain(lines.append, clock).stage("Training", 90, "steps") as stage:
        for _ in range(90):
            clock.now += 0.5
            stage.advance(loss=1.25, tokens_per_second=1234.0, memory_bytes=2**31)
    assert lines[0] == "Training (90 steps)"
    assert lines[1] == "  Training: 40/90 steps, 25 s left, loss 1.25, 1,234 tokens/s, memory 2.0 GB"
    assert lines[-1] == "Training: 90 steps, loss 1.25, 1,234 tokens/s, memory 2.0 GB, done in 45 s"
    assert len(lines) == 4


def test_a_stage_may_learn_that_its_work_is_another_amount() -> None:
    clock, lines = Clock(), list[str]()
    with Plain(lines.append, clock).stage("Training", 900, "steps") as stage:
        stage.advance(10)
        stage.expect(100)
        clock.now += 25
        stage.advance(10)
    assert "20/100 steps" in lines[1]


def test_figures_and_durations_are_written_for_people() -> None:
    assert shown({"heldout_accuracy": 0.875, "loss": 0.01234, "step": 3}) == ["heldout accuracy 88%", "loss 0.0123"]
    assert [duration(seconds) for seconds in (4.2, 75, 3660)] == ["4 s", "1 min 15 s", "1 h 01 min"]
    assert status(Pace(None, Clock()), "files", {}) == "0 files"


def test_json_progress_is_an_object_a_line_at_most_once_a_second() -> None:
    clock, lines = Clock(), list[str]()
    progress = JsonLines(lines.append, clock)
    with progress.stage("Training", 10, "steps") as stage:
        for _ in range(10):
            clock.now += 0.5
            stage.advance(loss=1.25)
        stage.expect(20)
    progress.note("Done.")
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == ["stage", *["progress"] * 5, "done", "note"]
    assert events[-1]["text"] == "Done."
    assert events[5] == {
        "event": "progress", "title": "Training", "done": 10, "total": 10, "unit": "steps", "remaining": 0, "figures": {"loss": 1.25}
    }  # fmt: skip
    assert events[-2]["total"] == 20


def test_the_environment_asks_for_json_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from engrain.cli._progress import listener

    monkeypatch.setenv("ENGRAIN_PROGRESS", "json")
    listener().note("Hello")
    assert json.loads(capsys.readouterr().err) == {"event": "note", "text": "Hello"}


def test_live_progress_leaves_one_line_a_stage() -> None:
    import io

    from rich.console import Console

    from engrain.cli._progress import Live

    target = io.StringIO()
    live = Live(Console(file=target, force_terminal=True, width=100))
    with live.stage("Reading", 2, "files") as stage:
        live.note("one file is empty")
        stage.advance()
        stage.advance()
    text = target.getvalue()
    assert "one file is empty" in text
    assert "Reading: 2 files, done in 0 s" in text
