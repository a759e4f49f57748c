"""Questions by grammar: a statement with a gap becomes wh-questions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engrain.knowledge.grammar import capital
from engrain.knowledge.memory import FIRM_ACTS, HUMAN_ACTS, is_full_name
from engrain.knowledge.parse import children, first, subtree
from engrain.knowledge.shapes import Shape, indirect, insitu, inverted, shape, third, words
from engrain.knowledge.values import NUMBER, SPAN
from engrain.knowledge.words import (
    ABSTRACT,
    ADDRESSED_VERBS,
    ALLOWING_VERBS,
    BOUNDS,
    CONTACT_VERBS,
    DETERMINERS,
    HUMANS,
    LANGUAGE_VERBS,
    LIMITS,
    LOCATIVE,
    MEANS_VERBS,
    MEASURED,
    MEASURES,
    PLACES,
    PROPER_TAILS,
    ROLE_ENDINGS,
    SOAKING_VERBS,
    TIME_PREPOSITIONS,
    UNITS,
    WHEN_NOUNS,
    listed,
)

CONTESTING_VERBS = listed("come finish win compete")
"""Verbs that "in" belongs to with what is contested."""
AFTER_NO_COMMA = {"text", "name", "place", "measure", "person"}
"""Kinds of values that, behind a comma, only add to what the statement says."""
QUANTITY = {"money": "how much", "duration": "how long", "percent": "what percentage"}


IS_ROLE = re.compile(rf"(?:{ROLE_ENDINGS}|{'|'.join(sorted(HUMANS))})$")


@dataclass(frozen=True)
class Asked:
    """A gap turned into questions: direct and indirect, `insitu` the statement with the question word in place."""

    direct: str
    indirect: str
    insitu: str


def wh_questions(doc: Any, start: int, end: int, kind: str) -> list[Asked]:
    """Questions whose answer is the tokens from `start` up to `end` of a statement; [] where the parse is doubtful."""
    s = shape(doc)
    if s is None:
        return []
    span = doc[start:end]
    spoken_to = span.root.dep_ == "dobj" and span.root.head.lemma_ in CONTACT_VERBS
    if kind == "name" and any(t.ent_type_ == "PERSON" for t in span) and not (acts(s) or spoken_to):
        return []
    negated = any(t.dep_ == "neg" and t.head == s.root for t in doc)
    forbids = s.verb.tag_ == "MD" or s.root.lemma_ in ALLOWING_VERBS
    if negated and (kind in {"count", "person", "measure"} or (kind in {"text", "name"} and not forbids)):
        return []
    if start >= s.left and end <= s.right and s.subject in list(span):
        return subject_questions(s, span, kind)
    found = []
    for wh, gone, tail in extractions(s, span, kind):
        if gone & set(range(s.left, s.right)):
            continue
        around = (min(gone) - 1, max(gone) + 1) if kind in {"text", "name"} else (min(gone) - 1,)
        if kind in AFTER_NO_COMMA and any(0 <= i < len(doc) and doc[i].text == "," and doc[i + 1].lower_ != "not" for i in around):
            continue
        stranded = min(gone) and doc[min(gone)].pos_ != "ADP" and doc[min(gone) - 1].lower_ in {"on", "in", "at"}
        if wh in {"when", "where"} and stranded:
            gone = {min(gone) - 1, *gone}
        last = max(widened(s, gone))
        gone = widened(s, gone) | added(s, set(range(start, end)))
        ends = not any(i > last and i not in gone for i in s.rest)
        stranded = f" {tail}" if tail else ""
        direct = inverted(s, wh, gone)[:-1] + stranded + "?"
        found.append(Asked(direct, indirect(s, wh, gone) + stranded, insitu(s, wh, gone) if ends and not tail else ""))
    return [named_contact(asked, span.text) for asked in found] if kind == "contact" else found


def named_contact(asked: Asked, value: str) -> Asked:
    """The questions with the kind of contact in place of what."""
    noun = "which e-mail address" if "@" in value else "which website" if re.search(r"www|http", value) else "which number"

    def put(text: str) -> str:
        return re.sub(r"\bwhat\b", noun, re.sub(r"^What\b", capital(noun), text), count=1)

    return Asked(put(asked.direct), put(asked.indirect), put(asked.insitu))


def widened(s: Shape, gone: set[int]) -> set[int]:
    """The tokens to replace with the words before them that only limit the value ("only", "about")."""
    gone = set(gone)
    while min(gone) - 1 >= s.right and s.doc[min(gone) - 1].lower_ in LIMITS and min(gone) - 1 != s.verb.i:
        gone.add(min(gone) - 1)
    if max(gone) + 1 < len(s.doc) and s.doc[max(gone) + 1].lower_ == "only":
        gone.add(max(gone) + 1)
    return gone


def added(s: Shape, value: set[int]) -> set[int]:
    """The phrases after a comma that a question about something else in the statement does without."""
    gone: set[int] = set()
    for child in s.root.children:
        indices = subtree(child)
        after_comma = indices[0] > 0 and s.doc[indices[0] - 1].text == ","
        if child.i > s.root.i and after_comma and child.dep_ in {"prep", "npadvmod", "appos", "attr"} and not value & set(indices):
            gone |= {indices[0] - 1, *indices}
    contrast = next((i for i in range(max(value) + 1, len(s.doc) - 1) if s.doc[i].text == "," and s.doc[i + 1].lower_ == "not"), None)
    if contrast and not any(t.text == "," for t in s.doc[contrast + 1 :]):
        gone |= set(range(contrast, len(s.doc) - 1))
    return gone


def subject_questions(s: Shape, span: Any, kind: str) -> list[Asked]:
    """Questions for the subject: the question word takes its place and a plural verb becomes singular."""
    whole = set(range(s.left, s.right))
    if kind in {"date", "time", "contact"} or (kind in {"money", "duration", "percent"} and set(range(span.start, span.end)) == whole):
        return []
    described = first(s.root, "attr") if s.root.lemma_ == "be" else None
    human = kind == "person" and described is not None and IS_ROLE.search(described.lemma_.lower())
    if described is not None and not human and any(t.lower_ in {"a", "an"} for t in children(described, "det")):
        return []
    if s.subject.dep_ == "expl" or s.subject.lower_ in {"we", "you", "i", "it"}:
        return []
    if set(range(span.start, span.end)) < whole:
        quantity = quantity_phrase(s.subject, span, kind, whole) if span.text.lower() not in {"one", "1"} else ""
        if not quantity:
            return []
        verb, wh = s.verb.text.lower(), quantity
    else:
        verb = {"VBP": third(s.verb), "VBD": "was" if s.verb.text == "were" else s.verb.text}.get(s.tense, s.verb.text).lower()
        wh = "who" if kind == "person" or acts(s) or s.subject.lemma_.lower() in HUMANS else "what"
    before, rest = [i for i in s.rest if i < s.verb.i], [i for i in s.rest if i > s.verb.i]
    lead = words(s.doc, s.front)
    question = " ".join(p for p in (wh, words(s.doc, before), verb, words(s.doc, rest)) if p).replace(" ,", ",")
    direct = capital(f"{lead}, {question}?" if lead else f"{question}?")
    return [Asked(direct, f"{question} {lead}".strip(), "")]


def acts(s: Shape) -> bool:
    """Whether a subject with a first and a last name does what only people do."""
    return is_full_name(s.subject) and (s.root.lemma_ in HUMAN_ACTS - FIRM_ACTS or any(s.doc[i].lower_ in {"his", "her"} for i in s.rest))


def quantity_phrase(noun: Any, span: Any, kind: str, allowed: set[int]) -> str:
    """The question phrase for the number before a noun, such as "how many grass pitches", or ""."""
    numbers = {t.i for t in span}
    if kind not in {"count", "duration", "measure"} or min(numbers) > noun.i:
        return ""
    around = [i for i in subtree(noun) if i in allowed and i not in numbers]
    before = [i for i in around if i < min(numbers) and noun.doc[i].tag_ != "IN"]
    after = [i for i in around if i > max(numbers)]
    if any(noun.doc[i].lower_ not in BOUNDS for i in before):
        return ""
    if kind == "count":
        return f"how many {words(noun.doc, after)}" if after else ""
    unit = span[-1]
    if unit.lemma_.lower() not in str(unit.text).lower() or not unit.is_alpha:
        return ""
    return f"how many {plural(unit.text)} {words(noun.doc, after)}".strip()


MEASURE = re.compile(
    rf"(?:{NUMBER})(?: ?(?:to|or|[-–]) ?(?:{NUMBER}))?[ -]?(square metres|sq m|[A-Za-z°²]+)((?:/| an? | per )[a-z]+| Celsius)?",
    re.IGNORECASE,
)


def how_many(value: str) -> str:
    """The question phrase for a measure, such as "how many kilometres a day", or ""."""
    match = MEASURE.fullmatch(value.strip())
    if match is None:
        return ""
    unit = UNITS.get(match.group(1)) or (plural(match.group(1)) if len(match.group(1)) > 3 else "")
    return f"how many {unit}{(match.group(2) or '').replace('/', ' a ')}" if unit else ""


def plural(word: str) -> str:
    """A unit's plural."""
    return word if word.endswith("s") or len(word) < 4 else word + "s"


