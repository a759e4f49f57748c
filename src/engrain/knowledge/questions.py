"""Questions by grammar: a statement with a gap becomes wh-questions, and a whole statement a yes/no question."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engrain.knowledge.grammar import capital, inflect, past
from engrain.knowledge.parse import children, first, source, subtree

SUBJECTS = {"nsubj", "nsubjpass", "expl", "csubj", "csubjpass"}
LOCATIVE = {"in", "at", "on", "behind", "beside", "under", "above", "opposite", "near", "outside", "inside", "below"}
FLIP = {
    "we": "you", "us": "you", "our": "your", "ours": "yours", "ourselves": "yourselves",
    "you": "I", "your": "my", "yours": "mine", "yourself": "myself", "you’ll": "I’ll",
}  # fmt: skip
LIMITS = {"only", "about", "around", "approximately", "roughly", "exactly", "just", "some", "almost", "nearly"}
HUMANS = set(
    ["people", "customer", "client", "guest", "visitor", "member", "child", "parent", "guardian", "patient", "pupil", "student", "nurse", "doctor", "teacher", "trainer", "tenant", "resident", "driver", "partner", "manager", "director", "owner", "founder", "volunteer", "colleague", "employee", "supplier", "friend", "nephew", "niece", "brother", "sister", "son", "daughter", "beginner", "adult", "family", "somebody", "anyone", "everyone", "staff", "team", "apprentice", "assistant", "technician", "engineer", "mechanic", "librarian", "warden", "chef", "baker"]
)
WHEN_NOUNS = {
    "day",
    "week",
    "month",
    "year",
    "morning",
    "evening",
    "afternoon",
    "night",
    "weekend",
    "summer",
    "winter",
    "spring",
    "autumn",
    "season",
    "time",
    "moment",
}
QUANTITY = {"money": "how much", "duration": "how long", "percent": "what percentage"}


@dataclass(frozen=True)
class Shape:
    """A parsed statement: what stands before the subject, the subject, the finite verb, and where the rest begins."""

    doc: Any
    root: Any
    subject: Any
    left: int
    right: int
    verb: Any

    @property
    def front(self) -> list[int]:
        """The tokens before the subject."""
        return [i for i in range(self.left) if i != self.verb.i]

    @property
    def rest(self) -> list[int]:
        """The tokens after the subject but the finite verb and the full stop."""
        last = len(self.doc) - (self.doc[-1].tag_ == ".")
        return [i for i in range(self.right, last) if i != self.verb.i]

    @property
    def inverts(self) -> bool:
        """Whether the finite verb goes before the subject as it is, without do."""
        return (self.verb.dep_ in {"aux", "auxpass"} and self.verb.lemma_ != "do") or self.verb.tag_ == "MD" or self.verb.lemma_ == "be"


def shape(doc: Any) -> Shape | None:
    """The outline of a statement, or None where the parse is doubtful."""
    roots = [t for t in doc if t.dep_ == "ROOT"]
    if len(roots) != 1 or roots[0].pos_ not in {"VERB", "AUX"}:
        return None
    root = roots[0]
    subject = next((c for c in root.children if c.dep_ in SUBJECTS), None)
    helpers = [c for c in root.children if c.dep_ in {"aux", "auxpass"}]
    verb = helpers[0] if helpers else root
    if subject is None or verb.tag_ not in {"MD", "VBZ", "VBP", "VBD"}:
        return None
    span = subtree(subject)
    if span != list(range(span[0], span[-1] + 1)) or span[-1] >= verb.i or verb.i - span[-1] > 2:
        return None
    return Shape(doc, root, subject, span[0], span[-1] + 1, verb)


def words(doc: Any, indices: list[int], swapped: dict[int, str] | None = None) -> str:
    """Tokens in words, the speaker's side turned to the asker's: we to you, you to I; `swapped` replaces tokens."""
    out = ""
    for n, i in enumerate(indices):
        word = (swapped or {}).get(i) or source(doc, i, i + 1)
        lowered = word.lower().replace("'", "’")
        if lowered in FLIP and (doc[i].pos_ != "PROPN" or word in {"We", "You", "Our", "Your"}):
            word = FLIP[lowered]
        elif lowered in {"are", "were"} and any(
            c.lower_ == "you" and c.dep_ in SUBJECTS for c in [*doc[i].children, *doc[i].head.children]
        ):
            word = {"are": "am", "were": "was"}[lowered]
        out += word + (doc[i].whitespace_ if n + 1 < len(indices) and indices[n + 1] == i + 1 else " ")
    return re.sub(r"\s+([,.;:)])", r"\1", re.sub(r"\s+", " ", out)).strip(" ,")


def finite_word(s: Shape) -> str:
    """The finite verb as the asker says it: you are becomes am I."""
    word: str = {"ca": "can", "wo": "will", "sha": "shall"}.get(s.verb.lower_, s.verb.lower_)
    subject = s.subject.lower_
    if subject == "you":
        return {"are": "am", "were": "was"}.get(word, word)
    return word


def auxiliary(s: Shape) -> tuple[str, list[str]]:
    """What goes before the subject, and what of the verb stays behind it."""
    word = finite_word(s)
    if s.inverts:
        return word, []
    if s.verb.lemma_ == "do" and s.verb.dep_ == "aux":
        return word, []
    helper = {"VBZ": "does", "VBD": "did"}.get(s.verb.tag_, "do")
    return helper, [s.verb.lemma_]


def inverted(s: Shape, wh: str, gone: set[int], swapped: dict[int, str] | None = None) -> str:
    """A question with the finite verb before the subject."""
    helper, stays = auxiliary(s)
    rest = [i for i in s.rest if i not in gone]
    negated = rest and s.doc[rest[0]].lower_ in {"n't", "n’t"}
    if negated:
        helper, rest = {"can": "can’t", "will": "won’t"}.get(helper, helper + "n’t"), rest[1:]
    subject = words(s.doc, [i for i in range(s.left, s.right) if i not in gone])
    behind = words(s.doc, rest, swapped)
    lead = words(s.doc, [i for i in s.front if i not in gone])
    parts = [wh, helper, subject, *(stays if not lead_adverb(s, rest) else []), behind]
    if lead_adverb(s, rest) and stays:
        cut = lead_adverb(s, rest)
        parts = [wh, helper, subject, words(s.doc, rest[:cut]), *stays, words(s.doc, rest[cut:])]
    question = " ".join(p for p in parts if p)
    return capital(f"{lead}, {question}?" if lead else f"{question}?")


def lead_adverb(s: Shape, rest: list[int]) -> int:
    """How many tokens after the subject stood before the finite verb ("only", "usually")."""
    return sum(1 for i in rest if i < s.verb.i)


def indirect(s: Shape, wh: str, gone: set[int], swapped: dict[int, str] | None = None) -> str:
    """The same question inside another sentence: no inversion, no question mark."""
    before = [i for i in s.rest if i < s.verb.i and i not in gone]
    after = [i for i in s.rest if i > s.verb.i and i not in gone]
    lead = words(s.doc, [i for i in s.front if i not in gone])
    subject = words(s.doc, [i for i in range(s.left, s.right) if i not in gone])
    parts = [wh, subject, words(s.doc, before), finite_word(s), words(s.doc, after, swapped), lead]
    text = " ".join(p for p in parts if p)
    return re.sub(r" n['’]t\b", "n’t", text.replace(" can n't", " can’t").replace(" will n't", " won’t"))


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
    if start >= s.left and end <= s.right and s.subject in list(span):
        return subject_questions(s, span, kind)
    found = []
    for wh, gone, tail in extractions(s, span, kind):
        if gone & set(range(s.left, s.right)):
            continue
        if kind in {"text", "name"} and any(0 <= i < len(doc) and doc[i].text == "," for i in (min(gone) - 1, max(gone) + 1)):
            continue
        gone = widened(s, gone) | added(s, set(range(start, end)))
        stranded = f" {tail}" if tail else ""
        direct = inverted(s, wh, gone)[:-1] + stranded + "?"
        found.append(Asked(direct, indirect(s, wh, gone) + stranded, "" if tail else insitu(s, wh, gone)))
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
    return gone


def insitu(s: Shape, wh: str, gone: set[int]) -> str:
    """The statement with the question phrase where the answer stands, at its end."""
    last = max(gone)
    if any(i > last for i in s.rest):
        return ""
    keep = [i for i in range(len(s.doc)) if i not in gone and i <= last]
    text = words(s.doc, keep, {s.verb.i: finite_word(s)})
    return capital(f"{text} {wh}?")


def subject_questions(s: Shape, span: Any, kind: str) -> list[Asked]:
    """Questions for the subject: the question word takes its place and a plural verb becomes singular."""
    whole = set(range(s.left, s.right))
    if s.subject.dep_ == "expl" or s.subject.lower_ in {"we", "you", "i", "it"}:
        return []
    if set(range(span.start, span.end)) < whole:
        quantity = quantity_phrase(s.subject, span, kind, whole)
        if not quantity:
            return []
        verb, wh = s.verb.text.lower(), quantity
    else:
        verb = {"VBP": third(s.verb), "VBD": "was" if s.verb.text == "were" else s.verb.text}.get(s.verb.tag_, s.verb.text).lower()
        wh = "who" if kind == "person" or s.subject.lemma_.lower() in HUMANS else "what"
    rest = words(s.doc, s.rest)
    lead = words(s.doc, s.front)
    question = " ".join(p for p in (wh, verb, rest) if p)
    direct = capital(f"{lead}, {question}?" if lead else f"{question}?")
    return [Asked(direct, f"{question} {lead}".strip(), "")]


def third(verb: Any) -> str:
    """The third person singular of a finite plural verb."""
    return inflect(verb.lemma_, "VBZ")


def quantity_phrase(noun: Any, span: Any, kind: str, allowed: set[int]) -> str:
    """ "how many grass pitches" for the number before a noun, or ""."""
    numbers = {t.i for t in span}
    if kind not in {"count", "duration", "measure"} or min(numbers) > noun.i:
        return ""
    around = [i for i in subtree(noun) if i in allowed and i not in numbers]
    before = [i for i in around if i < min(numbers) and noun.doc[i].tag_ != "IN"]
    limits = {
        "at",
        "most",
        "least",
        "up",
        "to",
        "only",
        "about",
        "some",
        "than",
        "more",
        "the",
        "all",
        "our",
        "a",
        "over",
        "under",
        "around",
    }
    after = [i for i in around if i > max(numbers)]
    if any(noun.doc[i].lower_ not in limits for i in before):
        return ""
    if kind == "count":
        return f"how many {words(noun.doc, after)}" if after else ""
    unit = span[-1]
    if unit.lemma_.lower() not in str(unit.text).lower() or not unit.is_alpha:
        return ""
    return f"how many {plural(unit.text)} {words(noun.doc, after)}".strip()


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
    limits = {
        t.i
        for t in head.subtree
        if t.lower_
        in {"about", "around", "only", "at", "most", "least", "up", "to", "over", "than", "more", "some", "approximately", "roughly"}
        and t.i not in inside
        and t.i < span.start
    }
    extra = set(subtree(head)) - inside - limits
    if head.dep_ in {"nummod", "quantmod"} and head.head.i in inside:
        head = head.head
    if head.dep_ == "pobj" or head.dep_ == "pcomp":
        return from_preposition(head, inside | limits, extra, kind, trunk)
    if head.dep_ == "prep" and head.head in trunk:
        return [(adverb(kind, span.text), inside, "")] if adverb(kind, span.text) else []
    if head.dep_ in {"dobj", "attr", "npadvmod", "oprd", "dative"} and head.head in trunk:
        return object_phrase(span, inside | limits, extra, kind)
    if head.dep_ in {"advmod"} and kind in {"date", "time", "duration"} and head.head in trunk:
        return [(adverb(kind, span.text), inside | limits, "")]
    return []


def counted(noun: Any, span: Any, trunk: list[Any]) -> list[tuple[str, set[int], str]]:
    """The question phrase for the number before a noun that is an object, or hangs on a preposition."""
    indices = subtree(noun)
    phrase = quantity_phrase(noun, span, "count", set(indices))
    if not phrase or indices != list(range(indices[0], indices[-1] + 1)):
        return []
    if noun.dep_ in {"dobj", "attr", "npadvmod"} and noun.head in trunk:
        return [(phrase, set(indices), "")]
    if noun.dep_ == "pobj" and noun.head.head in trunk:
        return [(f"{noun.head.text.lower()} {phrase}", {noun.head.i, *indices}, "")]
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
    if extra:
        return [("how much", inside, "")] if kind == "money" and min(extra) > max(inside) else []
    if kind == "duration" and re.search(r"notice|advance|ahead", text):
        return [("how much notice" if "notice" in text else "how long in advance", inside, "")]
    if kind == "measure":
        return [(f"how many {plural(unit.text)}" if unit.is_alpha and len(unit.text) > 3 else "how much", inside, "")]
    if kind in QUANTITY:
        return [(QUANTITY[kind], inside, "")]
    if kind in {"date", "time", "place"} and span.root.dep_ == "npadvmod":
        return [(adverb(kind, text), inside, "")]
    if kind == "count":
        return [("how many", inside, "")]
    if span.root.lemma_.lower() in HUMANS:
        return [("who" if span.root.dep_ != "attr" else "what", inside, "")]
    return [({"person": "who", "date": "which date", "time": "what time"}.get(kind, "what"), inside, "")]


def adverb(kind: str, text: str) -> str:
    """The question adverb for a value that stands without a preposition, or carries its own."""
    if re.search(r"\b(?:ahead|in advance|notice)$", text):
        return "how long in advance"
    if re.match(r"(?:every|once|twice|\w+ times)\b", text, re.IGNORECASE):
        return "how often"
    return {"date": "when", "time": "when", "duration": "how long", "place": "where"}.get(kind, "")


def from_preposition(head: Any, inside: set[int], extra: set[int], kind: str, trunk: list[Any]) -> list[tuple[str, set[int], str]]:
    """The question phrase for a value after a preposition."""
    prep = head.head
    outer = prep.head if prep.dep_ == "prep" and prep.head.dep_ == "prep" else prep
    governor = outer.head
    if governor not in trunk or outer != prep or (extra - {prep.i} and kind not in {"date", "time"}) or (prep.dep_ == "agent" and extra):
        return []
    word, gone = prep.text.lower(), inside | {prep.i}
    if extra:
        return []
    if prep.dep_ == "agent":
        human = kind == "person" or head.lemma_.lower() in HUMANS
        return [("by whom", gone, ""), ("who", gone, "by")] if human else [("by what", gone, "")] if kind in {"name", "text"} else []
    if kind in {"date", "time"}:
        return timed(word, kind, head.doc[min(inside) : max(inside) + 1].text, gone)
    if kind == "duration":
        if word in {"for", "over"}:
            return [("how long" if word == "for" else "over what period", gone, "")]
        return [(f"{word} how long", gone, "")] if word in {"within", "after", "until"} else [(f"{word} how much time", gone, "")]
    if kind == "place" and word in LOCATIVE:
        return [("where", gone, "")]
    if kind == "money":
        return [(f"{word} {'what price' if word == 'at' else 'how much'}", gone, "")]
    return text_after(head, word, gone, kind)


def text_after(head: Any, word: str, gone: set[int], kind: str) -> list[tuple[str, set[int], str]]:
    """Question phrases for a plain value after a preposition: where, when, how, or the preposition with what."""
    if head.lower_ in {
        "exception",
        "addition",
        "case",
        "fact",
        "rest",
        "request",
        "time",
        "charge",
        "example",
        "general",
        "least",
        "most",
        "home",
    }:
        return []
    if kind == "measure":
        unit = head.text
        return [(f"{word} how many {plural(unit)}", gone, "")] if unit.isalpha() and len(unit) > 3 else []
    if kind == "percent":
        return [(f"{word} what percentage", gone, "")]
    if head.lemma_.lower() in WHEN_NOUNS:
        return [("when", gone, "")] if word in {"on", "in", "at", "during"} and not children(head, "relcl") else []
    determined = bool(children(head, "det", "poss", "nummod")) or head.tag_ == "NNS" or head.pos_ == "PROPN"
    if kind != "person" and word in LOCATIVE | {"between", "into", "onto", "through", "along", "across"}:
        return [("where", gone, "")] if determined and word not in {"by"} else []
    wh = "whom" if kind == "person" or head.lemma_.lower() in HUMANS else "what"
    last = len(head.doc) - 2
    stranded = (
        [("who" if wh == "whom" else wh, gone, word)]
        if max(gone) >= last and word not in {"until", "during", "before", "since", "as", "per"}
        else []
    )
    if word in {"with", "by"} or (kind == "person" and word in {"to", "from", "for"}):
        return [*stranded, (f"{word} {wh}", gone, "")]
    return stranded


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
        extra = [(f"{word} {noun}", gone, "")]
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


@dataclass(frozen=True)
class Polar:
    """A yes/no question about a statement taken positively; `answer` is Yes where the statement says so."""

    direct: str
    indirect: str
    answer: str


def polar_question(doc: Any) -> Polar | None:
    """The yes/no question that a statement answers, its negation removed."""
    s = shape(doc)
    if s is None or (s.root.lemma_ == "be" and s.subject.dep_ == "expl" and len(doc) < 4):
        return None
    negations = {t.i for t in doc if t.dep_ == "neg" and t.head == s.root}
    swapped = {t.i: "any" if uncounted(t.head) else article(t.head) for t in doc if t.dep_ == "det" and t.lower_ == "no" and t.i > s.verb.i}
    if len(negations) + len(swapped) > 1 or any(t.lower_ == "no" and t.i not in swapped for t in doc):
        return None
    direct = inverted(s, "", negations, swapped)
    asked = indirect(s, "whether", negations, swapped)
    if negations and s.verb.lemma_ == "do" and s.verb != s.root:
        main = s.root.lemma_ if s.verb.tag_ == "VBP" else inflect(s.root.lemma_, s.verb.tag_)
        asked = re.sub(rf"\b{s.verb.text} (.*?)\b{s.root.text}\b", rf"\1{main}", asked, count=1)
    if negations and s.verb.lower_ == "must":
        direct, asked = direct.replace("Must ", "May ", 1), asked.replace(" must ", " may ", 1)
    negations |= set(swapped)
    return Polar(direct, asked, "No" if negations else "Yes")


def uncounted(noun: Any) -> bool:
    """Whether a noun takes "any" where another takes "a"."""
    return noun.tag_ != "NN" or noun.lemma_.lower() in UNCOUNTED


def article(noun: Any) -> str:
    """The indefinite article for a noun phrase."""
    after = noun.doc[min(t.i for t in noun.subtree if t.dep_ != "det")].text
    return "an" if after[:1].lower() in "aeiou" else "a"


UNCOUNTED = {
    "wifi",
    "wi-fi",
    "parking",
    "smoking",
    "water",
    "heating",
    "access",
    "storage",
    "internet",
    "food",
    "electricity",
    "time",
    "limit",
    "space",
}


def active(doc: Any) -> str:
    """The active counterpart of a passive statement with an agent: "Ines Calloway teaches canoeing.", or ""."""
    s = shape(doc)
    agent = first(s.root, "agent") if s else None
    target = first(agent, "pobj") if agent is not None else None
    if (
        s is None
        or agent is None
        or target is None
        or s.subject.dep_ != "nsubjpass"
        or s.front
        or len(children(s.root, "aux", "auxpass")) != 1
    ):
        return ""
    tense = {"is": "VBZ", "are": "VBZ", "was": "VBD", "were": "VBD"}.get(s.verb.text.lower(), "")
    phrase = subtree(target)
    plural_agent = target.tag_ in {"NNS", "NNPS"} or bool(children(target, "conj"))
    verb = past(s.root.lemma_) if tense == "VBD" else inflect(s.root.lemma_, "VBP" if plural_agent else "VBZ")
    rest = [i for i in s.rest if i > s.root.i and i != agent.i and i not in phrase]
    subject = source(doc, s.left, s.right)
    tail = " ".join(p for p in (verb, subject, source(doc, rest[0], rest[-1] + 1) if rest else "") if p)
    return (
        f"{source(doc, phrase[0], phrase[-1] + 1)} {tail}." if tense and rest == list(range(rest[0], rest[-1] + 1) if rest else []) else ""
    )
