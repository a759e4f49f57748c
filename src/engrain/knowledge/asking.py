"""Asking: the questions that a fact's statement gives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from engrain.knowledge import phrasing
from engrain.knowledge.extract import GAP, POINTING
from engrain.knowledge.facts import Fact, full_name
from engrain.knowledge.grammar import capital, past
from engrain.knowledge.items import is_role
from engrain.knowledge.parse import children, parse, parse_all, parse_with_subject
from engrain.knowledge.polar import Polar, active, polar_question
from engrain.knowledge.questions import Asked, how_many, wh_questions, why_question
from engrain.knowledge.shapes import Shape, shape, words
from engrain.knowledge.values import ADDRESS
from engrain.knowledge.wording import QUESTION_WORD, flipped, mentions, normal, relayed, small
from engrain.knowledge.words import HUMANS, MEASURED, SUMS, VAGUE, listed

BOUND = re.compile(
    r"\b(?:(up to|at most|no more than|at least|not more than|a maximum of|a minimum of)|"
    r"more than|less than|under|over|about|around|only|some) ___"
)
AMOUNT = re.compile(
    r"\b(?:an?|the) ((?:(?!of\b)[a-z]+ ){0,2}(?:fee|deposit|charge|fine|discount|bequest|grant|surcharge|penalty|contribution|supplement|"
    r"refund|reduction|budget|limit|speed|temperature|capacity|minimum|maximum|notice|total)) of ___"
)
QUESTION_WORDS = {
    "money": "how much", "time": "at what time", "date": "when", "duration": "how long", "count": "how many", "person": "who",
    "place": "where", "measure": "how much", "percent": "what percentage", "contact": "which number or address",
}  # fmt: skip
BROKEN = re.compile(
    r"^(?:after|before|in|since|at|on|from|by|with|for|until|during|of|under), |\b(?:because|although|when|who|which|that|while)\?$|"
    r"^who [A-Z][\w’'-]+ (?:will|is|was|has|can|must|may)\b|\bshould (?:I|my \w+) (?:am|is|are|was|were|has)\b",
    re.IGNORECASE,
)
"""A question whose first phrase lost its noun, whose end is missing, or whose parts do not belong together."""
NO_SLOT = re.compile(
    rf"\b(?:an?|the|every|each|any|his|her|its|their|my|your|our|no|other|first|last|next|this|that|all|one|another) {GAP}|"
    rf"{GAP}['’]|{GAP} (?:mornings?|afternoons?|evenings?|nights?)\b",
    re.IGNORECASE,
)
"""A gap that is only a part of a noun phrase: no question word can fill it."""
LONGEST_IN_PLACE = 24
LONGEST_SENTENCE_IN_PLACE = 14
"""Words of a statement, and of a sentence that no statement was found in, that can be asked with the question word in place."""
AT_ADDRESS = re.compile(
    r"(?:(?:since|in|from) [^ ,]+,? )?([^,;]+?) "
    r"(?:is|are|lies|lie|stands|sits|has been|have been|works?|operates?|opened|moved|lives?|trades?)(?: [a-z]+)? "
    rf"(?:at|in|to|from|on|an? [a-z -]+ (?:at|in)) (?:[a-z -]+ at )?{GAP}"
)
OF_ADDRESS = re.compile(rf"\b((?:our|the) (?:[a-z-]+ ){{0,2}}[a-z-]+),? at {GAP}")
WITH_ADJECTIVE = re.compile(rf"{GAP} ({'|'.join(MEASURED)})\b")
NOT_ASKED_IN_PLACE = re.compile(rf"^if [^,]*{GAP}[^,]*,|, not (?:[a-z]+ )?{GAP}", re.IGNORECASE)
"""A value in a condition that opens the statement, or one that is not meant."""
OCCASION = re.compile(r"(Before|After|During) ([a-z][\w’' -]{2,40})")
"""A heading that says when the instructions under it hold."""
SHORTEST_NEAR_GAP, MOST_BEFORE, MOST_AFTER = 4, 12, 8
"""Words around a gap that make a question, and how many before and after it may be left where a comma could end them."""
SPEAKERS = VAGUE | {"there"}
OURS = re.compile(
    rf"\b(?:us|our|we)\b|^you (?:should|can|may) (?:ring|call|phone|text|e-?mail|write to) {GAP}(?!.*\b(?:if|in case|emergenc))",
    re.IGNORECASE,
)
"""How a statement about a number or an address says that it is the business's own."""
LOCATED = re.compile(r"\b(?:address|town|location|place|venue|site|street|position)$", re.IGNORECASE)
"""A subject that says itself that a place is meant."""


