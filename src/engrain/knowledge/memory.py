"""Memory: what subjects and pronouns stand for, from one sentence to the next."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engrain.knowledge.parse import children, first
from engrain.knowledge.phrases import noun_phrase, phrase_text
from engrain.knowledge.words import EXPLETIVES, GROUPS, HUMANS, PROPER_TAILS, VAGUE, listed

SUBJECTS = ("nsubj", "nsubjpass", "expl", "csubj")
SMALL = {"You", "We", "Our", "Your", "The", "A", "An", "This", "These", "Each", "Every", "All", "Its", "Their", "My"}


@dataclass
class Memory:
    """What a pronoun can point to: the last thing, people and person named, and what the section is about.

    `before` is the person named before the last one: "her sister Ruth" is the sister of somebody else. `lowered` are the
    words that the documents write small somewhere, `named` those with a capital inside a sentence.
    """

    topic: str = ""
    thing: str = ""
    things: str = ""
    person: str = ""
    before: str = ""
    lowered: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()

    def resolve(self, pronoun: str) -> str:
        """What a pronoun stands for, or "" where nothing fits."""
        word = pronoun.lower()
        if word in {"he", "she", "his", "her", "him"}:
            return self.person
        if word in {"it", "its", "this", "that"}:
            return self.thing or self.topic
        return self.things if word in {"they", "their", "these", "those", "them"} else ""

    def meet(self, person: str) -> None:
        """Let a person be the last one named; the business is none, whatever its name looks like."""
        if person not in (self.person, self.topic):
            self.before, self.person = self.person, person


HUMAN_ACTS = listed(
    """run teach train lead keep live handle manage found join write work answer bake paint mend repair own study cook see decide learn
    retire"""
)
FIRM_ACTS = listed("keep run own manage handle repair work answer find")
"""Acts of people that a firm with a name like a person's does as well."""


ORDINALS = listed("first second third last top full front back side")
"""Words that sentences begin with and titles too: "First Roll"."""


def is_common(token: Any, memory: Memory) -> bool:
    """Whether a sentence's first word is no name: written small elsewhere, or never with a capital inside a sentence."""
    following = token.nbor() if token.i + 1 < len(token.doc) else None
    if following is not None and begins_title(token, following):
        return False
    if token.lower_ in memory.lowered or token.is_stop or token.text.startswith("Kaaa"):
        return bool(token.text != "I")
    bare = token.tag_ == "NNP" and token.dep_ in SUBJECTS and not children(token, "det", "amod", "compound", "poss", "prep", "nummod")
    if bare and not re.search(r"(?:s|ing)$", token.text):
        return False
    person = token.ent_type_ == "PERSON" and token.pos_ == "PROPN"
    goes_on = following is not None and following.text[:1].isupper()
    return token.text not in memory.named and not goes_on and not token.text.isupper() and not person


def begins_title(token: Any, following: Any) -> bool:
    """Whether a common word begins a name all the same: "First Roll", "Spring Fair", "Super 8"; not "Next Friday", "Some 40"."""
    if following.text.isdigit():
        return token.pos_ in {"NOUN", "PROPN", "ADJ"} and token.tag_ not in {"NNS", "NNPS"} and not token.is_stop
    titled = token.lower_ in ORDINALS or (token.dep_ in {"compound", "nmod"} and not token.is_stop)
    return titled and following.text[:1].isupper() and following.ent_type_ != "DATE"


def small_first(text: str) -> str:
    """The text with its first letter small."""
    return text[:1].lower() + text[1:]


def remember(memory: Memory, subject: Any, text: str) -> None:
    """Let a named subject become what later pronouns point to; what belongs to it ("its nib") does not take its place."""
    owner = first(subject, "poss")
    if (
        subject.tag_ in {"PRP", "EX", "DT", "WP", "WDT"}
        or text.lower() in VAGUE
        or len(text.split()) > 8
        or (owner is not None and owner.tag_ == "PRP$")
    ):
        return
    text = small_first(text) if noun_phrase(subject)[:1] == [0] and is_common(subject.doc[0], memory) else text
    acts = is_full_name(subject) and subject.head.lemma_ in HUMAN_ACTS and text != memory.topic
    if is_person(subject) or acts or is_human(subject):
        memory.meet(text)
    elif subject.tag_ in {"NNS", "NNPS"} or children(subject, "conj"):
        memory.things = text
    else:
        memory.thing, memory.things = text, ""


def remember_object(memory: Memory, verb: Any) -> None:
    """Let the one thing that a sentence about people says something of become "it", where no other thing is spoken of."""
    if memory.thing not in ("", memory.topic):
        return
    places = [t for prep in children(verb, "prep") for t in children(prep, "pobj")]
    things = [t for t in (*children(verb, "dobj"), *places) if t.tag_ == "NN" and not is_person(t)]
    named = [t for t in things if any(d.lower_ in {"the", "a", "an"} for d in children(t, "det"))]
    if len(named) == 1 and len(things) == 1:
        words = phrase_text(verb.doc, noun_phrase(named[0])).split(" ", 1)
        memory.thing = f"the {words[-1]}" if words[0].lower() in {"a", "an"} else " ".join(words)


def is_person(token: Any) -> bool:
    """Whether a noun names a person, by the entity recogniser or by a relative clause with who."""
    who = any(t.lower_ == "who" for child in children(token, "relcl") for t in child.subtree)
    plain = token.pos_ == "PROPN" and not re.search(r"\d|^Kaaa", token.text)
    return plain and (token.ent_type_ == "PERSON" or who)


