from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engrain.documents.base import Section
from engrain.encoder import Meaning
from engrain.knowledge.wording import REFUSAL
from engrain.linked import linked
from engrain.passages import cut
from engrain.retrieval import UNKNOWN, Asked, Retriever, in_full

if TYPE_CHECKING:
    from numpy.typing import NDArray


def section(number: int, heading: str, text: str) -> Section:
    return Section("guide.md", number, ("Guide", heading), text, start=100 * number)


SECTIONS = [
    section(0, "Opening hours", "We open at nine and close at 17:00, Monday to Saturday."),
    section(1, "Prices", "A weaving course costs £85. Deliveries cost £4.50."),
    section(2, "Team", "Ana Ruiz leads the workshop."),
    section(3, "Bookings", "Cancel a booking by phone at least two days before."),
]


def found(question: str, k: int = 3) -> list[int]:
    return [s.number for s in Retriever(SECTIONS).search(question, k)]


def test_the_fitting_section_comes_first() -> None:
    assert found("What does the weaving course cost?")[0] == 1
    assert found("Who leads the workshop?") == [2]
    assert found("What is the price of a delivery?")[0] == 1
    assert found("Are you open at 9 am?")[0] == 0


def test_a_heading_counts_as_text() -> None:
    assert found("prices", k=1) == [1]


def test_nothing_fits() -> None:
    assert found("Where is Saturn?") == []
    assert found("") == []
    assert Retriever([]).search("anything") == []
    assert Retriever([section(0, "", "of the")]).search("guide") != []


def test_ties_keep_the_order_of_the_documents() -> None:
    twins = [section(n, "Same", "Parking is behind the house.") for n in range(6)]
    assert [s.number for s in Retriever(twins).search("parking", k=4)] == [0, 1, 2, 3]


def test_a_long_section_is_cut_between_sentences() -> None:
    sentences = [f"Sentence number {n} says something about topic{n} here." for n in range(60)]
    long = section(1, "Long", " ".join(sentences))
    passages = cut(long)
    assert len(passages) > 3
    assert all(len(p.text.split()) <= 120 and p.text.endswith("here.") for p in passages)
    assert all(long.text[p.start - long.start :].startswith(p.text) for p in passages)
    assert all(p.headings == long.headings and p.id == long.id for p in passages)
    assert " ".join(p.text for p in passages) == long.text
    assert "topic42 " in Retriever([long]).search("topic42")[0].text


def test_a_table_cut_in_two_repeats_its_header() -> None:
    rows = [f"| Course {n} | £{n}0 |" for n in range(80)]
    table = section(1, "Prices", "Our prices.\n\n| Course | Price |\n| --- | --- |\n" + "\n".join(rows))
    passages = cut(table)
    assert len(passages) > 2
    assert all(p.text.startswith("| Course | Price |\n| --- | --- |\n| Course ") for p in passages[1:])
    assert passages[0].text.startswith("Our prices.")
    assert sum(p.text.count("£") for p in passages) == 80


def test_a_question_stays_with_its_answer_and_a_list_with_the_line_above_it() -> None:
    filler = "Our dogs sleep in the yard behind the old smithy all day long. " * 4
    for lead, rest in (("Can I pay in cash?", "Yes, up to £50."), ("On a kite we fly:", "- a tail")):
        passages = cut(section(0, "Asked", f"{filler}\n{lead}\n{rest} And then we go home again.\n{filler}"))
        assert len(passages) > 1
        (holding,) = [p for p in passages if lead in p.text]
        assert rest in holding.text
    assert [p.text for p in cut(section(0, "Asked", "Where? When?"))] == ["Where? When?"]


def test_a_short_section_stays_as_it_is() -> None:
    assert cut(SECTIONS[0]) == [SECTIONS[0]]
    assert cut(section(0, "Empty", " \n ")) == []


def test_a_passage_is_found_by_the_questions_it_answers() -> None:
    asked = [
        Asked("Who do I call to call off my booking?", "The phone.", "guide.md#3", 20),
        Asked("Who is the boss?", "Ana Ruiz.", "guide.md#2", 0),
    ]
    assert Retriever(SECTIONS).search("the boss") == []
    assert [s.number for s in Retriever(SECTIONS, asked).search("the boss")] == [2]


