from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from engrain.cli.demo import BUSINESS
from engrain.errors import ExampleError, SettingError
from engrain.evaluate import Evaluation, _difference_interval, evaluate, matches, mcnemar, read_questions, score, share
from engrain.examples import Question


def question(number: int, kind: str = "direct") -> Question:
    return Question(f"q{number}", f"What is value {number}?", () if kind == "unanswerable" else (f"{number * 11} pounds",), kind)


QUESTIONS = [*(question(n) for n in range(1, 21)), *(question(n, "reverse") for n in range(21, 31))]
QUESTIONS += [*(question(n, "unanswerable") for n in range(31, 36)), *(question(n, "general") for n in range(36, 46))]


def answering(upto: int, general: int = 10, declines: bool = True) -> object:
    """Right up to question `upto`, right on that many general questions, and declining what nobody knows or not."""

    def ask(questions: Sequence[Question]) -> list[str]:
        replies = []
        for q in questions:
            number = int(q.id[1:])
            knows = number <= upto if q.kind != "general" else number - 35 <= general
            if q.kind == "unanswerable":
                replies.append("I don't know." if declines else "£3")
            else:
                replies.append(f"It is £{number * 11}." if knows else "I don't know." if number == 30 else "It is £5.")
        return replies

    return ask


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    columns = {"tuned": answering(25, general=9), "base": answering(2, declines=False), "base+retrieval": answering(20)}
    return evaluate(columns, QUESTIONS, perplexity={"base": 10.0, "tuned": 10.4})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reply", "answers", "right"),
    [
        ("That is £85.", ["£85"], True),
        ("That is £850.", ["£85"], False),
        ("twenty-four days", ["four"], False),
        ("15 or 5.50", ["5"], False),
        ("It takes 3 days", ["three days"], True),
        ("ana RUIZ does", ["Ana Ruiz", "Ruiz"], True),
        ("It is Ruiz's", ["Ruiz"], True),
        ("On March 27th", ["27 March"], True),
        ("At 9 o'clock", ["10:00"], False),
        ("", ["x"], False),
        ("anything", [], False),
    ],
)
def test_matches(reply: str, answers: list[str], right: bool) -> None:
    assert matches(reply, answers) is right


def test_an_unanswerable_question_is_right_when_declined() -> None:
    asked = [question(1, "unanswerable")] * 2 + [question(1)] * 2
    outcomes = score(asked, ["I don't know.", "£11", "I don't know.", "£11"])
    assert [o.right for o in outcomes] == [True, False, False, True]
    assert [o.refused for o in outcomes] == [True, False, True, False]


def test_scores_by_column_and_kind(evaluation: Evaluation) -> None:
    assert evaluation.columns == ("base", "base+retrieval", "tuned")
    assert evaluation.kinds == ("direct", "reverse")
    tuned = evaluation.accuracy("tuned")
    assert (tuned.right, tuned.count) == (25, 30)
    assert tuned.low < 25 / 30 < tuned.high
    assert evaluation.accuracy("tuned", "reverse").value == 0.5
    assert evaluation.accuracy("base", "unanswerable").value == 0
    assert evaluation.accuracy("tuned", "unanswerable").value == 1
    assert evaluation.falsely_declined("tuned").right == 1
    assert evaluation.accuracy("tuned+retrieval").count == 0


def test_retention_counts_what_the_base_knew(evaluation: Evaluation) -> None:
    assert (evaluation.retention().right, evaluation.retention().count) == (9, 10)
    assert evaluation.perplexity_ratio() == pytest.approx(1.04)
    assert Evaluation({}).perplexity_ratio() is None


def test_general_questions_are_not_put_to_retrieval(evaluation: Evaluation) -> None:
    assert all(o.question.kind != "general" for o in evaluation.outcomes["base+retrieval"])
    assert sum(o.question.kind == "general" for o in evaluation.outcomes["base"]) == 10


