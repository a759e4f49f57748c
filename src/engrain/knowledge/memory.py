"""Memory: what subjects and pronouns stand for, from one sentence to the next.

What a sentence is about is what the next one's pronouns point to: its main clause's subject before the objects, and both before what
stands in its other clauses (centering; Grosz, Joshi and Weinstein 1995, https://aclanthology.org/J95-2003).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engrain.knowledge.parse import PAIRED_NAME, children, first
from engrain.knowledge.phrases import noun_phrase, phrase_text
from engrain.knowledge.sheets import Sheets
from engrain.knowledge.words import EXPLETIVES, GROUPS, HUMANS, PROPER_TAILS, VAGUE, listed

HE, SHE = listed("he his him"), listed("she her hers")
SUBJECTS = ("nsubj", "nsubjpass", "expl", "csubj")
SMALL = {"You", "We", "Our", "Your", "The", "A", "An", "This", "These", "Each", "Every", "All", "Its", "Their", "My"}


@dataclass
class Memory:
    """What a pronoun can point to: the last thing, people and person named, and what the section is about.

    `before` is the person named before the last one: "her sister Ruth" is the sister of somebody else. `women` says of first names
    whether "she" or "he" stood for them, as far as one of these did. `lowered` are the words that the documents write small
    somewhere, `named` those with a capital inside a sentence, `sheets` the keys that lists under several headings share. `begun` says
    that something was told before. `speaker` is who says "I". `heading` is what the section's heading names, "" where that is no thing.
    """

    topic: str = ""
    heading: str = ""
    thing: str = ""
    things: str = ""
    person: str = ""
    before: str = ""
    women: Mapping[str, bool | None] = field(default_factory=dict)
    begun: bool = False
    speaker: str = ""
    lowered: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    sheets: Sheets = field(default_factory=Sheets)

    def resolve(self, pronoun: str) -> str:
        """What a pronoun stands for, or "" where nothing fits."""
        word = pronoun.lower()
        if word in HE | SHE:
            return self.somebody(word in SHE)
        if word in {"it", "its", "this", "that"}:
            return self.thing or ("" if self.begun else self.topic)
        return self.things if word in {"they", "their", "these", "those", "them"} else ""

    def somebody(self, woman: bool) -> str:
        """The person last named that "she" (or "he") can stand for, which is noted of that person; else ""."""
        for name in filter(None, (self.person, self.before)):
            first_name = name.split()[0]
            if self.women.get(first_name) in (None, woman):
                self.women = {**self.women, first_name: woman}
                return name
        return ""

    def meet(self, person: str) -> None:
        """Let a person be the last one named; the business is none, whatever its name looks like."""
        if person not in (self.person, self.topic):
            self.before, self.person = self.person, person
            self.women = {person.split()[0]: None, **self.women}

    def begin_paragraph(self) -> None:
        """Let "it" and "they" point to nothing: a paragraph speaks of a thing of its own."""
        self.thing = self.things = ""


HUMAN_ACTS = listed(
    """run teach train lead keep live handle manage found join write work answer bake paint mend repair own study cook see decide learn
    retire"""
)
FIRM_ACTS = listed("keep run own manage handle repair work answer find")
"""Acts of people that a firm with a name like a person's does as well."""


PRICED = re.compile(r",? at [£$€]\s?[\d.,]+$")
AFTER_NOUN = re.compile(r",? (?:of|for|with|under|over|in|on|at|by|near|behind|from|to) ")
"""What a thing's noun stands before, in its phrase."""
ORDINALS = listed("first second third last top full front back side")
"""Words that sentences begin with and titles too: "First Roll"."""


def is_common(token: Any, memory: Memory) -> bool:
    """Whether a sentence's first word is no name: written small elsewhere, or never with a capital inside a sentence."""
    following = token.nbor() if token.i + 1 < len(token.doc) else None
    if (following is not None and begins_title(token, following)) or begins_name(token, memory):
        return False
    if token.lower_ in memory.lowered or token.is_stop or token.text.startswith("Kaaa"):
        return bool(token.text != "I")
    bare = token.tag_ == "NNP" and token.dep_ in SUBJECTS and not children(token, "det", "amod", "compound", "poss", "prep", "nummod")
    if bare and not re.search(r"(?:s|ing)$", token.text):
        return False
    person = token.ent_type_ == "PERSON" and token.pos_ == "PROPN"
    goes_on = following is not None and following.text[:1].isupper()
    return token.text not in memory.named and not goes_on and not token.text.isupper() and not person