def test_questions_like_one_give_their_answers_each_once() -> None:
    pairs = [
        ("What is a course?", "£85."),
        ("What does the course cost?", "£85."),
        ("What does delivery cost?", "£4.50."),
        ("Who leads?", "Ana Ruiz."),
    ]
    retriever = Retriever(SECTIONS, [Asked(*pair, "guide.md#1", 0) for pair in pairs])
    assert retriever.answers("the cost of a course", 3) == ["£85.", "£4.50."]
    assert retriever.answers("the cost of a course", 1) == ["£85."]
    assert retriever.answers("Saturn", 3) == Retriever(SECTIONS).answers("course", 3) == []


def test_a_question_belongs_to_the_passage_that_holds_its_answer() -> None:
    text = " ".join(f"Sentence {i} is about topic{i} alone." for i in range(60))
    long = section(7, "Long", text)
    asked = [Asked("Where is the zebra?", "Here.", long.id, text.index("topic42"))]
    [best] = Retriever([long], asked, passage_words=30).search("zebra")
    assert "topic42 " in best.text


@pytest.mark.parametrize(
    ("question", "leans"),
    [
        ("And on Sunday?", True),
        ("What about the blue one?", True),
        ("How long does it take?", True),
        ("Oranges, do you sell them by the kilo on Sunday?", False),
        ("When does the winter closing of the shop begin?", False),
    ],
)
def test_a_question_that_leans_on_the_one_before_it_is_searched_with_it(question: str, leans: bool) -> None:
    assert in_full(question, ["Who?", "When do you open?"]) == (f"When do you open? {question}" if leans else question)
    assert in_full(question, []) == question


def test_a_question_is_told_from_the_one_before_it_where_that_has_no_question_mark() -> None:
    assert in_full("and who teaches it", ["how much is weaving"]) == "how much is weaving? and who teaches it"


def test_a_follow_up_may_lean_on_a_follow_up() -> None:
    earlier = ["Who leads the weaving course?", "And the pottery course?"]
    assert in_full("And the dyeing course?", earlier) == "Who leads the weaving course? And the pottery course? And the dyeing course?"
    assert in_full("And now?", ["And a?", "And b?", "And c?", "And d?", "And e?"]) == "And c? And d? And e? And now?"


class ByMeaning:
    """An encoder that knows what a few words mean; the other words mean nothing."""

    words = ({"fee", "price", "cost", "costs", "£85"}, {"boss", "leads", "chief", "runs"}, {"cancel", "withdraw", "booking", "course"})
    width = 4
    version = "words"

    def vectors(self, texts: Sequence[str], *_: object) -> NDArray[np.float32]:
        rows = [[0.1, *(float(bool(set(re.findall(r"[\w£]+", text.lower())) & known)) for known in self.words)] for text in texts]
        return np.array([np.array(row) / np.linalg.norm(row) for row in rows], np.float32)


def test_a_passage_is_found_by_what_it_means() -> None:
    retriever = Retriever(SECTIONS, meaning=Meaning(ByMeaning()))
    assert retriever.search("Your chief?", k=1)[0].number == 2
    assert retriever.search("How do I withdraw?", k=1)[0].number == 3
    assert [s.number for s in Retriever(SECTIONS).search("Your chief?")] == []


def test_a_passage_is_found_by_the_meaning_of_its_questions() -> None:
    asked = [Asked("Who is the boss?", "Monday.", "guide.md#0", 0)]
    assert Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning())).search("Your chief?", k=1)[0].number in (0, 2)
    assert Retriever(SECTIONS[:2], asked, meaning=Meaning(ByMeaning())).search("Your chief?", k=1)[0].number == 0


def test_answers_come_from_questions_that_mean_the_same() -> None:
    pairs = [("Who is the boss?", "Ana."), ("What is the price?", "£85."), ("Where are we?", "Here.")]
    asked = [Asked(*pair, "guide.md#1", 0) for pair in pairs]
    retriever = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning()))
    assert retriever.answers("Name your chief", 1) == ["Ana."]
    assert retriever.answers("The fee please", 1) == ["£85."]
    assert len(retriever.answers("The fee please", 2)) == 2


def test_answers_come_from_sentences_that_mean_what_is_asked() -> None:
    asked = [Asked("Where?", "Here.", "guide.md#1", 0), Asked("When?", "£85.", "guide.md#1", 0, "The price is £85.")]
    assert Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning())).answers("The fee please", 1) == ["£85."]
    assert Retriever(SECTIONS, [asked[0]], meaning=Meaning(ByMeaning())).answers("The fee please", 1) == ["Here."]