def spine(root: Any) -> list[Any]:
    """The predicates that a question word may leave: the verb, what it governs as infinitive, its adjective."""
    found = [root]
    for token in found:
        found += [c for c in token.children if c.dep_ in {"xcomp", "acomp", "prt", "oprd"} and c.pos_ in {"VERB", "AUX", "ADJ"}]
        found += [c for c in token.children if c.dep_ == "ccomp" and c.i > token.i and not children(c, "nsubj", "nsubjpass", "mark")]
    return found


def extractions(s: Shape, span: Any, kind: str) -> list[tuple[str, set[int], str]]:
    """The question phrase, the tokens it replaces and a preposition left at the end, in each way that works."""
    head = span.root
    inside = set(range(span.start, span.end))
    trunk = spine(s.root)
    if kind == "count" and head.dep_ == "nummod":
        return counted(head.head, span, trunk)
    if kind in {"measure", "duration"} and span.end < len(s.doc) and s.doc[span.end].lower_ in MEASURED:
        return with_adjective(s.doc[span.end], inside, trunk)
    if kind == "measure" and s.root.lemma_ in {"be", "lie", "stand"} and span.end < len(s.doc) and s.doc[span.end].lower_ == "from":
        return [("how far", inside, "")]
    limits = {t.i for t in head.subtree if t.lower_ in LIMITS | BOUNDS - DETERMINERS and t.i not in inside and t.i < span.start}
    extra = set(subtree(head)) - inside - limits
    if head.dep_ in {"nummod", "quantmod"} and head.head.i in inside:
        head = head.head
    if head.dep_ == "pobj" or head.dep_ == "pcomp":
        return from_preposition(head, inside | limits, extra, kind, trunk)
    if head.dep_ == "prep" and head.head in trunk:
        return [(adverb(kind, span.text), inside, "")] if adverb(kind, span.text) else []
    if head.dep_ == "npadvmod" and head.head.dep_ in {"prep", "advmod"} and kind in {"duration", "measure"}:
        return apart_from(head.head, inside | limits, kind, trunk)
    if head.dep_ in {"dobj", "attr", "npadvmod", "oprd", "dative"} and head.head in trunk:
        return object_phrase(span, inside | limits, extra, kind)
    if head.dep_ in {"advmod"} and kind in {"date", "time", "duration"} and head.head in trunk:
        return [(adverb(kind, span.text), inside | limits, "")]
    return []


