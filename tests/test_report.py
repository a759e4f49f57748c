from __future__ import annotations

import math
import random
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from engrain.evaluate import Evaluation, Outcome
from engrain.examples import Question
from engrain.knowledge.coverage import Coverage
from engrain.report import charts, model_card, render, scores_table, write_report
from engrain.run import Run

EVIL = "<script>alert('x')</script> & <img src=http://evil.example/a.png>"
COLUMNS = {"base": 0.04, "base+retrieval": 0.6, "tuned": 0.85, "tuned+retrieval": 0.9}


def invented(questions: int = 60) -> Evaluation:
    chance = random.Random(4)
    rows = [
        Question(
            f"d-{n:03}",
            f"What does course {n} cost?",
            (f"£{n + 20}", f"{n + 20} pounds"),
            chance.choice(["direct", "paraphrase", "reverse"]),
            "prices.csv",
        )
        for n in range(questions)
    ]
    rows += [Question(f"u-{n:03}", f"What is the name of boat {n}?", ("UNANSWERABLE",), "unanswerable", "none") for n in range(8)]
    rows += [Question(f"g-{n:03}", f"What is the capital of country {n}?", (f"City {n}",), "general", "none") for n in range(20)]
    outcomes = {}
    for column, rate in COLUMNS.items():
        found = []
        for q in rows:
            if q.kind == "general" and "retrieval" in column:
                continue
            right = chance.random() < (0.9 if q.kind in ("general", "unanswerable") else rate)
            reply = (
                "I don't know." if q.kind == "unanswerable" and right else f"It is {q.answers[0]}." if right else "It costs £5, I think."
            )
            found.append(Outcome(q, reply, right, reply.startswith("I don't")))
        outcomes[column] = tuple(found)
    return Evaluation(outcomes, {"base": 14.2, "tuned": 14.6})


@pytest.fixture
def full(tmp_path: Path) -> Run:
    run = Run.create(tmp_path / "2026-11-25-wexlaby", "wexlaby")
    run.write_json("evaluation.json", invented().to_dict())
    for step in range(1, 301):
        row = {
            "step": step,
            "epoch": step / 100,
            "loss": 0.2 + 3 * math.exp(-step / 60) + 0.1 * math.sin(step),
            "learning_rate": 1e-3 * min(step / 30, 1 - step / 400),
            "tokens_per_second": 900 + 40 * math.sin(step / 9),
        }
        run.append_row(
            "metrics.jsonl",
            row
            | ({"heldout_loss": 0.4 + 2 * math.exp(-step / 70), "heldout_accuracy": 1 - math.exp(-step / 90)} if step % 50 == 0 else {}),
        )
    rows = [Coverage("prices.csv", 41, 44, 41, 900, 850, ("Prices hold until May.",)), Coverage("handbook.pdf", 22, 40, 25, 3000, 2100, ())]
    run.write_json("coverage.json", rows)
    run.update(
        settings={"base": "smollm2-135m", "method": "lora", "rank": 16, "learning_rate": 0.001, "layers": None, "shuffle": True},
        timings={"documents": 2.4, "training": 341.0, "evaluation": 96.2},
        unread=[{"file": "scan.pdf", "reason": "it holds pictures only", "remedy": "Run text recognition on it."}],
        documents={"prices.csv": "ab", "handbook.pdf": "cd"},
        superseded=[
            {"about": "Kite: Price", "old": "£40", "old_place": "prices.csv", "old_date": "2024"}
            | {"new": "£55", "new_place": "handbook.pdf, page 3", "new_date": ""}
        ],
        status="complete",
    )
    run.write_rows("facts.jsonl", [{"id": 1}] * 63)
    return run


