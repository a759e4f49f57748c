"""Forms: one fact in many wordings, each with the name of the pattern that made it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engrain.knowledge import phrasing
from engrain.knowledge.facts import GAP, Fact
from engrain.knowledge.grammar import capital
from engrain.knowledge.parse import parse_all
from engrain.knowledge.questions import Asked, Polar, active, polar_question, shape, wh_questions, why_question, words

REFUSALS = (
    "I’m sorry, I don’t know that.",
    "The documents don’t say.",
    "I have no information about that.",
    "That isn’t something I know.",
)
BOUND = re.compile(
    r"\b(?:(up to|at most|no more than|at least|not more than|a maximum of|a minimum of)|more than|less than|under|over|about|around|only|some) ___"
)
DAYS = re.compile(r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Week|Daily|Public hol|Bank hol|Holiday)", re.IGNORECASE)
PROSE_KEYS = re.compile(r"^(?:what|how|when|where|why|who|if)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Wording:
    """A question or request and its answer; `kind` as in Example, `form` the pattern that made it."""

    kind: str
    form: str
    prompt: str
    answer: str


def wordings(facts: Sequence[Fact]) -> list[list[Wording]]:
    """For each fact its wordings, the plainest first, no prompt twice within a fact."""
    people = {word for fact in facts if fact.kind == "person" for word in (fact.value, *fact.value.split())}
    docs = iter(parse_all(text for fact in facts for text in texts_of(fact)))
    found = []
    for fact in facts:
        parsed = [next(docs) for _ in texts_of(fact)]
        seen: set[str] = set()
        kept = []
        for wording in makers(fact, parsed, people):
            key = normal(wording.prompt)
            if sound(wording, fact) and key not in seen:
                seen.add(key)
                kept.append(wording)
        found.append(kept)
    return found


def normal(text: str) -> str:
    """Text for comparison: small letters, words and digits only."""
    return " ".join(re.findall(r"[\w£$€%]+", text.lower().replace("’", "'")))


def sound(wording: Wording, fact: Fact) -> bool:
    """Whether a wording is fit to learn from: of sensible length, and its prompt does not give the answer away."""
    prompt = normal(wording.prompt)
    length = len(prompt.split())
    if not 1 <= length <= 34 or not wording.answer.strip() or ("___" in wording.prompt and wording.kind != "cloze"):
        return False
    gives_away = fact.kind != "yesno" and wording.kind in {"question", "cloze"} and f" {normal(fact.value)} " in f" {prompt} "
    return not gives_away


def texts_of(fact: Fact) -> list[str]:
    """The texts that must be parsed to word a fact."""
    if fact.form == "statement":
        return [re.sub(rf" because {GAP}", "", fact.relation) if is_reason(fact) else plain_statement(fact)]
    return [fact.relation] if fact.form == "question" else []


def is_reason(fact: Fact) -> bool:
    """Whether the fact's value says why its statement holds."""
    return f"because {GAP}" in fact.relation


def plain_statement(fact: Fact) -> str:
    """The statement with its value, without a limit before it ("up to")."""
    return BOUND.sub(GAP, fact.relation).replace(GAP, fact.value)


def full_statement(fact: Fact) -> str:
    """The fact as one whole sentence."""
    if fact.form == "statement":
        return capital(fact.relation.replace(GAP, fact.value))
    if fact.form == "question":
        return capital(fact.value) + "."
    attribute = "" if fact.relation in {*phrasing.BY_KIND, "details", "measure", "count", "name", "text"} else f", {fact.relation}"
    return f"{capital(fact.subject)}{attribute}: {fact.value}."


def answer(fact: Fact) -> str:
    """The short canonical answer: the value as it stands in the documents."""
    value = re.sub(r"\*\*|__|`", "", fact.value)
    return (value if re.match(r"[a-z]+[A-Z]|\S+@|www\.|https?:", value) else capital(value)).rstrip(".") + "."