def with_adjective(word: Any, inside: set[int], trunk: list[Any]) -> list[tuple[str, set[int], str]]:
    """The question phrase for a measure before an adjective: "58 cm high" is asked with how high."""
    return [(f"how {MEASURED[word.lower_]}", inside | {word.i}, "")] if word in trunk or word.head in trunk else []


def apart_from(point: Any, inside: set[int], kind: str, trunk: list[Any]) -> list[tuple[str, set[int], str]]:
    """The question phrase for how far something is from a point: "two weeks before the end", "an hour earlier"."""
    if point.head not in trunk:
        return []
    phrase = [i for i in subtree(point) if i >= point.i]
    gone, before = inside | set(phrase), point.doc[min(inside) - 1]
    broken = sorted(gone) != list(range(min(gone), max(gone) + 1)) or any(point.doc[i].is_punct for i in phrase)
    if len(phrase) > 8 or broken or before.lower_ == "than":
        return []
    much = "how much" if point.tag_ in {"JJR", "RBR"} or point.lower_ == "later" else "how long" if kind == "duration" else "how far"
    until = before.lower_ in {"until", "till", "from"}
    return [(f"{before.lower_ + ' ' if until else ''}{much} {words(point.doc, phrase)}", gone | ({before.i} if until else set()), "")]


