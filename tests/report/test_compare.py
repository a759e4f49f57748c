from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from engrain.evaluate import BASE, TUNED, Evaluation, score
from engrain.examples import Question
from engrain.report.charts import PERCENT, Axis, Dot, number, scatter
from engrain.report.compare import markdown, render, size, write_comparison
from engrain.run import Run
from engrain.scoreboard import Costs, Scoreboard, advice, score_of

SAID = {BASE: ["yes"] * 4, TUNED: ["yes", "yes", "yes", "no"]}
"""What is said to the general questions."""


def test_the_page_holds_every_way_and_escapes_its_texts(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "cmp", "cmp")
    run.update(settings={"base": "<b>base</b>"}, seeds=2)
    questions = [Question("1", "What?", ("£5",), "direct"), Question("2", "Who?", ("Maria",), "reverse")]
    seen = Evaluation({TUNED: tuple(score(questions, ["£5", "Peter"]))})
    scores = (score_of("base", TUNED, [seen]), score_of("lora<i>", TUNED, [seen, seen], [Costs(1234, 2**30, 61.0, 99.0, 2**20)] * 2))
    page = render(run, Scoreboard(scores, advice(scores), {"ia3-0": "<u>memory</u>"}))
    assert "<b>base" not in page
    assert "lora<i>" not in page
    assert "<u>memory" not in page
    for text in ("lora&lt;i&gt;", "1,234", "1.0 GiB", "1.0 MiB", "2 seeds", "reverse", "Right answers against memory", "50%"):
        assert text in page
    assert "in wordings that were not trained" in page
    run.update(questions="0123abcd")
    assert "in wordings that were not trained" not in render(run, Scoreboard(scores, advice(scores)))


def test_what_is_kept_and_declined_has_its_interval(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "cmp", "cmp")
    run.update(settings={"base": "base"}, seeds=1)
    general = [Question(f"g{number}", "What?", ("yes",), "general") for number in range(4)]
    unknown = [Question("u", "Unknown?", (), "unanswerable")]
    asked = [Question("1", "What?", ("£5",), "direct"), *unknown, *general]
    seen = Evaluation({column: tuple(score(asked, ["£5", "It is 5.", *said])) for column, said in SAID.items()})
    tuned = score_of("lora", TUNED, [seen], [Costs(1234, 2**30, 61.0, 99.0, 2**20)])
    page = render(run, Scoreboard((tuned,), ""))
    assert '<td class="number">75%<small>30% to 95%</small></td>' in page
    assert '<td class="number">0%<small>0% to 79%</small></td>' in page
    assert "75% (30% to 95%)" in markdown(Scoreboard((tuned,), ""))


def test_the_plots_are_pictures_that_the_table_shows(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "cmp", "cmp")
    run.update(settings={"base": "base"}, seeds=1)
    seen = Evaluation({TUNED: tuple(score([Question("1", "What?", ("£5",), "direct")], ["£5"]))})
    costs = [Costs(1234, 2**30, 61.0, 99.0, 2**20)]
    write_comparison(run, Scoreboard((score_of("lora<i>", TUNED, [seen], costs),), "Take it."))
    told = (run.path / "comparison.md").read_text()
    pictures = re.findall(r"^!\[[^]]+\]\((.+\.svg)\)$", told, re.MULTILINE)
    assert pictures == ["right-answers-against-memory.svg", "right-answers-against-time.svg"]
    for picture in pictures:
        root = ElementTree.parse(run.path / picture).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "lora<i>" in {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}


def test_one_table_in_markdown_holds_everything() -> None:
    questions = [Question("1", "What?", ("£5",), "direct"), Question("2", "Who?", ("Maria",), "reverse")]
    seen = Evaluation({TUNED: tuple(score(questions, ["£5", "Peter"]))})
    scores = (score_of("base", TUNED, [seen]), score_of("lora", TUNED, [seen], [Costs(1234, 2**30, 61.0, 99.0, 2**20)]))
    head, _, base, tuned, _, told, _ = markdown(Scoreboard(scores, "Take lora.")).split("\n")
    assert head.count("|") == base.count("|") == tuned.count("|")
    assert head.startswith("| way | exact | gist | direct | reverse | rightly declined |")
    assert base.startswith("| base | 50% (9% to 91%) | 50% (9% to 91%) | 100% (21% to 100%) | 0% (0% to 79%) |")
    assert [cell.strip() for cell in head.split("|")][8:12] == ["kept", "exact by itself", "gist by itself", "kept by itself"]
    assert tuned.endswith("| 1,234 | 1.0 GiB | 61 | 99 | 1.0 MiB |")
    assert told == "Take lora."


def test_dots_stand_where_their_numbers_say() -> None:
    axes = Axis.of([0.0, 100.0], number), Axis.of([0.0, 1.0], PERCENT)
    drawn = scatter([Dot("low", 0.0, 0.0), Dot("high", 100.0, 1.0)], "seconds", *axes)
    assert drawn.count("<circle") == 2
    assert 'cx="58.0" cy="220.0"' in drawn
    assert 'cx="410.0" cy="16.0"' in drawn
    assert scatter([], "seconds", *axes) == ""


def test_names_of_dots_stand_below_each_other_only_where_they_would_cover_each_other() -> None:
    axes = Axis.of([0.0, 100.0], number), Axis.of([0.0, 1.0], PERCENT)
    drawn = scatter([Dot("one", 10.0, 0.5), Dot("two", 10.0, 0.5), Dot("far", 90.0, 0.5)], "seconds", *axes)
    heights = {name: float(y) for y, name in re.findall(r'class="note" x="[\d.]+" y="([\d.]+)">(\w+)<', drawn)}
    assert heights == {"one": 122.0, "two": 136.0, "far": 122.0}


def test_sizes_are_told_for_people() -> None:
    assert size(3 * 2**29) == "1.5 GiB"
    assert size(2**19) == "0.5 MiB"