def begins_name(token: Any, memory: Memory) -> bool:
    """Whether a subject has a common word with a capital after its first: "Ink for One", "Quill and Reed"."""
    if token.dep_ not in SUBJECTS:
        return False
    name = phrase_text(token.doc, noun_phrase(token))
    later = re.findall(r"(?<= )[A-Z]\w+", name)
    return bool(PAIRED_NAME.fullmatch(name)) or any(word.lower() in memory.lowered or token.vocab[word.lower()].is_stop for word in later)


def begins_title(token: Any, following: Any) -> bool:
    """Whether a common word begins a name all the same: "First Roll", "Spring Fair", "Super 8"; not "Next Friday", "Some 40"."""
    if following.text.isdigit():
        return token.pos_ in {"NOUN", "PROPN", "ADJ"} and token.tag_ not in {"NNS", "NNPS"} and not token.is_stop
    titled = token.lower_ in ORDINALS or (token.dep_ in {"compound", "nmod", "amod"} and not token.is_stop)
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
    text = PRICED.sub("", text.rstrip(".?:"))
    text = small_first(text) if noun_phrase(subject)[:1] == [0] and is_common(subject.doc[0], memory) else text
    acts = is_full_name(subject) and subject.head.lemma_ in HUMAN_ACTS and text != memory.topic
    if is_person(subject) or acts or is_human(subject):
        memory.meet(text)
    elif (subject.tag_ in {"NNS", "NNPS"} or children(subject, "conj")) and subject.head.tag_ != "VBZ":
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


def settle(memory: Memory, doc: Any, was: Memory) -> None:
    """Let what a sentence is about be what later ones point to; `was` is what was pointed to before it."""
    root = next((t for t in doc if t.dep_ == "ROOT"), None)
    if root is None:
        return
    spoken_of = spoken(doc, was)
    memory.begun = True
    subject = spoken_subject(root) if root.pos_ in {"VERB", "AUX"} else root
    people = subject is not None and (is_person(subject) or is_human(subject) or (subject == root and is_full_name(subject)))
    if subject is None or people or subject.tag_ in {"PRP", "EX", "DT", "WP", "WDT"}:
        settle_beside(memory, root, subject, was, spoken_of)
    elif spoken_of and any(t.lower_ == "its" for t in children(subject, "poss")):
        memory.thing = spoken_of
    elif subject.pos_ in {"NOUN", "PROPN"}:
        remember(memory, subject, subject_text(subject, memory))
        memory.thing = naming(root, subject) or memory.thing


def spoken_subject(verb: Any) -> Any | None:
    """What a verb is about, also where the sentence is turned round: "oldest of all is our press"."""
    subject, _ = subject_of(verb)
    if subject is not None and subject.dep_ == "csubj":
        return first(subject, *SUBJECTS)
    turned = subject.tag_.startswith("JJ") if subject is not None else bool(children(verb, "acomp", "advmod", "prep"))
    return first(verb, "attr") or subject if turned and verb.lemma_ == "be" else subject


def spoken(doc: Any, was: Memory) -> str | None:
    """What "it" stood for in a sentence: "" where nothing fits, None where there is no such word."""
    return was.resolve("it") if any(t.lower_ in {"it", "its"} for t in doc) else None


def settle_beside(memory: Memory, root: Any, subject: Any | None, was: Memory, spoken_of: str | None) -> None:
    """The same for a sentence about people or nobody: what "it" stood for, or else the thing that it brings in."""
    if subject is not None and (is_person(subject) or (subject == root and is_full_name(root))):
        memory.meet(phrase_text(root.doc, proper(subject)))
    if subject is not None and subject.lower_ in HE | SHE and (person := was.somebody(subject.lower_ in SHE)):
        memory.meet(person)
    if spoken_of is not None:
        memory.thing = (naming(root, subject) if subject is not None and subject.lower_ == "it" else "") or spoken_of
        return
    there = subject is not None and subject.tag_ == "EX"
    brought = first(root, "attr", "nsubj") if there else first(root, "dobj") if root.lemma_ == "have" else None
    if brought is not None and brought.tag_ in {"NN", "NNP"} and any(d.lower_ in {"the", "a", "an"} for d in children(brought, "det")):
        memory.thing = re.sub(r"^an? ", "the ", phrase_text(root.doc, [i for i in noun_phrase(brought) if i <= brought.i]))
    else:
        remember_object(memory, root)