def counted(noun: Any, span: Any, trunk: list[Any]) -> list[tuple[str, set[int], str]]:
    """The question phrase for the number before a noun that is an object, or hangs on a preposition."""
    indices = subtree(noun)
    phrase = quantity_phrase(noun, span, "count", set(indices))
    if not phrase or span.text.lower() in {"one", "1"} or indices != list(range(indices[0], indices[-1] + 1)):
        return []
    if noun.dep_ in {"dobj", "attr", "npadvmod"} and noun.head in trunk:
        return [(phrase, set(indices), "")]
    if noun.dep_ == "pobj" and noun.head.head in trunk and noun.head.lower_ in {"in", "with", "for", "into"}:
        return [(f"{noun.head.text.lower()} {phrase}", {noun.head.i, *indices}, "")]
    if noun.dep_ == "pobj" and noun.head.head in trunk and noun.head.i == noun.head.head.i + 1 and max(indices) >= len(noun.doc) - 2:
        return [(phrase, {noun.head.i, *indices}, noun.head.text.lower())]
    return []


def object_phrase(span: Any, inside: set[int], extra: set[int], kind: str) -> list[tuple[str, set[int], str]]:
    """The question phrase for a value that is the verb's object or stands beside it as a measure."""
    unit = span[-1]
    text = span.text.lower()
    if span.root.dep_ == "attr" and first(span.root.head, "expl") is not None:
        return []
    if extra and min(extra) > max(inside) and kind in {"duration", "measure"} and unit.is_alpha:
        tail = words(span.doc, sorted(extra))
        return [(f"how many {plural(unit.text)} {tail}", inside | extra, "")]
    if span.root.dep_ == "attr" and kind in {"text", "name"} and span.root.head.lemma_ == "be" and not proper_subject(span.root.head):
        return []
    if span.root.head.lemma_ in ADDRESSED_VERBS and len(span) < 4 and kind == "text":
        return [("who", inside, "")]
    if extra:
        return [("how much", inside, "")] if kind == "money" and min(extra) > max(inside) else []
    if kind == "duration" and re.search(r"notice|advance|ahead", text):
        return [("how much notice" if "notice" in text else "how long in advance", inside, "")]
    if kind == "measure":
        return measured(span, inside)
    if kind in QUANTITY:
        return [(QUANTITY[kind], inside, "")]
    if kind == "text" and span.root.tag_ == "NNS" and span.root.lemma_.lower() in WHEN_NOUNS and not children(span.root, "det", "nummod"):
        return [("when", inside, "")]
    if kind in {"date", "time", "place"} and span.root.dep_ == "npadvmod":
        return [(adverb(kind, text), inside, "")]
    if kind == "count":
        return [("how many", inside, "")]
    if kind != "contact" and span.root.dep_ in {"dobj", "dative"} and span.root.head.lemma_ in CONTACT_VERBS and span.root.pos_ == "PROPN":
        return [("who", inside, "")]
    if span.root.lemma_.lower() in HUMANS:
        held = span.root.dep_ == "attr" or span.root.head.lemma_ in {"have", "include", "hold", "cover", "take", "get"}
        return [] if held else [("who", inside, "")]
    return [({"person": "who", "date": "which date", "time": "what time"}.get(kind, "what"), inside, "")]


def measured(span: Any, inside: set[int]) -> list[tuple[str, set[int], str]]:
    """The question phrases for a measure that is the verb's object or says what its subject amounts to."""
    verb, many = span.root.head, how_many(span.text)
    subject = first(verb, "nsubj", "nsubjpass")
    if verb.lemma_ == "weigh":
        return [("how much", inside, "")]
    if verb.lemma_ == "be" and subject is not None and subject.lemma_.lower() in MEASURES:
        return [("what", inside, ""), ("how much", inside, "")]
    return [(many, inside, "")] if many else [("how much", inside, "")] if verb.lemma_ != "be" else [("what", inside, "")]


def proper_subject(verb: Any) -> bool:
    """Whether a verb's subject is a name, or has a determiner: only then it is worth asking what it is."""
    subject = first(verb, "nsubj")
    return subject is not None and (subject.pos_ == "PROPN" or bool(children(subject, "det", "poss")))