def test_comparison_names_wins_and_regressions() -> None:
    asked = QUESTIONS[:10]
    right = [f"£{int(q.id[1:]) * 11}" for q in asked]
    outcomes = {
        "base": tuple(score(asked, ["no", "no", *right[2:4], *["no"] * 6])),
        "tuned": tuple(score(asked, [*right[:3], "no", *right[4:]])),
    }
    found = Evaluation(outcomes).compare("tuned", "base")
    assert found.won == ("q1", "q2", "q5", "q6", "q7", "q8", "q9", "q10")
    assert found.lost == ("q4",)
    assert found.difference == pytest.approx(0.7)
    assert found.low < 0.7 < found.high
    assert found.is_better
    assert not found.is_worse
    backwards = Evaluation(outcomes).compare("base", "tuned")
    assert backwards.is_worse
    assert backwards.won == found.lost


def test_few_questions_prove_nothing() -> None:
    asked = QUESTIONS[:4]
    outcomes = {"base": tuple(score(asked, ["no"] * 4)), "tuned": tuple(score(asked, ["£11", "£22", "£33", "£44"]))}
    assert not Evaluation(outcomes).compare("tuned", "base").is_better


@pytest.mark.parametrize(
    ("won", "lost", "count", "low", "high"),
    [(4, 0, 4, 0.168, 1.0), (0, 4, 4, -1.0, -0.168), (0, 0, 4, -0.327, 0.327), (30, 0, 30, 0.834, 1.0), (0, 0, 0, -0.98, 0.98)],
)
def test_the_interval_of_a_difference_without_exception_has_a_width(won: int, lost: int, count: int, low: float, high: float) -> None:
    assert _difference_interval(won, lost, count) == pytest.approx((low, high), abs=1e-3)


@pytest.mark.parametrize("count", [1, 8, 30])
def test_one_more_won_never_lowers_the_interval_of_a_difference(count: int) -> None:
    for lost in range(count):
        for won in range(count - lost):
            less, more = _difference_interval(won, lost, count), _difference_interval(won + 1, lost, count)
            assert more[0] >= less[0] - 2e-3, (won, lost)
            assert more[1] >= less[1] - 2e-3, (won, lost)


@pytest.mark.parametrize("count", [6, 20, 60])
def test_where_the_test_finds_a_difference_the_interval_does_too(count: int) -> None:
    for lost in range(count):
        for won in range(lost, count - lost + 1):
            assert mcnemar(won, lost) >= 0.05 or _difference_interval(won, lost, count)[0] > 0, (won, lost)


@pytest.mark.parametrize(("won", "lost", "p"), [(0, 0, 1.0), (1, 0, 1.0), (6, 0, 0.03125), (8, 1, 0.0390625), (5, 5, 1.0)])
def test_mcnemar_exact(won: int, lost: int, p: float) -> None:
    assert mcnemar(won, lost) == mcnemar(lost, won) == pytest.approx(p)


def test_intervals_are_honest_at_the_ends() -> None:
    half = share([True, False] * 50)
    assert (half.low, half.high) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert share([True] * 10).low == pytest.approx(0.7225, abs=1e-4)
    assert share([False] * 10).high == pytest.approx(0.2775, abs=1e-4)
    assert share([True] * 59 + [False]).low < share([True] * 60).low
    assert (share([]).low, share([]).high, share([]).value) == pytest.approx((0, 1, 0))


def test_an_evaluation_goes_to_json_and_back(evaluation: Evaluation) -> None:
    value = json.loads(json.dumps(evaluation.to_dict()))
    assert Evaluation.from_dict(value) == evaluation
    assert value["scores"]["tuned"]["all"]["share"] == pytest.approx(25 / 30)
    assert value["comparisons"][0]["new"] == "tuned"
    assert set(value["questions"][0]["replies"]) == {"base", "base+retrieval", "tuned"}


def test_what_cannot_be_graded_is_named() -> None:
    with pytest.raises(ExampleError, match="no accepted answer") as caught:
        evaluate({}, [Question("a", "Who?", ()), Question("b", "Why?", (), "unanswerable"), Question("c", "How?", ())])
    assert caught.value.problems == ("a: Who?", "c: How?")
    with pytest.raises(SettingError, match="columns=best: not known"):
        evaluate({"best": lambda questions: []}, [])


def test_questions_from_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(
        '\ufeff{"id": 7, "question": " Who? ", "answers": ["Ana"], "kind": "direct", "source": "a.md"}\n\n{"question": "Why?"}\n', "utf-8"
    )
    assert read_questions(path) == [Question("7", "Who?", ("Ana",), "direct", "a.md"), Question("2", "Why?", ())]