def is_reason(fact: Fact) -> bool:
    """Whether the fact's value says why its statement holds."""
    return f"because {GAP}" in fact.relation


def plain_statement(fact: Fact) -> str:
    """The statement with its value, without a limit before it ("up to")."""
    return BOUND.sub(GAP, fact.relation).replace(GAP, fact.value)


def wrapped(asked: str, wrappers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """An indirect question inside the sentences that carry one."""
    for name in wrappers:
        yield f"wrap-{name}", phrasing.WRAPPERS[name].format(q=relayed(asked) if name == "customer-asks" else asked)


def in_place_questions(fact: Fact) -> Iterator[tuple[str, str]]:
    """The statement with a question word where its value stood: plain, but right where grammar does not help."""
    longest = LONGEST_IN_PLACE if fact.subject else LONGEST_SENTENCE_IN_PLACE
    if fact.kind not in QUESTION_WORDS or not 3 <= len(fact.relation.split()) <= longest:
        return
    if not can_be_asked_in_place(fact, fact.relation):
        return
    if fact.kind == "person" and re.match(rf"{GAP} (?:[A-Z]|(?:is|was) an? )", fact.relation):
        return
    word, statement = QUESTION_WORDS[fact.kind], fact.relation.rstrip(".")
    adjective = WITH_ADJECTIVE.search(statement) if fact.kind in {"measure", "duration"} else None
    if fact.kind == "count":
        statement = re.sub(rf"\b(?:some|about|around|over|roughly|nearly|almost) {GAP}", GAP, statement, flags=re.IGNORECASE)
    if adjective:
        word, statement = f"how {MEASURED[adjective.group(1)]}", statement.replace(adjective.group(), GAP)
    elif fact.kind == "measure":
        word = how_many(fact.value) or word
    elif re.search(rf"{GAP} (?:more|less|off|extra|[a-z]+er)\b", statement):
        word = "how much" if fact.kind == "percent" else word
    asked = re.sub(rf"\b(?:(?:at|on|in|for|by|from) )?{GAP}", word, statement) if fact.kind in ("time", "date", "place") else ""
    asked = asked or statement.replace(GAP, word)
    yield from placed(fact, asked, word, statement)


def gap_questions_at_last(fact: Fact) -> Iterator[tuple[str, str]]:
    """The words around the gap with a question word in it, for a statement that nothing else can ask about."""
    near = re.sub(r"^(?:and|but|so) ", "", near_gap(fact.relation), flags=re.IGNORECASE)
    if len(near.split()) < SHORTEST_NEAR_GAP or not can_be_asked_in_place(fact, near):
        return
    doc = parse(f"{capital(near.replace(GAP, fact.value))}.")
    if not is_whole(doc):
        return
    if fact.kind in {"text", "name"}:
        word = "whom" if f" by {GAP}" in near and fact.value.split()[-1].lower() in HUMANS else "what"
        yield from [("in-place", f"{capital(flipped(near.replace(GAP, word)))}?")] if names_thing(fact, near, doc) else []
        return
    word = QUESTION_WORDS.get(fact.kind, "what")
    asked = re.sub(rf"\b(?:(?:at|on|in|by) )?{GAP}", word, near) if fact.kind in ("time", "date", "place") else near.replace(GAP, word)
    yield from placed(fact, asked, word, near)


def can_be_asked_in_place(fact: Fact, statement: str) -> bool:
    """Whether a question word can stand for a value in a statement: it is a phrase of its own that the statement is about."""
    one = fact.kind == "count" and fact.value.lower() in {"one", "1"}
    return not (NOT_ASKED_IN_PLACE.search(statement) or NO_SLOT.search(statement) or one)


def names_thing(fact: Fact, part: str, doc: Any) -> bool:
    """Whether "what" can stand for a name behind the verb of a main clause: no person, no "by post", nothing that an "after that" opens."""
    named = re.match(r"[A-Z]|(?!(?:before|after|during|by|in|on|at|if|to|from|under|behind|beside|between) )\S+ ", fact.value)
    people = all(full_name(name) for name in re.split(r" and |, ", fact.value))
    opens = re.match(r"there\b", part, re.IGNORECASE) or POINTING.match(part)
    told = any(is_main(token) and token.idx < part.find(GAP) for token in doc) or re.search(
        rf"\b(?:named|[a-z]+(?:ed|en|nt) by) {GAP}", part
    )
    return f"because of {GAP}" in part or bool(named and not people and not opens and told)


def is_whole(doc: Any) -> bool:
    """Whether a part of a statement has a main clause, or begins with a name as the items of lists do."""
    return doc[0].tag_ not in {"IN", "CC", "WRB", "RB"} or any(is_main(token) for token in doc)


def is_main(token: Any) -> bool:
    """Whether a finite verb is that of a main clause."""
    verb = token.head if token.dep_ in {"aux", "auxpass"} else token
    subordinate = any(t.dep_ in {"advcl", "relcl"} for t in (verb, *verb.ancestors)) or children(verb, "mark")
    opens = any(t.tag_ == "WRB" for t in children(verb, "advmod"))
    return token.tag_ in {"MD", "VBZ", "VBP", "VBD"} and not subordinate and not opens


def placed(fact: Fact, asked: str, word: str, statement: str) -> Iterator[tuple[str, str]]:
    """A question whose word stands where the statement has its gap: as it is, the word first, and after the heading."""
    asked, statement = flipped(asked), flipped(statement)
    yield "in-place", f"{capital(asked)}?"
    yield "in-place-first", f"{capital(word)}? {capital(statement.replace(GAP, '…'))}."
    if fact.topic and normal(fact.topic) not in normal(statement):
        yield "in-place-topic", f"{fact.topic}: {asked}?"


def near_gap(statement: str) -> str:
    """The part of a statement between the marks that set its gap apart, as many words of it as a question can carry."""
    before, _, after = statement.rstrip(".").partition(GAP)
    before, after = re.split(r"[;:] |[.?!] (?=[A-Z])", before)[-1], re.split(r"[;:] |[.?!] (?=[A-Z])", after)[0]
    while len(before.split()) > MOST_BEFORE and ", " in before:
        before = before.split(", ", 1)[1]
    while len(after.split()) > MOST_AFTER and ", " in after:
        after = after.rsplit(", ", 1)[0]
    return f"{before}{GAP}{after}".strip(" ,") if len(before.split()) <= 2 * MOST_BEFORE and len(after.split()) <= 2 * MOST_AFTER else ""


def statement_questions(fact: Fact, doc: Any) -> Iterator[tuple[str, str]]:
    """Questions for the gap of a statement: by grammar, with other words, and by the kind of value."""
    yield from contacts(fact)
    if not denied(fact, doc):
        yield from amounts(fact)
        yield from addresses(fact)
    if fact.kind in {"text", "name"} and BOUND.search(fact.relation):
        return
    if not is_reason(fact) and not trusted(fact, doc) and readable(fact):
        helped = parse_with_subject(plain_statement(fact), fact.subject)
        doc = helped if is_predicate(helped) else doc
    asked = why_question(doc) if is_reason(fact) else gap_questions(fact, doc) if trusted(fact, doc) else []
    asked = [one for one in asked if not BROKEN.search(one.direct)]
    if not asked:
        return
    limit = BOUND.search(fact.relation)
    tail = (
        {"up to": " at most", "at most": " at most", "no more than": " at most", "at least": " at least"}.get(limit.group(1) or "", "")
        if limit
        else ""
    )
    asked = [limited(a, tail) for a in asked]
    for n, one in enumerate(asked):
        yield f"wh-{n}", one.direct
        yield f"insitu-{n}", one.insitu
    yield from other_words(asked[0], fact)
    yield from on_occasion(asked[0], fact)
    yield from by_kind(fact, doc)
    yield from other_verbs(fact, doc)
    yield from wrapped(asked[0].indirect, [name for name in phrasing.WRAPPERS if name != "explain" or is_reason(fact)])


def readable(fact: Fact) -> bool:
    """Whether a statement opens with its subject, a plain phrase that can stand for one name."""
    words_in = fact.subject.split()
    return (
        2 <= len(words_in) <= 6
        and fact.relation.lower().startswith(f"{fact.subject.lower()} ")
        and not re.search(r"[,;.:]|\b(?:and|or|is|are|was|were|that|who)\b", fact.subject)
    )


def is_predicate(doc: Any) -> bool:
    """Whether a parse has a verb that is sure to be one: not a participle ("work announced late") that looks like the past."""
    s = shape(doc)
    return s is not None and (s.verb.tag_ != "VBD" or bool(children(s.root, "dobj")) or past(s.verb.lemma_, True) != s.verb.lower_)


def trusted(fact: Fact, doc: Any) -> bool:
    """Whether the statement, parsed alone, has the subject that it was built around."""
    s = shape(doc)
    if s is None:
        return False
    text = normal(doc.user_data["source"][doc[s.left].idx : doc[s.right - 1].idx + len(doc[s.right - 1])])
    return bool(fact.subject and normal(fact.subject) in text) or fact.relation.startswith(GAP) or s.subject.dep_ == "expl"


def amounts(fact: Fact) -> Iterator[tuple[str, str]]:
    """Questions for "a deposit of £20", which no question word can leave."""
    match = AMOUNT.search(fact.relation)
    if not match or fact.kind not in {"money", "percent", "measure", "duration"}:
        return
    noun = f"the {match.group(1)}"
    tail = (
        ""
        if match.group(1) in fact.subject or len(fact.subject.split()) > 5 or fact.subject in {"you", "we", "", fact.topic}
        else f" for {flipped(fact.subject)}"
    )
    much = {"money": "How much", "percent": "How high", "measure": "How high", "duration": "How long"}[fact.kind]
    yield "amount-how", f"{much} is {noun}{tail}?"
    yield "amount-what", f"What is {noun}{tail}?"
    yield "amount-terse", f"{capital(noun[4:])}{tail}?"
    yield "amount-tell", f"Tell me {much.lower()} {noun}{tail} is."
    yield "amount-colon", f"{capital(noun[4:])}{tail}: {much.lower()}?"
    yield "amount-amount", f"What does {noun}{tail} come to?"


def contacts(fact: Fact) -> Iterator[tuple[str, str]]:
    """Questions for a phone number, an e-mail address or a website in a sentence: how to reach the business."""
    if fact.kind != "contact" or not fact.business or (fact.form == "statement" and not is_own(fact)):
        return
    mail, site = "@" in fact.value, bool(re.search(r"www|http", fact.value))
    noun = "e-mail address" if mail else "website" if site else "phone number"
    verb = "e-mail" if mail else "find online" if site else "call"
    yield "reach-what", f"What is the {noun} of {fact.business}?"
    yield "reach-your", f"What is your {noun}?"
    yield "reach-how", f"How can I {verb} {fact.business}?" if not site else f"Where can I find {fact.business} online?"
    yield "reach-terse", f"{fact.business} {noun}"
    yield "reach-give", f"Please give me the {noun} of {fact.business}."
    yield "reach-under", f"At which {noun} can I get in touch with {fact.business}?"
    yield "reach-have", f"Do you have the {noun} of {fact.business}?"
    yield "reach-contact", f"I want to contact {fact.business}. What is the {noun}?"


def is_own(fact: Fact) -> bool:
    """Whether a number or an address in a statement is the business's: by what the statement says, or by the name in the address."""
    host = fact.value.lower().rpartition("@")[2] if re.search(r"@|www|http", fact.value) else ""
    named = any(word in host for word in re.findall(r"[a-z]{4,}", fact.business.lower()))
    return named or bool(OURS.search(fact.relation)) or mentions(fact, fact.relation)


def addresses(fact: Fact) -> Iterator[tuple[str, str]]:
    """Questions for a street address in a sentence: where what it belongs to is found."""
    if fact.kind != "place" or not re.match(ADDRESS, fact.value):
        return
    owner = AT_ADDRESS.match(fact.relation) or OF_ADDRESS.search(fact.relation)
    if owner and len(owner.group(1).split()) <= 6:
        name = owner.group(1)
        yield from phrasing.asked("address", fact.business or "the business" if name.lower() in SPEAKERS else flipped(name))


def limited(asked: Asked, tail: str) -> Asked:
    """The questions with "at most" or "at least" where the statement has such a limit."""
    return (
        Asked(f"{asked.direct[:-1]}{tail}?", asked.indirect + tail, f"{asked.insitu[:-1]}{tail}?" if asked.insitu else "")
        if tail
        else asked
    )


def value_span(fact: Fact, doc: Any) -> Any | None:
    """Where the value stands in a fact's parsed statement, or None."""
    start = BOUND.sub(GAP, fact.relation).find(GAP)
    return doc.char_span(start, start + len(fact.value), alignment_mode="expand")


def denied(fact: Fact, doc: Any) -> bool:
    """Whether a statement says that its value does not hold: "the entrance is not at the front gate"."""
    span = value_span(fact, doc)
    return span is not None and any(t.dep_ == "neg" and (t.head == span.root or t.head.is_ancestor(span.root)) for t in doc)


def gap_questions(fact: Fact, doc: Any) -> list[Asked]:
    """The questions that grammar makes for the value of a statement, also of its active counterpart."""
    span = value_span(fact, doc)
    if span is None:
        return []
    found = wh_questions(doc, span.start, span.end, fact.kind)
    text = active(doc)
    if text and text.startswith(fact.value) and fact.kind in {"person", "name", "text"}:
        phrase = flipped(text[len(fact.value) :].strip(" ."))
        people = fact.kind == "person" or any(word.removesuffix("s") in HUMANS for word in fact.value.lower().split())
        found = [Asked(f"Who {phrase}?", f"who {phrase}", ""), *found] if people else found
    return [a for a in (situated(one, fact) if is_open(one) else one for one in found) if not is_vague(a)]


def is_vague(asked: Asked) -> bool:
    """Whether a question says too little to be answered: an unresolved pronoun, or nothing but what I should do."""
    pronoun = re.search(r"\b(?:he|she|they|it|this|that)\b(?! (?:is|was|to)\b| \w+ to\b)", asked.direct.split(" if ")[0])
    return bool(pronoun and len(asked.indirect.split()) <= 9) or is_open(asked)


def is_open(asked: Asked) -> bool:
    """Whether a question asks what or where I should do something, and no more."""
    words_in = re.sub(r" (?:along|up|out|in|off|down|back|for|with|at|on)$", "", asked.indirect).split()
    return len(words_in) <= 4 and "I" in words_in and words_in[0] in {"what", "where"}


def situated(asked: Asked, fact: Fact) -> Asked:
    """An open question with when or where it is asked: as the heading says, else at the business."""
    if not re.search(r" (?:should|must|may|can|need) ", asked.indirect):
        return asked
    carried = re.search(r"(?:bring|wear|take along)$", asked.indirect)
    tail = occasion(fact) or (f"{'to' if carried else 'at'} {fact.business}" if fact.business else "")
    tail = re.sub(r"^before (?=(?:the|an?|my) )", "to ", tail) if carried else tail
    return Asked(f"{asked.direct[:-1]} {tail}?", f"{asked.indirect} {tail}", "") if tail else asked


def occasion(fact: Fact) -> str:
    """The heading of a fact where it says when its instructions hold: "after a repair", else ""."""
    match = OCCASION.fullmatch(fact.topic)
    return f"{match.group(1).lower()} {flipped(match.group(2))}" if match else ""


def other_words(asked: Asked, fact: Fact) -> Iterator[tuple[str, str]]:
    """The question with another question phrase of the same meaning."""
    for wh in sorted(phrasing.WH, key=len, reverse=True):
        if (wh == "how much" and fact.kind != "money") or (wh == "how long" and fact.kind == "measure"):
            continue
        if "person" in "".join(phrasing.WH[wh]) and is_several(fact.value):
            continue
        if asked.indirect.startswith(wh + " ") and not asked.indirect.startswith(f"{wh} of "):
            for n, other in enumerate(phrasing.WH[wh] or (when_words(fact) if wh == "when" else long_words(asked))):
                if re.match(rf"{wh}\b", asked.direct, re.IGNORECASE):
                    yield (
                        f"other-wh-{n}",
                        capital(other + asked.direct[len(wh) :]) if other != "how come" else f"How come{asked.indirect[len(wh) :]}?",
                    )
            return


def on_occasion(asked: Asked, fact: Fact) -> Iterator[tuple[str, str]]:
    """The question about an instruction, with when it holds where the heading says so."""
    when = occasion(fact)
    plain = QUESTION_WORD.match(asked.direct.split()[0]) and not re.search(r",|\b(?:before|after|during)\b", asked.direct)
    if when and plain and re.search(r"\b(?:should|must|may|not allowed)\b", fact.relation) and len(asked.direct.split()) <= 12:
        yield "occasion", f"{asked.direct[:-1]} {when}?"
        yield "occasion-first", f"{capital(when)}, {small(asked.direct)}"


def when_words(fact: Fact) -> tuple[str, ...]:
    """What can stand for when: it depends on whether the value is an hour, a day of the week, a date or a month."""
    if fact.kind == "time":
        return ("at what time", "at what hour")
    if re.search(r"\b\d{1,2}(?:st|nd|rd|th)? [A-Z]|[A-Z][a-z]+ \d{1,2}\b(?!\d)", fact.value):
        return ("on what date", "on which day")
    if re.search(r"day", fact.value):
        return ("on which days" if "s" in fact.value[-1:] or " " in fact.value else "on which day",)
    return ("in which year",) if fact.value.isdigit() else ("at what point",)


def long_words(asked: Asked) -> tuple[str, ...]:
    """What can stand for how long: what takes or lies apart is asked for its time, what is so long for neither."""
    if re.search(r"\btakes?\b|^how long (?:after|before)\b", asked.indirect):
        return ("how much time",)
    return () if re.search(r"\b(?:is|are|was|were)(?: \w+)?$|^how long in\b", asked.indirect) else ("for how long",)


def is_several(name: str) -> bool:
    """Whether a name stands for several people."""
    return bool(re.search(r",| and ", name)) or phrasing.is_plural(name)


def other_verbs(fact: Fact, doc: Any) -> Iterator[tuple[str, str]]:
    """The question with other verbs of the same meaning."""
    s = shape(doc)
    if s is None or is_reason(fact):
        return
    follower = doc[s.root.i + 1].tag_ if s.root.i + 1 < len(doc) else "."
    passive = s.root.tag_ == "VBN" and bool(children(s.root, "auxpass"))
    if follower in {"RP", "RB", "JJ"} or (follower in {"IN", "TO"} and not passive and s.root.lemma_ not in phrasing.INTRANSITIVE):
        return
    texts = phrasing.with_other_verb(BOUND.sub(GAP, fact.relation), s.root.text, s.root.lemma_, s.root.tag_)
    direct = f"{s.root.text} {GAP}" in BOUND.sub(GAP, fact.relation)
    if s.root.lemma_ in {"cost", "bring"} and not direct:
        return
    texts = [text for text in texts if not (direct and re.search(rf"\b(?:in|to|of|with|for|at) {GAP}", text))]
    for n, text in enumerate(texts[:2]):
        start = text.find(GAP)
        (parsed,) = parse_all([text.replace(GAP, fact.value)])
        span = parsed.char_span(start, start + len(fact.value), alignment_mode="expand")
        for asked in wh_questions(parsed, span.start, span.end, fact.kind)[:1] if span is not None else []:
            yield f"verb-{n}", (situated(asked, fact) if is_open(asked) else asked).direct


def by_kind(fact: Fact, doc: Any) -> Iterator[tuple[str, str]]:
    """Questions in the words that go with a kind of value, where the statement's verb allows them."""
    s = shape(doc)
    if s is None or is_reason(fact) or denied(fact, doc):
        return
    subject = words(doc, list(range(s.left, s.right)))
    verb, own = s.root.lemma_, fact.value not in subject and s.subject.lower_ not in SPEAKERS
    short = len([i for i in s.rest if not doc[i].is_punct]) <= len(fact.value.split()) + 4
    simple = own and short and not s.front and not WITH_ADJECTIVE.search(fact.relation)
    for kind, table, verbs in TABLES:
        if simple and fact.kind == kind and verb in verbs and goes_with(table, s, subject):
            yield from phrasing.asked(table, subject)
    if fact.relation.startswith(f"{GAP} "):
        yield from subject_forms(fact, doc, s)
    elif own and fact.kind == "text" and has_role(fact, s) and len(subject.split()) > 1:
        yield from phrasing.asked("name_role", subject)


def goes_with(table: str, s: Shape, subject: str) -> bool:
    """Whether a table of questions goes with a statement's tense and subject.

    What is a sum itself has no price: nobody asks what the deposit costs.
    """
    if table == "money" and s.root.lemma_ == "be" and s.subject.lemma_.lower() in SUMS:
        return False
    over = s.tense == "VBD"
    return over if table == "beginning" else not (over and table == "money") and not (table == "place" and LOCATED.search(subject))


TABLES = (
    ("money", "money", listed("cost be")),
    ("place", "place", listed("be lie stand live locate sit")),
    ("duration", "lasting", listed("last take run be")),
    ("date", "beginning", listed("open found establish start")),
)


def has_role(fact: Fact, s: Shape) -> bool:
    """Whether a statement says what somebody is: "Marguerite Ainscough is the office manager"."""
    named = s.root.lemma_ == "be" and s.subject.pos_ == "PROPN" and fact.relation.endswith(f"is {GAP}.")
    if not named or not re.match(r"(?:our|the|an?) \w", fact.value):
        return False
    noun = re.split(r" (?:of|in|for|at|with|from|who|that)\b|,", fact.value)[0].lower().split()[-1]
    return is_role(noun)


def subject_forms(fact: Fact, doc: Any, s: Any) -> Iterator[tuple[str, str]]:
    """Questions for a person that a statement begins with: by role, or by what the person does."""
    rest = words(doc, [i for i in range(s.right, len(doc)) if doc[i].tag_ != "."])
    if s.verb.tag_ == "VBP":
        return
    role = re.match(r"^(?:is|was) ((?:your|the|[\w’]+’s) .+)$", rest)
    if fact.kind == "person" and role and len(role.group(1).split()) <= 8:
        yield from phrasing.asked("role_name", role.group(1))
    if fact.kind == "person" and not is_several(fact.value):
        yield from ((form, capital(text.format(vp=rest))) for form, text in phrasing.TEMPLATES["person_subject"].items())


def rule_questions(fact: Fact, doc: Any) -> tuple[str, list[tuple[str, str]]]:
    """The answer to a rule's yes/no question, which states the rule, and the questions; none where a yes would be no news."""
    polar = polar_question(doc)
    if (
        polar is None
        or len(polar.direct.split()) < 4
        or (re.search(r"\bshould\b|\bonly\b|\bmay have to\b", fact.relation) and polar.answer == "Yes")
    ):
        return "", []
    return f"{polar.answer}, {fact.relation.rstrip('.')}.", list(polar_forms(polar))


def polar_forms(polar: Polar) -> Iterator[tuple[str, str]]:
    """A yes/no question in several sentences."""
    yield "polar", polar.direct
    for name in ("can-you-tell", "like-to-know", "do-you-know", "wondering", "find-out", "tell-me", "need-to-know"):
        yield f"polar-{name}", phrasing.WRAPPERS[name].format(q=polar.indirect)
    swaps = (("May ", "Are ", " allowed to "), ("Must ", "Do ", " have to "))
    for old, new, link in swaps:
        match = re.match(rf"{old}((?:I|my [a-z]+s|[a-z]+s)) (?!be\b)(.+)", polar.direct)
        if match:
            be = "Am" if match.group(1) == "I" and new == "Are " else new.strip()
            yield "polar-modal", f"{be} {match.group(1)}{link}{match.group(2)}"
            yield "polar-okay", f"Is it true that {match.group(1)} {'may' if old == 'May ' else 'must'} {match.group(2)}"