def naming(verb: Any, subject: Any) -> str:
    """The name that a sentence gives to its subject, which is none itself: "our best pen is the Marlow", "our press, the Grumbler"."""
    name = first(subject, "appos") or (first(verb, "attr", "oprd") if verb.lemma_ in {"be", "call", "name"} else None)
    if name is None or name == subject or name.tag_ not in {"NNP", "NNPS"} or subject.tag_ not in {"NN", "PRP"} or is_person(name):
        return ""
    text = uncapitalised(phrase_text(verb.doc, noun_phrase(name)))
    return "" if re.search(r"\d", text) else text


def proper(name: Any) -> list[int]:
    """The indices of a name's words: the noun and what stands with a capital right before and after it in its phrase."""
    inside = [i for i in noun_phrase(name) if name.doc[i].pos_ == "PROPN"]
    start = end = name.i
    while start - 1 in inside:
        start -= 1
    while end + 1 in inside:
        end += 1
    return list(range(start, end + 1))


def mark_people(doc: Any, memory: Memory) -> None:
    """Let the reader of names know the first names of people that were named in full before."""
    for token in doc:
        if not token.ent_type_ and token.pos_ == "PROPN" and token.text in memory.women:
            token.ent_type_ = "PERSON"


def is_person(token: Any) -> bool:
    """Whether a noun names a person, by the entity recogniser or by a relative clause with who."""
    who = any(t.lower_ == "who" for child in children(token, "relcl") for t in child.subtree)
    plain = token.pos_ == "PROPN" and not re.search(r"\d|^Kaaa", token.text)
    return plain and (token.ent_type_ == "PERSON" or who)


def is_human(noun: Any) -> bool:
    """Whether a noun says by itself that it is one person: "the owner", "her aunt Inka"."""
    words = {t.lemma_.lower() for t in (*children(noun, "compound"), noun)}
    return noun.tag_ in {"NN", "NNP"} and bool(words & (HUMANS - GROUPS))


def is_full_name(token: Any) -> bool:
    """Whether a noun and the names before it look like a person's first and last name: nobody is called "the Silver Nib"."""
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
        if subject is None and (earlier := joined_before(seat)) is not None:
            return first(earlier, *SUBJECTS), earlier
        if subject is not None or seat.dep_ != "conj" or seat.head.pos_ not in {"VERB", "AUX"}:
            return subject, seat
        seat = seat.head


def joined_before(verb: Any) -> Any | None:
    """The verb with the subject in "it lasts an hour, costs £40", which the parser may hang on the second one."""
    return next((c for c in children(verb, "ccomp") if c.i < verb.i and c.tag_ == verb.tag_ and not children(c, "mark")), None)


def subject_text(subject: Any, memory: Memory) -> str:
    """The subject in words, its pronoun or possessive resolved; "" where that fails."""
    if subject.tag_ == "PRP" and subject.lower_ not in {"we", "you", "i"}:
        return antecedent(subject, memory)
    if subject.text == "I" and subject.head.tag_ == "VBD" and memory.speaker:
        return memory.speaker
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
    if not text.endswith(" one") or not memory.thing:
        return text
    return f"{text[:-3]}{re.split(AFTER_NOUN, memory.thing)[0].split()[-1]}"


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
        return infinitive and memory.resolve("it") in ("", memory.topic)
    return (infinitive and any(t.lower_ in EXPLETIVES for t in said)) or verb.lemma_ in {"rain", "snow"}


def no_business(subject: Any, verb: Any) -> bool:
    """Whether "it" has a price, a length or a weight, so that it is no business."""
    return subject.lower_ == "it" and verb.lemma_ in {"cost", "last", "weigh"}


def own(subject: Any, text: str) -> bool:
    """Whether a subject's words stand in the sentence as they are."""
    return phrase_text(subject.doc, noun_phrase(subject)) == text