def test_a_question_that_follows_on_others_is_a_talk(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    talk = [("user", "When do you open on Friday?"), ("assistant", "At nine."), ("user", "And on Sunday?")]
    rows = [{"messages": [{"role": role, "content": text} for role, text in turns], "answers": ["closed"]} for turns in (talk, talk[2:])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    follow, single = read_questions(path)
    assert follow == Question("1", "And on Sunday?", ("closed",), "follow-up", "", (("When do you open on Friday?", "At nine."),))
    assert follow.whole == "When do you open on Friday? › And on Sunday?"
    assert (single.history, single.kind, single.whole) == ((), "direct", "And on Sunday?")
    measured = evaluate({"base": lambda asked: ["We are closed."] * len(asked)}, [follow, single])
    written = json.loads(json.dumps(measured.to_dict()))
    assert Evaluation.from_dict(written) == measured
    assert written["scores"]["base"]["follow-up"]["right"] == 1
    assert "history" not in written["questions"][1]


def test_what_the_system_is_told_stands_before_a_question(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "When do you close?"}]
    path.write_text(json.dumps({"messages": turns, "answers": ["six"]}))
    (asked,) = read_questions(path)
    assert asked == Question("1", "When do you close?", ("six",), system="Be brief.")
    measured = evaluate({"base": lambda asked: ["At six."] * len(asked)}, [asked])
    assert Evaluation.from_dict(json.loads(json.dumps(measured.to_dict()))) == measured


@pytest.mark.parametrize("roles", [["assistant"], ["user", "assistant"], ["user", "user"], ["system"], ["system", "system", "user"]])
def test_a_talk_ends_with_a_question(tmp_path: Path, roles: list[str]) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps({"messages": [{"role": role, "content": "So?"} for role in roles], "answers": ["x"]}))
    with pytest.raises(ExampleError, match=r"questions.jsonl:1: its messages must be user and assistant in turn"):
        read_questions(path)


def test_questions_from_csv(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text('question,answer,kind\n"Who, then?",Ana | Ruiz,\n"Two\nlines?",x,reverse\nNobody?,,unanswerable\n', "utf-8")
    assert read_questions(path) == [
        Question("1", "Who, then?", ("Ana", "Ruiz")),
        Question("2", "Two\nlines?", ("x",), "reverse"),
        Question("3", "Nobody?", (), "unanswerable"),
    ]


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    lines = ["nonsense", "[1]", '{"id": "a"}', '{"question": "Q?", "answers": 3}', '{"id": "b", "question": "Q?", "answers": [""]}']
    lines += ['{"id": "c", "question": "Q?"}', '{"id": "c", "question": "R?"}', '{"question": "Q?", "kind": 3}']
    path.write_text("\n".join(lines))
    with pytest.raises(ExampleError, match="7 of 8 rows cannot be used") as caught:
        read_questions(path)
    assert [problem.split(":")[1] for problem in caught.value.problems] == list("1234578")
    assert "not JSON" in caught.value.problems[0]
    assert "stands further up already" in caught.value.problems[5]


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b'{"question": "caf\xe9?"}', "not valid UTF-8"),
        ("a.csv", b"ask,answer\nWho?,Ana\n", "no text under question .its columns are ask, answer"),
        ("a.txt", b"Who?", "hold no rows"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: bytes, word: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ExampleError, match=word):
        read_questions(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="There is no file"):
        read_questions(tmp_path / "absent.jsonl")


def test_the_bundled_follow_ups_are_talks() -> None:
    found = read_questions(BUSINESS / "follow-ups.jsonl")
    assert len(found) > 30
    assert all(len(q.history) == 1 and (q.answers or q.kind == "unanswerable") for q in found)


def test_a_system_text_beside_the_turns_of_a_question_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    turns = [{"role": "user", "content": "And my kite?"}]
    file.write_text(json.dumps({"messages": turns, "system": "Speak in rhymes.", "answers": ["£12"]}), encoding="utf-8")
    (question,) = read_questions(file)
    assert (question.system, question.question) == ("Speak in rhymes.", "And my kite?")