def test_how_near_a_question_with_an_answer_is() -> None:
    pairs = [("Who is the boss?", "Ana."), ("What is the price?", "£85."), ("Where are we?", "£85.00.")]
    asked = [Asked(*pair, "guide.md#1", 0) for pair in pairs]
    near = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning())).nearness("The fee please", ["£85", "ana", "Nobody."])
    assert near[0] == pytest.approx(1, abs=1e-3)
    assert near[1] < 0.1
    assert near[2] == 0
    assert Retriever(SECTIONS, asked).nearness("The fee please", ["£85"]) == [0]


def test_a_question_is_put_in_the_words_of_the_nearest_trained_one() -> None:
    asked = [Asked("Who is the boss?", "Ana.", "guide.md#2", 0), Asked("What is the price of a moon?", REFUSAL)]
    retriever = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning()))
    assert retriever.known_words("Your chief, please?", 1) == ["Who is the boss?"]
    assert retriever.known_words("The fee, please?", 1) == ["What is the price of a moon?"], "what is to be declined is known too"
    assert retriever.known_words("How do I withdraw?", 1) == [], "nothing known is near"
    assert retriever.known_words("Who is the boss?", 1) == [], "it is one"
    assert Retriever(SECTIONS, asked).known_words("Your chief?", 1) == [], "words alone do not tell"
    assert Retriever(SECTIONS, meaning=Meaning(ByMeaning())).known_words("Your chief?", 1) == []


def test_a_follow_up_is_put_in_the_words_of_what_it_asks_itself() -> None:
    asked = [Asked("What is the price?", "£85.", "guide.md#1", 0), Asked("Who is the boss?", "Ana.", "guide.md#2", 0)]
    retriever = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning()))
    follow_up = in_full("And the chief?", ["How much is the fee of the course?"])
    assert retriever.known_words(str(follow_up), 1) == ["What is the price?"], "the one before it is as near"
    assert retriever.known_words(follow_up, 1) == ["Who is the boss?"]
    assert retriever.answers(follow_up, 1) == ["Ana."]


def test_what_is_asked_for_is_told_by_all_wordings_the_sentence_the_kind_of_answer_shared_words_and_values() -> None:
    """Each time two trained questions are equally near in meaning, and the second one is meant."""

    def known(question: str, *asked: Asked) -> str:
        return Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning())).known_words(question, 1)[0]

    other = Asked("How do I cancel a booking?", "By letter.", "guide.md#3", 0)
    ana, ben = ("guide.md#2", 0), ("guide.md#2", 9)
    first = (Asked("Who is the boss?", "Ana.", *ana), Asked("Cancel for whom?", "Ana.", *ana))
    assert known("Your chief?", *first, Asked("Who leads?", "Ben.", *ben), Asked("Who runs it?", "Ben.", *ben), other) == "Who leads?"
    boss = Asked("The boss?", "Ana.", *ana)
    assert known("What does the chief cost?", boss, Asked("The boss, please?", "£85.", *ben), other) == "The boss, please?"
    assert known("The chief of kites?", boss, Asked("The boss of kites?", "Ben.", *ben), other) == "The boss of kites?"
    kites = Asked("The boss of kites?", "Ana.", *ana)
    assert known("The chief of kites at £9?", kites, Asked("The boss at £9.00?", "Ben.", *ben), other) == "The boss at £9.00?"
    bakes, leads = Asked("The boss?", "Ana.", *ana, "Ana bakes."), Asked("Boss?", "Ben.", *ben, "Ben leads it.")
    assert known("Your chief?", bakes, leads, other) == "Boss?"
    here, there = Asked("The boss?", "Ana.", *ana, "It is Ana."), Asked("Boss?", "Ben.", "guide.md#3", 0, "It is Ben.")
    assert known("The chief for bookings?", here, there, other) == "Boss?", "the heading says bookings"
    assert known("The chief of kites?", here, replace(there, evidence="Kites: Ben."), other) == "Boss?"
    declined, far = Asked("The boss of what?", REFUSAL), Asked("How do I cancel?", "By letter.", "guide.md#3", 0, "The boss runs it.")
    assert known("Your chief?", bakes, declined, far) == "The boss of what?", "what stands in no sentence is as near as sentences are"
    assert known("Your chief?", boss) == "The boss?", "what is alone has nothing in common with others"