def adverb(kind: str, text: str) -> str:
    """The question adverb for a value that stands without a preposition, or carries its own."""
    if re.search(r"\b(?:ahead|in advance|notice)$", text):
        return "how long in advance"
    if re.match(r"(?:every|once|twice|\w+ times)\b", text, re.IGNORECASE):
        return "how often"
    if kind == "text" and text.split()[0].lower() in TIME_PREPOSITIONS:
        return "when"
    return {"date": "when", "time": "when", "duration": "how long", "place": "where"}.get(kind, "")


def from_preposition(head: Any, inside: set[int], extra: set[int], kind: str, trunk: list[Any]) -> list[tuple[str, set[int], str]]:
    """The question phrase for a value after a preposition."""
    prep = head.head
    if prep.lower_ == "of" and word_before(prep) == "because":
        return [("why", inside | {prep.i - 1, prep.i}, "")] if not extra - {prep.i} else []
    outer = prep.head if prep.dep_ == "prep" and prep.head.dep_ == "prep" else prep
    governor = outer.head
    if governor in trunk and outer == prep and kind in {"duration", "time"} and extra and min(extra) > max(inside):
        return with_tail(head, inside, extra, kind)
    if prep.lower_ == "within" and governor.dep_ in {"dobj", "pobj"}:
        governor = governor.head
    if (
        governor not in trunk
        or outer != prep
        or (extra - {prep.i} and kind not in {"date", "time", "duration"})
        or (prep.dep_ == "agent" and extra)
    ):
        return []
    if word_before(prep) == "not" or (
        prep.lower_ == "in" and governor.lemma_ in LANGUAGE_VERBS and kind != "date" and not children(head, "det")
    ):
        return []
    word, gone = prep.text.lower(), inside | {prep.i}
    if word == "within" and kind == "duration" and extra and head.doc[min(extra)].lower_ in {"of", "after"}:
        return [("how soon", gone | extra, "")]
    if extra:
        return []
    if prep.dep_ == "agent":
        human = kind == "person" or head.lemma_.lower() in HUMANS
        return [("by whom", gone, ""), ("who", gone, "by")] if human else [("by what", gone, "")] if kind in {"name", "text"} else []
    if kind in {"date", "time"}:
        return timed(word, kind, head.doc[min(inside) : max(inside) + 1].text, gone)
    if kind == "duration":
        if word == "within":
            return [("how soon", gone, ""), ("within how long", gone, "")]
        if head.lemma_ == "notice":
            return [(f"{word} how much notice", gone, "")]
        if word in {"for", "over"}:
            return [("how long" if word == "for" else "over what period", gone, "")]
        return [(f"{word} how long", gone, "")] if word in {"after", "until"} else [(f"{word} how much time", gone, "")]
    if kind == "place" and word in LOCATIVE:
        return [("where", gone, "")]
    if kind == "money" and first(governor, "expl") is not None:
        return []
    said = first(governor, "attr") if governor.lemma_ == "be" and word == "at" else None
    if kind == "money" and said is not None:
        return [("how much", gone | set(subtree(said)), "")]
    if kind == "money":
        return [(f"{word} {'what price' if word == 'at' else 'how much'}", gone, "")]
    return text_after(head, word, gone, kind)


def with_tail(head: Any, inside: set[int], extra: set[int], kind: str) -> list[tuple[str, set[int], str]]:
    """The question phrase for a duration or a time that more belongs to: "within 18 days of the sale", "by noon of the next day"."""
    word, tail, gone = head.head.text.lower(), words(head.doc, sorted(extra)), inside | {head.head.i}
    lead = head.doc[min(extra)].lower_
    if any(head.doc[i].is_punct for i in extra) or (kind == "time" and word not in {"at", "by", "before", "after", "until", "from"}):
        return []
    if kind == "time":
        moved = extra if lead in {"of", "on", "before", "after", "the"} else set()
        return [(f"{word} what time {tail if moved else ''}".rstrip(), gone | moved, "")]
    if lead != "of":
        return [("how long" if word == "for" else f"{word} how long", gone, "")]
    soon = [("how soon", gone | extra, "")] if word == "within" else []
    return [(f"{word} how many {plural(head.text)} {tail}", gone | extra, ""), *soon] if head.is_alpha else []