def is_human(noun: Any) -> bool:
    """Whether a noun says by itself that it is one person: "the owner", "her aunt Fatou"."""
    words = {t.lemma_.lower() for t in (*children(noun, "compound"), noun)}
    return noun.tag_ in {"NN", "NNP"} and bool(words & (HUMANS - GROUPS))


def is_full_name(token: Any) -> bool:
    """Whether a noun and the names before it look like a person's first and last name: nobody is called "the Golden Whisk"."""
    names = [t.text for t in (*children(token, "compound"), token)]
    if any(t.lower_ in {"the", "a", "an"} for t in children(token, "det")):
        return False
    return token.pos_ == "PROPN" and 2 <= len(names) <= 3 and not PROPER_TAILS & set(names) and all(n[:1].isupper() for n in names)


def in_sentence(doc: Any, indices: list[int], memory: Memory) -> str:
    """A phrase as it is written inside a sentence: a common word at the sentence's start small."""
    text = phrase_text(doc, indices)
    return small_first(text) if indices and indices[0] == 0 and is_common(doc[0], memory) else uncapitalised(text)


def uncapitalised(text: str) -> str:
    """A phrase inside a sentence: its article or possessive small."""
    return small_first(text) if text.split(" ")[0] in SMALL else text


def subject_of(verb: Any) -> tuple[Any | None, Any]:
    """The subject of a verb and the verb that carries it: its own, or that of the verb it is joined to."""
    seat = verb
    while True:
        subject = first(seat, *SUBJECTS)
        if subject is not None or seat.dep_ != "conj" or seat.head.pos_ not in {"VERB", "AUX"}:
            return subject, seat
        seat = seat.head


def subject_text(subject: Any, memory: Memory) -> str:
    """The subject in words, its pronoun or possessive resolved; "" where that fails."""
    if subject.tag_ == "PRP" and subject.lower_ not in {"we", "you", "i"}:
        return antecedent(subject, memory)
    if subject.tag_ in {"DT", "WDT", "WP"} or (subject.lower_ in {"those", "these", "one", "others", "both", "some", "most"}):
        text = phrase_text(subject.doc, noun_phrase(subject)) if subject.lower_ == "one" and children(subject, "det") else ""
        named = stands_for(text, memory)
        return named if named != text else ""
    text = stands_for(phrase_text(subject.doc, noun_phrase(subject)), memory)
    owner = first(subject, "poss")
    if owner is not None and owner.lower_ in {"its", "their", "his", "her"}:
        name = memory.resolve(owner.text)
        name = memory.before if name and name in text else name
        return f"{possessive(name)} {text[len(owner.text) :].strip()}" if name else ""
    return text


def possessive(name: str) -> str:
    """A name as an owner: only an apostrophe after the s of a plural."""
    return f"{name}’" if re.search(r"[^s]s$", name) and not name[:1].isupper() else f"{name}’s"


def stands_for(text: str, memory: Memory) -> str:
    """The phrase with the noun that "one" stands for: after "the old jetty", "the new one" is the new jetty."""
    if not text.lower().endswith(" one") or not memory.thing:
        return text
    return f"{text[:-3]}{memory.thing.split()[-1]}"


def antecedent(pronoun: Any, memory: Memory) -> str:
    """What a subject pronoun stands for: in an adverbial clause the main clause's subject, else what was named last."""
    verb = pronoun.head
    if verb.dep_ == "advcl" and pronoun.lower_ not in {"he", "she"}:
        subject, _ = subject_of(verb.head)
        if subject is None or is_person(subject) or subject.tag_ in {"PRP", "EX"}:
            return ""
        return in_sentence(subject.doc, noun_phrase(subject), memory)
    people = [t for t in pronoun.doc if t.i < pronoun.i and t.ent_type_ == "PERSON" and t.dep_ != "compound" and t.pos_ == "PROPN"]
    if pronoun.lower_ in {"he", "she"} and people:
        return phrase_text(pronoun.doc, [i for i in noun_phrase(people[-1]) if pronoun.doc[i].pos_ == "PROPN"])
    return memory.resolve(pronoun.text)


def is_expletive(subject: Any, verb: Any, memory: Memory) -> bool:
    """Whether "it" stands for nothing but what follows: "it is forbidden to smoke", "it was agreed that", "it costs nothing to"."""
    if subject.lower_ != "it":
        return False
    said = [verb, *children(verb, "acomp", "attr", "dobj", "oprd")]
    later = [c for token in said for c in token.children if c.i > verb.i and c.dep_ in {"xcomp", "ccomp", "advcl", "acl", "relcl", "csubj"}]
    infinitive = any(t.lower_ in {"to", "that"} for c in later for t in children(c, "aux", "mark"))
    if verb.lemma_ in {"cost", "take"}:
        return infinitive and memory.resolve("it") == memory.topic
    return (infinitive and any(t.lower_ in EXPLETIVES for t in said)) or verb.lemma_ in {"rain", "snow"}


def no_business(subject: Any, verb: Any) -> bool:
    """Whether "it" has a price, a length or a weight, so that it is no business."""
    return subject.lower_ == "it" and verb.lemma_ in {"cost", "last", "weigh"}


def own(subject: Any, text: str) -> bool:
    """Whether a subject's words stand in the sentence as they are."""
    return phrase_text(subject.doc, noun_phrase(subject)) == text