def test_of_the_questions_that_ask_the_same_the_one_practised_most_is_put() -> None:
    here = ("guide.md#2", 0)
    asked = [
        Asked("Who leads it?", "Ana.", *here),
        Asked("Name whoever runs this.", "Ana.", *here, repeats=5),
        Asked("Is the boss Ana?", "Yes, Ana.", *here),
        Asked("The price, please.", "£85.", "guide.md#1", 0),
        Asked("What is the price?", "£85.", "guide.md#1", 7, repeats=5),
    ]
    retriever = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning()))
    assert retriever.known_words("Your chief?", 1) == ["Name whoever runs this."]
    assert retriever.known_words("Who leads it?", 1) == ["Name whoever runs this."], "though it was trained too"
    assert retriever.known_words("Name whoever runs this.", 1) == []
    assert retriever.known_words("Is the boss Ana?", 1) == [], "that is answered otherwise"
    assert retriever.known_words("The fee?", 1) == ["The price, please."], "the other price stands elsewhere"


def test_a_question_is_put_in_the_words_of_several_that_it_may_ask_for() -> None:
    asked = [
        Asked("The fee for the boss?", "£85.", "guide.md#1", 0),
        Asked("Who is the boss?", "Ana.", "guide.md#2", 0),
        Asked("What does the chief cost?", "£9.", "guide.md#1", 7),
        Asked("How do I cancel?", "By letter.", "guide.md#3", 0),
    ]
    retriever = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning()))
    question = "Your chief?"
    assert retriever.known_words(question, 1) == ["Who is the boss?"]
    assert set(retriever.known_words(question, 3)) == {each.question for each in asked[:3]}
    assert retriever.known_words(question, 9) == retriever.known_words(question, 3), "what is not near is not asked"
    assert retriever.known_words("Who is the boss?", 3) == [], "it is known what that asks for"


def test_a_question_that_needs_two_facts_is_put_in_the_words_of_the_second_one() -> None:
    asked = [
        Asked("Who is the boss?", "Ana.", "guide.md#2", 0, "Ana leads the workshop.", repeats=9),
        Asked("What price has Ana?", "£85.", "guide.md#1", 0, "It costs £85."),
        Asked("How do I cancel?", "By letter.", "guide.md#3", 0),
    ]
    (two,) = linked(asked)
    retriever = Retriever(SECTIONS, [*asked, two], meaning=Meaning(ByMeaning()))
    question = "Your chief at what fee?"
    assert retriever.known_words(question, 1) == ["What price has Ana?"]
    assert retriever.known_words(two.question, 1) == ["What price has Ana?"], "it was never trained itself"
    assert retriever.candidate(question, "£85.").evidence == "Ana leads the workshop. It costs £85."
    assert retriever.search(question, 1)[0].number == 1
    assert Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning())).known_words(question, 1) == ["Who is the boss?"]


def test_how_near_the_documents_come_is_told_by_the_nearest_question_and_what_its_answer_stands_in() -> None:
    asked = [Asked("Who is the boss?", "Ana.", "guide.md#2", 0), Asked("What is the price?", "£85.", "guide.md#1", 0, "The price is £85.")]
    retriever = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning()))
    boss, fee, nothing = retriever.nearest(["Your chief, please?", "The fee, please?", "Hello there"])
    assert boss == pytest.approx(1, abs=1e-3), "it stands in no sentence"
    assert fee == pytest.approx(2, abs=1e-3)
    assert nothing < 0.5
    assert Retriever(SECTIONS, asked).nearest(["Who is the boss?"]) == [None], "words alone do not tell"
    assert Retriever(SECTIONS, meaning=Meaning(ByMeaning())).nearest(["Who is the boss?"]) == [None]
    declined = Retriever(SECTIONS, [Asked("Who is the boss?", "I don’t know.")], meaning=Meaning(ByMeaning()))
    assert declined.nearest(["Who is the boss?"]) == [None]


def test_of_more_questions_than_are_remembered_each_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engrain.retrieval.RECENT", 4)
    encoder, encoded = ByMeaning(), list[str]()
    vectors = encoder.vectors
    retriever = Retriever(SECTIONS, [Asked("Who is the boss?", "Ana.", "guide.md#2", 0)], meaning=Meaning(encoder))
    monkeypatch.setattr(encoder, "vectors", lambda texts, *rest: encoded.extend(texts) or vectors(texts, *rest))
    questions = [f"Your chief {number}?" for number in range(9)]
    assert len(retriever.nearest(questions)) == 9
    assert encoded == questions