def makers(fact: Fact, parsed: Sequence[Any], people: set[str]) -> Iterator[Wording]:
    """All wordings of a fact, good and doubtful; `people` are the names of persons and their parts."""
    if fact.kind == "yesno" and fact.form == "statement":
        yield from rule_wordings(fact, parsed[0])
        return
    if fact.form == "attribute":
        asked = attribute_questions(fact)
    elif fact.form == "question":
        asked = faq_questions(fact, parsed[0])
    else:
        asked = statement_questions(fact, parsed[0])
        yield from reverse_wordings(fact, parsed[0], people)
    reply = answer(fact)
    for form, text in around(fact, list(asked)):
        yield Wording("question", form, text, reply)
    yield from cloze_wordings(fact)


def around(fact: Fact, asked: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The questions themselves, and each dressed: with the business's name, a greeting, careless typing, other nouns."""
    plain = [(form, text) for form, text in asked if text]
    yield from ((form, anchored(fact, text)) for form, text in plain)
    direct = [(form, text) for form, text in plain if is_direct(form, text)]
    for n, (name, pattern) in enumerate(phrasing.OPENINGS.items()):
        if direct:
            form, text = direct[n % len(direct)]
            yield f"{name}+{form}", pattern.format(q=small(anchored(fact, text)))
    for n, (name, pattern) in enumerate(phrasing.PLACES.items()):
        if direct and fact.business and not mentions(fact, direct[n % len(direct)][1]):
            form, text = direct[n % len(direct)]
            yield f"{name}+{form}", pattern.format(q=text if ": {q}" in pattern else small(text), b=fact.business)
    for form, text in direct[:2]:
        yield f"typed+{form}", normal_typing(anchored(fact, text))
        other = phrasing.with_other_noun(text)
        if other:
            yield f"noun+{form}", anchored(fact, other)


def is_direct(form: str, text: str) -> bool:
    """Whether a question stands alone: it opens with a question word and carries no other sentence."""
    opens = bool(QUESTION_WORD.match(text.split()[0]))
    return (
        opens
        and text.endswith("?")
        and not re.search(r"[:.!]\s", text)
        and not form.startswith(("wrap", "polar-", "attribute-give", "attribute-know"))
    )


def normal_typing(text: str) -> str:
    """The question as people type it in a hurry: small letters, no mark at its end."""
    return text.rstrip("?").lower() if not re.search(r"\b[A-Z]{2,}\d*\b", text) else text.rstrip("?")


def mentions(fact: Fact, text: str) -> bool:
    """Whether a text already says which business it is about."""
    first_words = " ".join(fact.business.split()[:2])
    return not fact.business or fact.business in text or first_words in text


def anchored(fact: Fact, text: str) -> str:
    """The question with the business's name where nothing in it says what it is about."""
    named = re.search(r"\b(?!I\b|I’)[A-Z][\w’]+", text[1:])
    if mentions(fact, text) or named or not is_direct("", text) or len(text.split()) > 9 or int(fact.id[:2] or "0", 16) % 2:
        return text
    return f"{text[:-1]} at {fact.business}?"


def small(text: str) -> str:
    """A question inside a sentence: its first letter small unless it is a name or I."""
    head = text.split()[0]
    return text if head in {"I", "I’m", "I’d"} or not re.match(QUESTION_WORD, head) else text[:1].lower() + text[1:]


QUESTION_WORD = re.compile(
    r"(?:What|Who|Whom|Whose|When|Where|Why|How|Which|Is|Are|Was|Were|Do|Does|Did|Can|Could|May|Must|Should|Will|Would|Has|Have|At|On|In|By|From|"
    r"Until|Since|For|With|To|After|Within|Against|Between|During|Of|Over|Whereabouts|Till)$"
)


def wrapped(asked: str, wrappers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """An indirect question inside the sentences that carry one."""
    for name in wrappers:
        yield f"wrap-{name}", phrasing.WRAPPERS[name].format(q=asked)


def statement_questions(fact: Fact, doc: Any) -> Iterator[tuple[str, str]]:
    """Questions for the gap of a statement: by grammar, with other words, and by the kind of value."""
    yield from amounts(fact)
    yield from contacts(fact)
    if fact.kind in {"text", "name"} and BOUND.search(fact.relation):
        return
    asked = why_question(doc) if is_reason(fact) else gap_questions(fact, doc) if trusted(fact, doc) else []
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
    yield from other_words(asked[0])
    yield from by_kind(fact, doc)
    yield from other_verbs(fact, doc)
    yield from wrapped(asked[0].indirect, [name for name in phrasing.WRAPPERS if name != "explain" or is_reason(fact)])


AMOUNT = re.compile(
    r"\b(?:an?|the) ((?:(?!of\b)[a-z]+ ){0,2}(?:fee|deposit|charge|fine|discount|bequest|grant|surcharge|penalty|contribution|supplement|refund|reduction|budget|"
    r"limit|speed|temperature|capacity|minimum|maximum|notice|total)) of ___"
)


def trusted(fact: Fact, doc: Any) -> bool:
    """Whether the statement, parsed alone, has the subject that it was built around."""
    s = shape(doc)
    if s is None:
        return False
    text = normal(doc.user_data["source"][doc[s.left].idx : doc[s.right - 1].idx + len(doc[s.right - 1])])
    return normal(fact.subject) in text or fact.relation.startswith(GAP) or s.subject.dep_ == "expl"


def amounts(fact: Fact) -> Iterator[tuple[str, str]]:
    """Questions for "a deposit of £20", which no question word can leave."""
    match = AMOUNT.search(fact.relation)
    if not match or fact.kind not in {"money", "percent", "measure", "duration"}:
        return
    noun = f"the {match.group(1)}"
    tail = (
        ""
        if match.group(1) in fact.subject or len(fact.subject.split()) > 5 or fact.subject in {"you", "we"}
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
    if fact.kind != "contact" or not fact.business:
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


def limited(asked: Asked, tail: str) -> Asked:
    """The questions with "at most" or "at least" where the statement has such a limit."""
    return (
        Asked(f"{asked.direct[:-1]}{tail}?", asked.indirect + tail, f"{asked.insitu[:-1]}{tail}?" if asked.insitu else "")
        if tail
        else asked
    )


def gap_questions(fact: Fact, doc: Any) -> list[Asked]:
    """The questions that grammar makes for the value of a statement, also of its active counterpart."""
    start = BOUND.sub(GAP, fact.relation).find(GAP)
    span = doc.char_span(start, start + len(fact.value), alignment_mode="expand")
    if span is None:
        return []
    found = wh_questions(doc, span.start, span.end, fact.kind)
    text = active(doc)
    if text and text.startswith(fact.value) and fact.kind in {"person", "name", "text"}:
        phrase = flipped(text[len(fact.value) :].strip(" ."))
        who = "who" if fact.kind == "person" else "what"
        found = [Asked(f"{capital(who)} {phrase}?", f"{who} {phrase}", ""), *found]
    return [
        a
        for a in found
        if not re.search(r"\b(?:he|she|they|it|this|that)\b(?! (?:is|was|to)\b)", a.direct.split(" if ")[0]) or len(a.direct.split()) > 9
    ]


def flipped(text: str) -> str:
    """A phrase from the speaker's side turned to the asker's."""
    pairs = {"we": "you", "us": "you", "our": "your", "you": "I", "your": "my"}
    return re.sub(r"\b(we|us|our|you|your)\b", lambda m: pairs[m.group()], text)


def other_words(asked: Asked) -> Iterator[tuple[str, str]]:
    """The question with another question phrase of the same meaning."""
    for wh in sorted(phrasing.WH, key=len, reverse=True):
        if asked.indirect.startswith(wh + " "):
            for n, other in enumerate(phrasing.WH[wh]):
                if re.match(rf"{wh}\b", asked.direct, re.IGNORECASE):
                    yield (
                        f"other-wh-{n}",
                        capital(other + asked.direct[len(wh) :]) if other != "how come" else f"How come{asked.indirect[len(wh) :]}?",
                    )
            return


def other_verbs(fact: Fact, doc: Any) -> Iterator[tuple[str, str]]:
    """The question with other verbs of the same meaning."""
    s = shape(doc)
    if s is None or is_reason(fact):
        return
    follower = doc[s.root.i + 1].tag_ if s.root.i + 1 < len(doc) else "."
    if follower in {"IN", "TO", "RP"} and s.root.lemma_ not in phrasing.INTRANSITIVE:
        return
    texts = phrasing.with_other_verb(BOUND.sub(GAP, fact.relation), s.root.text, s.root.lemma_, s.root.tag_)
    for n, text in enumerate(texts[:2]):
        start = text.find(GAP)
        (parsed,) = parse_all([text.replace(GAP, fact.value)])
        span = parsed.char_span(start, start + len(fact.value), alignment_mode="expand")
        for asked in wh_questions(parsed, span.start, span.end, fact.kind)[:1] if span is not None else []:
            yield f"verb-{n}", asked.direct


def by_kind(fact: Fact, doc: Any) -> Iterator[tuple[str, str]]:
    """Questions in the words that go with a kind of value, where the statement's verb allows them."""
    s = shape(doc)
    if s is None or is_reason(fact):
        return
    subject = words(doc, list(range(s.left, s.right)))
    verb, own = s.root.lemma_, fact.value not in subject and s.subject.lower_ not in {"we", "you", "there", "it", "i", "this", "that"}
    simple = len([i for i in s.rest if not doc[i].is_punct]) <= len(fact.value.split()) + 4 and not s.front
    if fact.kind == "money" and own and verb in {"cost", "be"} and simple:
        yield from ((form, phrasing.fill(text, subject)) for form, text in phrasing.PRICE)
    if fact.kind == "place" and own and verb in {"be", "lie", "stand", "live", "locate", "sit"} and simple:
        yield from ((form, phrasing.fill(text, subject)) for form, text in phrasing.BY_KIND["place"])
    if fact.kind == "duration" and own and verb in {"last", "take", "run", "be"} and simple:
        for form, text in (("duration-length", "What is the length of {s}?"), ("duration-allow", "How much time should I allow for {s}?"),
                           ("duration-colon", "{s}: how long?"), ("duration-key", "duration of {s}")):  # fmt: skip
            yield form, phrasing.fill(text, subject)
    if fact.kind == "date" and own and verb in {"open", "found", "establish", "start"} and s.verb.tag_ == "VBD" and simple:
        for form, text in (("date-opening", "What is the opening date of {s}?"), ("date-since", "Since when has {s} been going?"), ("date-began", "When did {s} begin?"),
                           ("date-first", "When did {s} first open?"), ("date-key", "{s} start date"), ("date-exist", "How long ago, and when exactly, did {s} start?")):  # fmt: skip
            yield form, phrasing.fill(text, subject)
    if fact.relation.startswith(f"{GAP} "):
        yield from subject_forms(fact, doc, s)
    elif (
        fact.kind in {"text"}
        and own
        and verb == "be"
        and s.subject.pos_ == "PROPN"
        and re.match(r"(?:our|the|an?) ", fact.value)
        and fact.relation.endswith(f"is {GAP}.")
    ):
        yield from ((form, phrasing.fill(text, subject)) for form, text in (phrasing.NAME_ROLE if len(subject.split()) > 1 else ()))


def subject_forms(fact: Fact, doc: Any, s: Any) -> Iterator[tuple[str, str]]:
    """Questions for a person that a statement begins with: by role, or by what the person does."""
    rest = words(doc, [i for i in range(s.right, len(doc)) if doc[i].tag_ != "."])
    if s.verb.tag_ == "VBP":
        return
    role = re.match(r"^(?:is|was) ((?:your|the|[\w’]+’s) .+)$", rest)
    if fact.kind == "person" and role and len(role.group(1).split()) <= 8:
        yield from ((form, phrasing.fill(text, role.group(1))) for form, text in phrasing.ROLE_NAME)
    if fact.kind == "person":
        yield from ((form, capital(text.format(vp=rest))) for form, text in phrasing.PERSON_SUBJECT)


def reverse_wordings(fact: Fact, doc: Any, people: set[str]) -> Iterator[Wording]:
    """From the value back to the subject: "What costs £26?" """
    s = shape(doc)
    if (
        s is None
        or is_reason(fact)
        or fact.relation.startswith(GAP)
        or s.subject.lower_ in {"we", "you", "i", "it", "there", "they", "he", "she"}
    ):
        return
    subject = doc[s.left : s.right].text if "Kaaa" not in doc[s.left : s.right].text else fact.subject
    if len(subject.split()) > 8 or normal(subject) != normal(fact.subject):
        return
    person = subject in people
    for one in wh_questions(doc, s.left, s.right, "person" if person else "text")[:1]:
        yield Wording("reverse", "reverse-wh", one.direct, capital(subject) + ".")
        yield Wording("reverse", "reverse-tell", f"Tell me {one.indirect}.", capital(subject) + ".")
        yield Wording("reverse", "reverse-know", f"Do you know {one.indirect}?", capital(subject) + ".")


def attribute_questions(fact: Fact) -> Iterator[tuple[str, str]]:
    """Questions for a table's cell or a `Key: value` item."""
    key, relation = tidy_key(fact.subject), fact.relation
    if DAYS.match(fact.subject) and fact.kind in {"time", "text", "date"}:
        day = "from " + key if re.search(r"\b(?:to|until)\b|[–-]", key) else "at weekends" if "eekend" in key else f"on {key}"
        yield from (
            (form, phrasing.fill(text, day))
            for form, text in phrasing.DAY_HOURS
            if re.search(r"open|hour|time", f"{fact.topic} {relation}", re.IGNORECASE)
        )
        return
    asks = {"who": "person", "when": "date", "where": "place", "contact": "person" if fact.kind == "person" else "contact"}
    relation = asks.get(relation.lower(), relation)
    if re.match(r"what to do|action|remedy|solution", relation, re.IGNORECASE):
        yield from ((form, phrasing.fill(text, key)) for form, text in phrasing.REMEDY)
        return
    templates = phrasing.BY_KIND.get(relation.lower(), ())
    if relation.lower() in {"price", "cost", "fee", "charge"} and fact.kind == "money":
        templates = phrasing.PRICE
    if relation == "details":
        templates = phrasing.BY_KIND.get(fact.kind, phrasing.DETAILS) if fact.kind in {"person", "place"} else phrasing.DETAILS
    for form, text in templates:
        yield form, phrasing.fill(text, key)
    if relation != "details" and (relation.lower() not in phrasing.BY_KIND or relation in {"price"}):
        name = relation if relation.isupper() else relation[:1].lower() + relation[1:]
        if fact.kind == "money" and not re.search(r"price|cost|fee|charge|rate|deposit|€|£|\$", name, re.IGNORECASE):
            name += " price"
        yield from (
            (form, phrasing.fill(text, key, name))
            for form, text in phrasing.ATTRIBUTE
            if not (form == "attribute-s" and len(key.split()) > 3)
        )


def tidy_key(key: str) -> str:
    """A row's or item's name inside a question: brackets off, its first word small unless it looks like a name."""
    key = re.sub(r"\s*\([^)]*\)", "", key).strip(" .:") or key
    head = key.split()[0]
    rest = key[len(head) :]
    name = DAYS.match(head) or re.search(r"[A-Z]", head[1:]) or re.search(r"^\s[A-Z]", rest) or not head.isalpha() or not rest
    plain = head[:1].lower() + head[1:] + rest if not name else key
    countable = re.match(r"[a-z]", plain) and not is_bare(plain)
    return f"a {plain}" if countable and plain[0] not in "aeiou" else f"an {plain}" if countable else plain


def is_bare(phrase: str) -> bool:
    """Whether a noun phrase goes without an article: plural, an -ing form, uncounted, or with one of its own."""
    head = re.split(r" (?:for|of|in|on|at|with|from|under|above|to|within|by|per|over)\b|[,(]", phrase)[0].split()[-1]
    bare = {
        "delivery",
        "postage",
        "repair",
        "storage",
        "parking",
        "membership",
        "insurance",
        "admission",
        "entry",
        "breakfast",
        "lunch",
        "dinner",
        "tea",
        "coffee",
        "wifi",
        "access",
        "equipment",
    }
    gerund = re.match(r"\w+ing (?:an?|the|your|my|\w+s\b)", phrase)
    return phrasing.is_plural(phrase) or head.endswith("ing") or bool(gerund) or head in bare or phrase.split()[0] in {
        "the", "a", "an", "our", "your", "each", "every", "all", "any", "no", "first", "second", "one", "two", "own",
    }  # fmt: skip


def faq_questions(fact: Fact, doc: Any) -> Iterator[tuple[str, str]]:
    """The documents' own question, and the same in other sentences."""
    question = fact.relation
    yield "faq", question
    yield "faq-named", anchored_always(fact, question)
    asked = uninverted(doc)
    if asked:
        yield from wrapped(asked, [w for w in phrasing.WRAPPERS if w != "explain" or asked.startswith(("why", "how"))])
    if re.match(r"(?:Do|Can|May|Is|Are|Will|Does|Must)\b", question):
        yield "faq-so", f"I’d like to ask: {small(question)}"
    yield "faq-want", f"People often ask: {question}"


def anchored_always(fact: Fact, text: str) -> str:
    """The question with the business's name, where it lacks it."""
    return "" if mentions(fact, text) else f"{text[:-1]} at {fact.business}?"


def uninverted(doc: Any) -> str:
    """A direct question as an indirect one: "Where can I park?" becomes "where I can park"; "" where that is not safe."""
    verbs = [t for t in doc if t.tag_ in {"MD", "VBZ", "VBP", "VBD"} and t.dep_ in {"aux", "auxpass", "ROOT"}]
    if not verbs or len([t for t in doc if t.dep_ == "ROOT"]) != 1 or doc[-1].text != "?":
        return ""
    verb, root = verbs[0], next(t for t in doc if t.dep_ == "ROOT")
    subject = next((c for c in root.children if c.dep_ in {"nsubj", "nsubjpass", "expl"}), None)
    if subject is None or (verb.head != root and verb != root):
        return ""
    span = sorted(t.i for t in subject.subtree)
    text = doc.user_data["source"]

    def part(a: int, b: int) -> str:
        return "" if a >= b else text[doc[a].idx : doc[b - 1].idx + len(doc[b - 1])]

    lead = part(0, verb.i)
    if span[0] < verb.i:
        return small(text.rstrip("?")) if span[0] == 0 else ""
    middle, tail = part(span[0], span[-1] + 1), part(span[-1] + 1, len(doc) - 1)
    begin = small(lead) if lead else "whether"
    if span[0] != verb.i + 1:
        return ""
    if verb.lemma_ == "do" and verb != root:
        if verb.text.lower() != "do":
            return ""
        return f"{begin} {middle} {tail}".strip()
    return f"{begin} {middle} {verb.text.lower()} {tail}".strip()


def rule_wordings(fact: Fact, doc: Any) -> Iterator[Wording]:
    """Yes/no questions about a rule; the answer states the rule."""
    polar = polar_question(doc)
    if polar is None or (re.search(r"\bshould\b|\bonly\b", fact.relation) and polar.answer == "Yes"):
        return
    reply = f"{polar.answer}, {fact.relation.rstrip('.')}."
    for form, text in around(fact, list(polar_forms(polar))):
        yield Wording("question", "+".join(f"rule-{part}" for part in form.split("+")), text, reply)


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


def cloze_wordings(fact: Fact) -> Iterator[Wording]:
    """The statement with a gap to fill."""
    if fact.form == "statement" and not is_reason(fact) and len(fact.relation.split()) > 4:
        for form, text in phrasing.CLOZE:
            yield Wording("cloze", form, text.format(g=capital(fact.relation)), answer(fact))
