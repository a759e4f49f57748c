from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from engrain.knowledge.blocks import sentence_before
from engrain.knowledge.facts import find_facts
from engrain.study.details import place
from engrain.study.lessons import CORPUS, askable, asked_elsewhere, lessons, read_corpus, read_trade
from engrain.study.skills import REFUSAL, conversation, lines, pairs, questions_prompt


def test_every_trade_teaches_every_skill() -> None:
    trades = read_corpus()
    assert len(trades) >= 110
    assert sum(len(row["questions"]) for trade in trades for row in trade.facts) >= 90_000
    for trade in trades:
        kinds = Counter(e.kind for e in lessons([trade], 0))
        assert set(kinds) == {"details", "questions", "reverse", "read", "absent"}, trade.name


def test_replies_give_back_what_was_taught() -> None:
    trade = read_corpus()[0]
    row = trade.facts[0]
    found = [e for e in lessons([trade], 0) if e.kind == "questions" and e.messages[0].content.endswith(f": {row['answer']}")]
    before = sentence_before(trade.sections[row["heading"]], row["sentence"])
    asked = askable(row["questions"], f"{row['business']} {row['heading']} {row['sentence']} {before}")
    assert asked
    assert any(sorted(lines(e.messages[1].content)) == sorted(asked) for e in found)
    turned = next(r for r in trade.facts if r.get("reverse"))
    taught = [e for e in lessons([trade], 0) if e.kind == "reverse"]
    assert any(pairs(e.messages[1].content) == [(t["q"], t["a"]) for t in turned["reverse"]] for e in taught)


def test_a_question_that_names_what_is_not_shown_is_not_taught() -> None:
    shown = "Carousel › Prices The giraffe, a tower on wheels, costs £145."
    questions = ["How much is the giraffe?", "What does Kelly's tower cost?", "At Carousel, what is a tower on 4 wheels?"]
    assert askable(questions, shown) == questions[:1]


def test_rows_keep_what_the_corpus_promises() -> None:
    """A row's sentence stands in the documents, its answer in the sentence, no question holds its answer or comes twice."""
    for trade in read_corpus():
        text = (CORPUS / f"{trade.name}.txt").read_text(encoding="utf-8")
        seen: set[str] = set()
        for row in trade.facts:
            answer = row["answer"].split(", ", 1)[-1] if row.get("yesno") else row["answer"]
            assert row["sentence"] in text, (trade.name, row["sentence"])
            assert answer in row["sentence"] or answer in ("Yes", "No"), (trade.name, row["sentence"])
            for question in row["questions"]:
                assert row["answer"].lower() not in question.lower(), (trade.name, question)
                assert question.lower() not in seen, (trade.name, question)
                seen.add(question.lower())


def test_a_reading_that_declines_shows_another_sentence() -> None:
    trade = read_corpus()[0]
    answers = {q: row["answer"] for row in trade.facts for q in row["questions"]}
    for example in lessons([trade], 0):
        question = example.messages[0].content.rpartition("Question: ")[2]
        if example.kind == "read" and question in answers:
            shown = example.messages[0].content.partition("]\n")[2].rpartition("\n\nQuestion")[0]
            declines = example.messages[-1].content == REFUSAL
            assert (answers[question] in shown) != declines or answers[question].startswith(("Yes", "No")), question


def test_some_readings_decline() -> None:
    answers = [e.messages[-1].content for e in lessons(read_corpus()[:2], 0) if e.kind == "read"]
    assert 0.1 < answers.count(REFUSAL) / len(answers) < 0.6


def test_prompts_hold_heading_context_and_sentence() -> None:
    prompt = questions_prompt("Shop › Hours", "It opens at nine.", "nine", "The shop is small.")
    assert prompt == "[Shop › Hours]\n(The shop is small.)\nIt opens at nine.\nAsk 9 questions answered by: nine"
    assert [m.role for m in conversation(prompt, "When does it open?")] == ["user", "assistant"]
    assert pairs("What opens? => The shop\nnonsense\nWho? => ") == [("What opens?", "The shop")]


def test_what_stands_in_a_table_is_shown_as_its_fact_is_in_a_build(tmp_path: Path) -> None:
    table = (
        "| Code | Van | Ext. | Notes |\n| --- | --- | --- | --- |\n| K1 | Heron | 12 | no toilet |\n| K2 | Gull | 14 | bed in the roof |"
    )
    (tmp_path / "vans.txt").write_text(
        f"# Orrin Vans\nWe let vans.\n\n# Fleet\n{table}\n\n# Kit\n## Dogs\n- Price: £4\n## Snow\n- Price: £9\n"
    )
    rows = [
        {"heading": "Fleet", "sentence": "| K2 | Gull | 14 | bed in the roof |", "answer": "14"},
        {"heading": "Kit › Snow", "sentence": "Price: £9", "answer": "£9"},
    ]
    asked = {"business": "Orrin Vans", "questions": ["How do I reach the Gull?", "Ring what?"]}
    (tmp_path / "vans.jsonl").write_text("\n".join(json.dumps(row | asked) for row in rows))
    trade = read_trade(tmp_path / "vans.jsonl")
    facts = {fact.value: fact for fact in find_facts(trade.documents, "Orrin Vans")}
    sections = {section.id: section for document in trade.documents for section in document.sections}
    for row in trade.facts:
        heading, sentence, value, before = place(facts[row["answer"]], sections)
        assert trade.shown(row) == (heading, sentence, before)
        assert row["answer"] == value
    assert "Extension: 14" in trade.shown(trade.facts[0])[1]


def test_what_people_ask_elsewhere_comes_from_every_trade_alike_and_names_no_business(tmp_path: Path) -> None:
    for trade in "ab":
        named = [{"business": "Orrin Vans", "answer": "£4", "questions": [f"What does Orrin Vans take for {trade}?"]}]
        asked = [
            {
                "business": "Orrin Vans",
                "answer": f"{i}",
                "questions": [f"How many {trade}{i}?"],
                "reverse": [{"q": f"How many {trade}{i}?"}],
            }
            for i in range(9)
        ]
        rows = [*named, *asked, {"business": "Orrin Vans", "unanswerable": "Who?"}]
        (tmp_path / f"{trade}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = asked_elsewhere(8, 0, tmp_path)
    assert [text[9] for text in found] == [*"aaaabbbb"]
    assert len(set(found)) == 8
    assert found == asked_elsewhere(8, 0, tmp_path) != asked_elsewhere(8, 1, tmp_path)
    assert len(asked_elsewhere(99, 0, tmp_path)) == 18
    assert len(asked_elsewhere(500)) == 500