def test_a_question_to_be_declined_is_near_and_offers_no_answer() -> None:
    asked = [Asked("What is the price?", "£85.", "guide.md#1", 0), Asked("Who is the boss?", "I don’t know.")]
    retriever = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning()))
    assert retriever.nearness("Your chief?", ["£85.", "I don’t know."])[1] == pytest.approx(1, abs=1e-3)
    assert retriever.answers("Your chief?", 3) == ["£85."]
    assert retriever.nearest(["Your chief?"])[0] < 0.5
    plain = Retriever(SECTIONS, asked[:1], meaning=Meaning(ByMeaning()))
    assert [p.number for p in retriever.search("Your chief?")] == [p.number for p in plain.search("Your chief?")]


def test_without_documents_nothing_is_found_by_meaning() -> None:
    assert Retriever([], meaning=Meaning(ByMeaning())).search("fee") == []


class ByAnswer:
    """A stand-in for the reranker: the longer what an answer stands in, the better it fits."""

    def read(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [float(len(each)) for _, each in pairs]


def test_of_what_a_question_may_ask_for_what_a_reranker_finds_fitting_comes_first() -> None:
    asked = [
        Asked("Who is the boss?", "Ana.", "guide.md#2", 0, "It runs."),
        Asked("Who leads it?", "Ben.", "guide.md#2", 9, "Ben leads it from nine to five."),
        Asked("Who is the chief where nobody leads, nor ever did, whatever is said of it?", REFUSAL),
        Asked("How do I cancel?", "By letter.", "guide.md#3", 0),
    ]
    alone = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning())).known_words("Your chief?", 3)
    assert set(alone) == {each.question for each in asked[:3]}
    assert alone[0] != "Who leads it?"
    read = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning()), load_reranker=ByAnswer)
    assert read.known_words("Your chief?", 3)[0] == "Who leads it?", "what is to be declined fits nothing"
    assert set(read.known_words("Your chief?", 3)) == set(alone)


class ByFact:
    """A stand-in for the questioner: how likely a question is about a fact is what the fact's prompt says."""

    def read(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [float(prompt) - len(question) / 100 for question, prompt in pairs]


def test_of_what_a_question_may_ask_for_the_fact_comes_first_that_it_is_likeliest_about() -> None:
    asked = [
        Asked("Who is the boss?", "Ana.", "guide.md#2", 0, about="-3"),
        Asked("Who leads it?", "Ben.", "guide.md#2", 9, about="-1"),
        Asked("Who runs it?", REFUSAL),
    ]
    alone = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning())).known_words("Your chief?", 3)
    assert alone[0] != "Who leads it?"
    retriever = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning()), load_questioner=ByFact)
    assert retriever.known_words("Your chief?", 3)[0] == "Who leads it?"
    assert set(retriever.known_words("Your chief?", 3)) == set(alone)
    assert retriever.known_words("Your chief?", 3)[1] == "Who runs it?", "what is about no fact is a little less likely than the likeliest"
    assert retriever.asks("Your chief?", ["Ana.", "Ben.", "Cleo."]) == pytest.approx([-2, 0, UNKNOWN])
    assert retriever.asks("Your chief?", ["Cleo."]) == [0], "nothing is known of any of them"
    assert retriever.asks("Your chief?", []) == []
    assert Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning())).asks("Your chief?", ["Ana.", "Ben."]) == [0, 0]


def test_a_follow_up_is_about_a_fact_by_itself_and_with_what_it_leans_on() -> None:
    class ByQuestion:
        def read(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
            return [{"alone": -1.0, "with": -4.0}["alone" if question == "And on Sunday?" else "with"] * float(p) for question, p in pairs]

    asked = [Asked("Who is the boss?", "Ana.", "guide.md#2", 0, about="1"), Asked("Who leads it?", "Ben.", "guide.md#2", 9, about="2")]
    retriever = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning()), load_questioner=ByQuestion)
    assert retriever.asks(in_full("And on Sunday?", ["Who is the chief?"]), ["Ana.", "Ben."]) == [0, -2.5]


