"""What values beside a name tell of it: its price ("the Tern, at £40, is a canoe"), its day ("our Fair, the last Monday in June")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from engrain.knowledge.memory import Memory, in_sentence, is_person
from engrain.knowledge.parse import children, first
from engrain.knowledge.phrases import noun_phrase
from engrain.knowledge.values import DAY, MONTH, Value
from engrain.knowledge.words import HUMANS, PRICES, WHEN_NOUNS


def priced(doc: Any, values: Sequence[Value], memory: Memory) -> Iterator[tuple[Value, str, str]]:
    """Each sum or share off that stands beside what it is the price of: it, that thing, and "costs" or "is" in the right number."""
    for value in values:
        off = value.kind == "percent" and doc.text[value.end :].startswith(" off")
        span = doc.char_span(value.start, value.end, alignment_mode="expand") if off or value.kind == "money" else None
        if span is None or not span.start or (thing := beside(doc[span.start - 1])) is None:
            continue
        words = [i for i in noun_phrase(thing) if i < span.start - 1]
        comma = next((n for n, i in enumerate(words) if doc[i].text == ","), len(words))
        if words[:comma]:
            one, several = ("is", "are") if off else ("costs", "cost")
            yield value, in_sentence(doc, words[:comma], memory), several if thing.tag_ in {"NNS", "NNPS"} else one


def dated(doc: Any, values: Sequence[Value], memory: Memory) -> Iterator[tuple[Value, str]]:
    """Each day that stands after a comma beside what takes place on it: the day and that event."""
    for value in values:
        span = doc.char_span(value.start, value.end, alignment_mode="expand") if value.kind == "date" else None
        if span is None or span.start < 2 or doc[span.start - 1].text != "," or not re.search(r"day\b|\d (?:of )?[A-Z]", span.text):
            continue
        event, ends = doc[span.start - 2], span.end == len(doc) or doc[span.end].is_punct
        named = event.pos_ == "PROPN" and children(event, "det", "poss") and event.ent_type_ not in {"PERSON", "GPE"}
        named = named and not re.fullmatch(rf"{DAY}|{MONTH}", event.text)
        if ends and named:
            yield value, in_sentence(doc, [i for i in noun_phrase(event) if i <= event.i], memory)


def beside(preposition: Any) -> Any | None:
    """The noun that "at" or ", for" before a sum belongs to; None for another word, and where it belongs to no thing."""
    after_comma = preposition.i > 0 and preposition.nbor(-1).text == ","
    if preposition.lower_ != "at" and not (preposition.lower_ == "for" and after_comma):
        return None
    noun = preposition.head
    if noun.pos_ in {"VERB", "AUX"}:
        before = first(noun, "nsubj", "nsubjpass") if after_comma else first(noun, "dobj")
        noun = before if before is not None and (after_comma or preposition.i - before.i == 1) else noun
    while noun.dep_ == "appos" and noun.head.pos_ in {"NOUN", "PROPN"}:
        noun = noun.head
    if noun.pos_ not in {"NOUN", "PROPN"} or noun.i > preposition.i or noun.lemma_.lower() in HUMANS:
        return None
    if (is_person(noun) and not children(noun, "det")) or (noun.pos_ == "NOUN" and noun.dep_ == "attr" and children(noun.head, "nsubj")):
        return None
    if noun.lemma_.lower() in PRICES | WHEN_NOUNS or noun.ent_type_ in {"DATE", "TIME", "MONEY"}:
        return None
    return noun if noun.pos_ == "PROPN" or children(noun, "det", "poss", "amod", "compound", "nmod") else None
