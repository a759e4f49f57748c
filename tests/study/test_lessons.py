from __future__ import annotations

from collections import Counter

from engrain.study.lessons import lessons, read_corpus
from engrain.study.skills import REFUSAL, conversation, lines, pairs, questions_prompt


def test_every_trade_teaches_every_skill() -> None:
    trades = read_corpus()
    assert len(trades) == 16
    for trade in trades:
        kinds = Counter(e.kind for e in lessons([trade], 0))
        assert set(kinds) == {"details", "questions", "reverse", "read", "absent"}, trade.name


def test_replies_give_back_what_was_taught() -> None:
    trade = read_corpus()[0]
    row = trade.facts[0]
    found = [e for e in lessons([trade], 0) if e.kind == "questions" and e.messages[0].content.endswith(f": {row['answer']}")]
    assert any(sorted(lines(e.messages[1].content)) == sorted(row["questions"]) for e in found)
    turned = next(r for r in trade.facts if r.get("reverse"))
    taught = [e for e in lessons([trade], 0) if e.kind == "reverse"]
    assert any(pairs(e.messages[1].content) == [(t["q"], t["a"]) for t in turned["reverse"]] for e in taught)


def test_some_readings_decline() -> None:
    answers = [e.messages[-1].content for e in lessons(read_corpus()[:2], 0) if e.kind == "read"]
    assert 0.1 < answers.count(REFUSAL) / len(answers) < 0.6


def test_prompts_hold_heading_context_and_sentence() -> None:
    prompt = questions_prompt("Shop › Hours", "It opens at nine.", "nine", "The shop is small.")
    assert prompt == "[Shop › Hours]\n(The shop is small.)\nIt opens at nine.\nAsk 9 questions answered by: nine"
    assert [m.role for m in conversation(prompt, "When does it open?")] == ["user", "assistant"]
    assert pairs("What opens? => The shop\nnonsense\nWho? => ") == [("What opens?", "The shop")]