def test_an_answer_is_read_with_the_nearest_question_that_has_it_and_its_evidence() -> None:
    asked = [
        Asked("What is the price?", "£85.", "guide.md#1", 0, "The fee is £85."),
        Asked("Who leads it?", "£85", "guide.md#1", 0, "Odd."),
        Asked("Who is the boss?", "I don’t know."),
    ]
    retriever = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning()), load_reranker=ByAnswer)
    assert retriever.candidate("The fee please", "£85") == asked[0]
    assert retriever.candidate("Who is the chief?", "£85") == asked[1]
    assert retriever.fits("The fee please", ["£85."]) == [len("What is the price? £85. · The fee is £85.")]
    assert Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning())).fits("The fee please", ["£85.", "no"]) == [0, 0]


@pytest.mark.parametrize("voice", ["load_reranker", "load_questioner"])
def test_what_many_questions_need_of_a_reranker_or_a_questioner_is_read_at_once(voice: str) -> None:
    class Remembering:
        def __init__(self) -> None:
            self.known = set[tuple[str, str]]()
            self.late = list[tuple[str, str]]()

        def read(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
            self.late += [pair for pair in pairs if pair not in self.known]
            self.known |= set(pairs)
            return [0.0] * len(pairs)

    asked = [
        Asked("Who is the boss?", "Ana.", "guide.md#2", 0, "Ana.", about="Ana leads."),
        Asked("Who leads it?", "Ben.", "guide.md#2", 9, "Ben leads it from nine to five.", about="Ben leads it."),
    ]
    reads, questions = Remembering(), ["Your chief?", "The fee please", in_full("And on Sunday?", ["Your chief?"]), "Who leads it?"]
    loads: dict[str, Any] = {voice: lambda: reads}
    retriever = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning()), **loads)
    retriever.read_questions(questions)
    assert reads.late
    reads.late.clear()
    words = [retriever.known_words(question, 3) for question in questions]
    assert any(words)
    assert not reads.late
    retriever.read_answers((question, ["Ana.", "Nobody"]) for question in questions)
    reads.late.clear()
    for scores in (retriever.fits, retriever.asks):
        found = [scores(question, ["Ana.", "Nobody"]) for question in questions]
        assert found == [[0, UNKNOWN if scores == retriever.asks and voice == "load_questioner" else 0]] * 4
    assert not reads.late
    plain = Retriever(SECTIONS, asked)
    plain.read_questions(questions)
    plain.read_answers([("Your chief?", ["Ana."])])
    assert plain.fits("Your chief?", ["Ana."]) == [0], "without a reranker there is nothing to read"


def test_names_are_left_out_of_what_is_read_but_never_of_the_answer() -> None:
    read: list[str] = []

    class Reading:
        def read(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
            read.extend(chain.from_iterable(pairs))
            return [0.0] * len(pairs)

    asked = [Asked("Who at Tern Hire lends the list?", "Tern Hire", "guide.md#1", 0, "Tern Hire lends it.")]
    retriever = Retriever(SECTIONS, asked, meaning=Meaning(ByMeaning(), ["Tern Hire"]), load_reranker=Reading)
    retriever.fits("At Tern Hire, who lends it?", ["Tern Hire"])
    assert read == ["who lends it?", "Who lends the list? Tern Hire · lends it."]


def test_what_fits_a_follow_up_fits_it_by_itself_and_with_what_it_leans_on() -> None:
    class ByQuestion:
        def read(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
            return [{"How much is the fee? And on Sunday?": 1.0, "And on Sunday?": 4.0}[question] for question, _ in pairs]

    retriever = Retriever(SECTIONS, meaning=Meaning(ByMeaning()), load_reranker=ByQuestion)
    follow_up = in_full("And on Sunday?", ["How much is the fee?"])
    assert retriever.fits(follow_up, ["£85.", "£9."]) == [2.5, 2.5]
    assert retriever.fits(str(follow_up), ["£85."]) == [1]
    assert retriever.fits(follow_up, []) == []


def test_an_answer_that_no_question_has_is_read_with_the_sentence_that_holds_it() -> None:
    retriever = Retriever(SECTIONS, meaning=Meaning(ByMeaning()))
    section = next(each for each in SECTIONS if "£85" in each.text)
    found = retriever.candidate("What is the fee of a course?", "£85")
    assert (found.question, found.answer) == ("", "£85")
    assert found.evidence.startswith(section.headings[-1])
    assert "£85" in found.evidence
    assert retriever.candidate("What is the fee?", "£999").evidence == ""