class Tags(HTMLParser):
    """Collects tags with their attributes, and checks that they nest."""

    VOID = frozenset({"meta", "input", "br", "line", "rect", "path", "circle"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_whole_report(full: Run) -> None:
    path = write_report(full)
    assert path == full.path / "report.html"
    page = path.read_text(encoding="utf-8")
    assert Tags(page).open == []
    for words in (
        "use the tuned model",
        "What does course 7 cost?",
        "paraphrase",
        "scan.pdf",
        "Run text recognition",
        "smollm2-135m",
        "5 min 41 s",
        "handbook.pdf",
        "Prices hold until May.",
        "<td>£40<small>prices.csv, 2024</small></td><td>£55<small>handbook.pdf, page 3</small></td>",
    ):
        assert words in page
    assert page.count('class="card question"') == 88
    assert page.count("<svg") == 5
    assert page.index("Verdict") < page.index("How often") < page.index("How training went") < page.index("How it was made")


def test_wordings_are_said_to_be_new_where_they_were_held_out(full: Run) -> None:
    assert "none of these questions was trained" in render(full)
    full.update(questions="0123abcd")
    assert "none of these questions was trained" not in render(full)


def test_it_asks_nothing_of_any_network(full: Run) -> None:
    tags = Tags(render(full)).found
    assert not [tag for tag, attrs in tags if {"src", "href", "srcset", "action", "data"} & attrs.keys()]
    assert not re.search(r"@import|url\(", render(full))
    policy = next(attrs["content"] for tag, attrs in tags if tag == "meta" and attrs.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_what_documents_say_is_never_markup(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "evil", EVIL)
    question = Question(EVIL, EVIL, (EVIL,), "direct", EVIL)
    outcomes = (Outcome(question, EVIL, True, False),)
    run.write_json("evaluation.json", Evaluation({"base": outcomes, "tuned": outcomes}).to_dict())
    run.write_json("coverage.json", [Coverage(EVIL, 0, 1, 0, 0, 0, (EVIL,))])
    run.update(settings={EVIL: EVIL}, unread=[{"file": EVIL, "reason": EVIL, "remedy": EVIL}], timings={EVIL: EVIL})
    tags = Tags(render(run)).found
    assert [tag for tag, _ in tags].count("script") == 1
    assert "img" not in [tag for tag, _ in tags]


def test_a_run_with_nothing_but_its_beginning(tmp_path: Path) -> None:
    page = render(Run.create(tmp_path / "run", "demo"))
    assert "not measured" in page
    assert "<svg" not in page
    assert "Every question" not in page
    assert Tags(page).open == []


def test_an_evaluation_without_a_base_has_no_verdict(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", "demo")
    run.write_json("evaluation.json", Evaluation({"tuned": invented(5).outcomes["tuned"]}).to_dict())
    page = render(run)
    assert ">Verdict<" not in page
    assert "Tuned model" in page


def test_the_verdict_that_was_given_stands(full: Run) -> None:
    full.update(
        verdict={"choice": "do not use", "reason": "Because & so.", "checks": [{"name": "a", "passed": False, "finding": "Forgot it all."}]}
    )
    page = render(full)
    assert "Because &amp; so." in page
    assert "Forgot it all." in page
    assert "card verdict no" in page


def test_wins_and_regressions_are_marked(full: Run) -> None:
    evaluation = Evaluation.from_dict(full.read_json("evaluation.json"))
    compared = evaluation.comparisons()
    lost = {key for c in compared for key in c.lost}
    won = {key for c in compared for key in c.won} - lost
    page = render(full)
    assert page.count('data-change="won"') == len(won) > 10
    assert page.count('data-change="lost"') == len(lost) > 0


def test_scores_as_rows() -> None:
    rows = scores_table(invented())
    assert [row["kind"] for row in rows][:1] == ["all answerable"]
    assert [row["kind"] for row in rows][-3:] == ["not in the documents (declined)", "right or rightly declined", "general knowledge"]
    answerable, declined, handled = rows[0]["tuned"], rows[-3]["tuned"], rows[-2]["tuned"]
    assert (handled.right, handled.count) == (answerable.right + declined.right, answerable.count + declined.count)
    assert rows[0]["count"] == 60
    assert rows[0]["tuned"].value > rows[0]["base"].value
    assert rows[-1]["base+retrieval"] is None


# --- charts


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.25, 0.5, 0.75, 1]),
        (0, 3.2, [0, 1, 2, 3, 4]),
        (1, 300, [0, 100, 200, 300]),
        (0, 0, [0, 0.25, 0.5, 0.75, 1.0]),
        (0, 1e-3, [0, 0.00025, 0.0005, 0.00075, 0.001]),
    ],
)
def test_ticks_are_round_and_span_the_values(low: float, high: float, expected: list[float]) -> None:
    found = charts.ticks(low, high, 4)
    assert found[0] <= low
    assert found[-1] >= high
    assert found == pytest.approx(expected) or low == high == 0


def test_long_curves_are_thinned_to_means() -> None:
    points = [(float(x), 2.0 * x) for x in range(1000)]
    thin = charts.thinned(points)
    assert len(thin) <= charts.MOST_POINTS
    assert thin[0] == (3.0, 6.0)
    assert charts.thinned(points[:5]) == tuple(points[:5])


def test_a_curve_of_one_point_is_drawn_and_none_is_not() -> None:
    drawn = charts.lines([charts.Series("loss", ((1.0, 0.5),), "c-tuned")], "Loss")
    assert "loss 0.5 at step 1" in drawn
    assert "nan" not in drawn
    assert charts.lines([charts.Series("loss", (), "c-tuned")], "Loss") == ""


def test_bars_carry_their_interval() -> None:
    drawn = charts.bars([charts.Bar("Tuned <model>", 0.5, 0.4, 0.6, "c-tuned", "5/10")])
    assert "Tuned &lt;model&gt;: 50.0% (40% to 60%) 5/10" in drawn


# --- model card


def test_the_model_card(full: Run) -> None:
    (full.path / "adapter").mkdir()
    card = model_card(full)
    header = yaml.safe_load(card.split("---")[1])
    assert header["base_model"] == "smollm2-135m"
    assert header["library_name"] == "peft"
    assert header["pipeline_tag"] == "text-generation"
    assert "lora" in header["tags"]
    assert "- 63 facts" in card
    assert "| all answerable (60) |" in card
    assert "## Limits" in card


def test_the_card_of_a_bare_run(tmp_path: Path) -> None:
    card = model_card(Run.create(tmp_path / "run", "demo"))
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "transformers"
    assert "## Scores" not in card