def text_after(head: Any, word: str, gone: set[int], kind: str) -> list[tuple[str, set[int], str]]:
    """Question phrases for a plain value after a preposition: where, when, how, or the preposition with what."""
    determined = bool(children(head, "det", "poss", "nummod")) or head.tag_ == "NNS" or head.pos_ == "PROPN"
    means = head.head.head.lemma_ in MEANS_VERBS and not children(head, "det", "poss", "nummod")
    if word == "by" and head.lemma_.lower() not in ABSTRACT - {"card"} and (means or (head.tag_ == "NN" and not list(head.children))):
        return [("how", gone, "")]
    if head.lemma_.lower() in ABSTRACT:
        return []
    if word == "until" and head.doc[head.head.i + 1].lower_ != "then":
        return [("until when", gone, "")]
    if word == "within" and re.fullmatch(SPAN, head.lower_):
        return [("how soon", gone, "")]
    if word == "for" and re.fullmatch(SPAN, head.lower_) and any(t.lower_ == "a" for t in children(head, "det")):
        return [("how long", gone, "")]
    if kind == "measure":
        many = how_many(head.doc[min(gone - {head.head.i}) : max(gone) + 1].text)
        return [(f"{word} {many}", gone, "")] if many else []
    if kind == "percent":
        return [(f"{word} what percentage", gone, "")]
    if head.lemma_.lower() in WHEN_NOUNS:
        vague = children(head, "relcl") or any(t.lower_ in {"a", "an"} for t in children(head, "det"))
        return [("when", gone, "")] if word in {"on", "in", "at", "during"} and not vague else []
    if word in {"to", "from"} and (kind == "place" or head.ent_type_ in {"GPE", "LOC", "FAC"}):
        return [("where" if word == "to" else "from where", gone, "")]
    if kind != "person" and word in LOCATIVE | {"between", "into", "onto", "through", "along", "across"}:
        if word == "in" and head.head.head.lemma_ in SOAKING_VERBS and not determined:
            return [("what", gone, "in"), ("in what", gone, "")]
        where = f"{word} what" if is_no_place(head, word) else "where"
        return [(where, gone, "")] if determined and word not in {"by"} else []
    wh = "whom" if kind == "person" or head.lemma_.lower() in HUMANS else "what"
    last = len(head.doc) - 2
    between = [c for c in children(head.head.head, "prep") if head.head.head.i < c.i < head.head.i]
    if between and kind != "person":
        return []
    stranded = (
        [("who" if wh == "whom" else wh, gone, word)] if max(gone) >= last and word not in {"during", "before", "since", "per"} else []
    )
    if word in {"with", "by"} or (wh == "whom" and word in {"to", "from", "for"}):
        return [*stranded, (f"{word} {wh}", gone, "")]
    return stranded


def is_no_place(head: Any, word: str) -> bool:
    """Whether what stands after a preposition names a contest or has a title: "third in the regatta", "taught in Slip and Salt"."""
    verb = head.head.head
    if word == "in" and (verb.lemma_ in CONTESTING_VERBS and head.lemma_.lower() not in PLACES):
        return True
    titled = re.match(r" (?:[A-Z][\w’'-]* )+and [A-Z]", head.doc.text[head.head.idx + len(word) :])
    named = titled or word in {"through", "into", "across", "along"}
    return bool(named and head.pos_ == "PROPN" and head.ent_type_ not in {"GPE", "LOC", "FAC"} and head.text not in PROPER_TAILS)


def word_before(token: Any) -> str:
    """The word that stands before a token, small, or ""."""
    return str(token.doc[token.i - 1].lower_) if token.i else ""


def timed(word: str, kind: str, text: str, gone: set[int]) -> list[tuple[str, set[int], str]]:
    """Question phrases for a date or a time after a preposition."""
    plain = {"date": "when", "time": "when"}[kind]
    noun = (
        "what time"
        if kind == "time"
        else "which day"
        if re.search(r"\d{1,2} [A-Z]|day", text)
        else "which year"
        if text.isdigit()
        else "which month"
    )
    if word in {"on", "at", "in"}:
        extra = [(f"{word} {noun}", gone, "")] if (word, kind) != ("at", "date") else []
        return [(plain, gone, ""), *extra]
    if word in {"from", "since", "until", "till"}:
        when = "when" if kind == "date" else "what time"
        return [(f"{word} {when}", gone, "")]
    return (
        [(f"{word} when" if word == "by" and kind == "date" else f"{word} {noun}", gone, "")] if word in {"by", "before", "after"} else []
    )


def why_question(doc: Any) -> list[Asked]:
    """Why a statement holds, as a question."""
    s = shape(doc)
    return [Asked(inverted(s, "why", set()), indirect(s, "why", set()), "")] if s else []
