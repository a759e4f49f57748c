"""Phrasing: what people say instead. A small lexicon of business English; nothing in it comes from a data set."""

from __future__ import annotations

import re

from engrain.knowledge.grammar import capital, inflect

WRAPPERS: dict[str, str] = {
    "can-you-tell": "Can you tell me {q}?",
    "could-you-tell": "Could you tell me {q}, please?",
    "like-to-know": "I’d like to know {q}.",
    "do-you-know": "Do you know {q}?",
    "wondering": "I was wondering {q}.",
    "tell-me": "Tell me {q}.",
    "find-out": "I’m trying to find out {q}.",
    "remind": "Remind me {q}.",
    "need-to-know": "I need to know {q}.",
    "would-you-mind": "Would you mind telling me {q}?",
    "say": "Please say {q}.",
    "any-idea": "Any idea {q}?",
    "customer-asks": "A customer wants to know {q}. What do I say?",
    "explain": "Please explain {q}.",
}
OPENINGS: dict[str, str] = {
    "quick": "Quick question: {q}",
    "hello": "Hello, {q}",
    "sorry": "Sorry to bother you, but {q}",
    "so": "So {q}",
}
PLACES: dict[str, str] = {
    "at-first": "At {b}, {q}",
    "dash": "{b}: {q}",
    "about": "A question about {b}: {q}",
    "regarding": "Regarding {b}, {q}",
}

WH: dict[str, tuple[str, ...]] = {
    "how much": ("how much money", "what amount"),
    "how long": ("how much time", "what length of time"),
    "when": ("on what date", "at what point"),
    "where": ("whereabouts", "in what place"),
    "who": ("which person",),
    "what time": ("at what hour",),
    "at what time": ("at what hour", "what time"),
    "how often": ("how frequently",),
    "why": ("for what reason", "how come"),
    "by whom": ("by which person",),
    "from what time": ("from when", "from what hour"),
    "until what time": ("until when", "till what hour"),
    "by what time": ("by when", "by what hour"),
}

VERBS: dict[str, tuple[str, ...]] = {
    "found": ("set up", "start", "establish"), "establish": ("found", "set up"), "start": ("begin",), "begin": ("start",), "commence": ("start",),
    "open": ("start up",), "close": ("shut",), "shut": ("close",), "run": ("manage", "be in charge of"), "lead": ("be in charge of", "head", "run"),
    "manage": ("run", "be responsible for"), "head": ("lead", "be in charge of"), "last": ("take", "go on for"), "cost": ("come to",),
    "keep": ("hold on to",), "store": ("keep",), "teach": ("give lessons in", "instruct people in"), "build": ("construct", "make"),
    "make": ("produce",), "produce": ("make",), "provide": ("offer", "supply"), "offer": ("provide",), "require": ("need",), "need": ("require",),
    "buy": ("purchase",), "purchase": ("buy",), "sell": ("offer for sale",), "repair": ("mend", "fix"), "mend": ("repair", "fix"), "fix": ("repair",),
    "replace": ("take the place of",), "receive": ("get",), "get": ("receive",), "give": ("hand out",), "hold": ("contain", "take"),
    "contain": ("hold", "include"), "include": ("cover", "contain"), "own": ("have",), "answer": ("reply to",), "reply": ("respond", "answer"),
    "handle": ("deal with", "look after"), "deal": ("work",), "oversee": ("supervise", "look after"), "supervise": ("oversee",),
    "decide": ("determine",), "approve": ("agree to", "sign off"), "sign": ("put their name to",), "arrive": ("turn up",), "leave": ("go",),
    "return": ("give back",), "bring": ("take along",), "wear": ("have on",), "collect": ("pick up",), "deliver": ("bring",), "send": ("post",),
    "move": ("relocate",), "stop": ("halt",), "borrow": ("take out",), "lend": ("loan",), "hire": ("rent",), "rent": ("hire",), "book": ("reserve",),
    "reserve": ("book",), "cancel": ("call off",), "complain": ("make a complaint",), "contact": ("get in touch with",), "employ": ("have on staff",),
    "design": ("draw up",), "write": ("put together",), "paint": ("create",), "introduce": ("bring in",), "revise": ("update",), "update": ("revise",),
    "finish": ("complete",), "complete": ("finish",), "add": ("put in",), "switch": ("turn",), "clean": ("wash",), "wash": ("clean",), "wipe": ("clean",),
    "carry": ("transport",), "join": ("come to",), "train": ("teach",), "bake": ("make",), "happen": ("take place",), "expire": ("run out",),
    "cover": ("include",), "accept": ("take",), "refund": ("pay back",), "reimburse": ("pay back",), "charge": ("ask",),
}  # fmt: skip
INTRANSITIVE = {"open", "close", "shut", "start", "begin", "commence", "last", "reply", "respond", "expire", "arrive", "happen", "move"}
NOUNS: dict[str, str] = {
    "fee": "charge", "charge": "fee", "staff": "employees", "employees": "staff", "customers": "clients", "clients": "customers", "visitors": "guests",
    "guests": "visitors", "workshop": "class", "reception": "the front desk", "founder": "person who started it", "children": "kids", "photo": "picture",
    "telephone": "phone", "booking": "reservation", "bookings": "reservations", "discount": "reduction", "deposit": "security deposit",
    "premises": "building", "documents": "papers", "annual": "yearly", "yearly": "annual", "weekly": "each week’s", "appointment": "slot",
    "appointments": "slots", "holiday": "vacation", "complaints": "grievances", "goods": "items", "invoice": "bill", "invoices": "bills", "bicycle": "bike",
    "bicycles": "bikes", "wages": "pay", "repairs": "mending", "garbage": "rubbish", "purchase": "buying", "beverages": "drinks", "car": "vehicle",
}  # fmt: skip

PRICE = (
    ("price-of", "What is the price of {s}?"),
    ("price-charge", "What do you charge for {s}?"),
    ("price-pay", "How much do I have to pay for {s}?"),
    ("price-set-back", "What will {s} set me back?"),
    ("price-how-much-is", "How much {is} {s}?"),
    ("price-what-cost", "What {does} {s} cost?"),
    ("price-how-cost", "How much {does} {s} cost?"),
    ("price-terse", "Price of {s}?"),
    ("price-colon", "{s}: how much?"),
    ("price-fee", "What is the charge for {s}?"),
    ("price-spend", "How much money would I spend on {s}?"),
    ("price-expect", "What should I expect to pay for {s}?"),
    ("price-tell", "Tell me the price of {s}."),
    ("price-keyword", "{s} price"),
    ("price-rate", "At what price do you offer {s}?"),
    ("price-expensive", "How expensive {is} {s}?"),
)
ATTRIBUTE = (
    ("attribute-what", "What is the {a} {of} {s}?"),
    ("attribute-tell", "Tell me the {a} {of} {s}."),
    ("attribute-terse", "{a} {of} {s}?"),
    ("attribute-colon", "{s}: what {a}?"),
    ("attribute-keyword", "{s} {a}"),
    ("attribute-know", "Do you know the {a} {of} {s}?"),
    ("attribute-give", "Could you give me the {a} {of} {s}?"),
    ("attribute-regarding", "Regarding {s}, what is the {a}?"),
    ("attribute-as-for", "As for {s}, I need the {a}."),
    ("attribute-listed", "What is given as the {a} {of} {s}?"),
    ("attribute-which", "Which {a} belongs to {s}?"),
    ("attribute-look-up", "Please look up the {a} {of} {s}."),
    ("attribute-s", "What is {s}’s {a}?"),
    ("attribute-about", "I have a question about {s}: what is the {a}?"),
)
DETAILS = (
    ("details-what", "What do you say about {s}?"),
    ("details-rule", "What applies to {s}?"),
    ("details-about", "What about {s}?"),
    ("details-tell", "What should I know about {s}?"),
    ("details-terse", "{s}?"),
    ("details-how", "How does it work with {s}?"),
    ("details-arrangement", "What is the arrangement for {s}?"),
    ("details-question", "I have a question about {s}. What is the answer?"),
    ("details-info", "Information on {s}, please."),
    ("details-go", "Can you fill me in on {s}?"),
)
BY_KIND: dict[str, tuple[tuple[str, str], ...]] = {
    "money": PRICE,
    "date": (
        ("date-when", "When {is} {s}?"), ("date-day", "On which day {is} {s}?"), ("date-date", "What is the date for {s}?"),
        ("date-takes-place", "When {does} {s} take place?"), ("date-terse", "{s}: when?"), ("date-tell", "Tell me when {s} {is}."),
        ("date-diary", "What date should I put in my diary for {s}?"), ("date-keyword", "{s} date"), ("date-could", "Could you tell me the date of {s}?"),
    ),
    "time": (
        ("time-what", "What time {is} {s}?"), ("time-when", "When {is} {s}?"), ("time-hours", "What are the times for {s}?"), ("time-terse", "{s}: what time?"),
        ("time-tell", "Tell me the time of {s}."), ("time-keyword", "{s} time"), ("time-hour", "At what hour {is} {s}?"), ("time-know", "Do you know what time {s} {is}?"),
    ),
    "duration": (
        ("duration-long", "How long {is} it for {s}?"), ("duration-time", "How much time does it say for {s}?"), ("duration-terse", "{s}: how long?"),
        ("duration-period", "What is the period for {s}?"), ("duration-keyword", "{s} how long"), ("duration-tell", "Tell me the length of time for {s}."),
        ("duration-given", "What length of time is given for {s}?"),
    ),
    "person": (
        ("person-who", "Who is responsible for {s}?"), ("person-charge", "Who is in charge of {s}?"), ("person-ask", "Whom do I ask about {s}?"),
        ("person-talk", "Who should I talk to about {s}?"), ("person-name", "Which person deals with {s}?"), ("person-terse", "{s}: who?"),
        ("person-looks", "Who looks after {s}?"), ("person-contact", "Give me the name of the person for {s}."), ("person-handles", "Who handles {s}?"),
    ),
    "contact": (
        ("contact-what", "What are the contact details for {s}?"), ("contact-reach", "How can I reach {s}?"), ("contact-touch", "How do I get in touch about {s}?"),
        ("contact-terse", "{s}: contact?"), ("contact-details", "Please give me the contact for {s}."), ("contact-keyword", "{s} contact details"),
    ),
    "percent": (
        ("percent-what", "What percentage applies to {s}?"), ("percent-share", "How many per cent is it for {s}?"), ("percent-rate", "What is the rate for {s}?"),
        ("percent-terse", "{s}: what percentage?"), ("percent-tell", "Tell me the percentage for {s}."),
    ),
    "place": (
        ("place-where", "Where {is} {s}?"), ("place-find", "Where can I find {s}?"), ("place-location", "What is the location of {s}?"), ("place-terse", "{s}: where?"),
        ("place-tell", "Tell me where {s} {is}."), ("place-keyword", "{s} location"), ("place-whereabouts", "Whereabouts {is} {s}?"),
    ),
}  # fmt: skip
REMEDY = (
    ("remedy-do", "What should I do about {s}?"), ("remedy-see", "What do I do when I see {s}?"), ("remedy-handle", "How do I deal with {s}?"),
    ("remedy-terse", "{s}: what to do?"), ("remedy-fix", "How can I put {s} right?"), ("remedy-tell", "Tell me what to do about {s}."),
    ("remedy-help", "I’ve got {s}. What now?"), ("remedy-keyword", "{s} what to do"),
)  # fmt: skip
DAY_HOURS = (
    ("hours-when", "When are you open {d}?"), ("hours-what", "What are your opening hours {d}?"), ("hours-time", "What time do you open {d}?"),
    ("hours-from-until", "From when until when are you open {d}?"), ("hours-terse", "Opening times {d}?"), ("hours-visit", "When can I come by {d}?"),
    ("hours-doors", "At what time do your doors open and close {d}?"), ("hours-tell", "Tell me your hours {d}."), ("hours-keyword", "hours {d}"),
    ("hours-there", "Between what times is somebody there {d}?"),
)  # fmt: skip
PERSON_SUBJECT = (
    ("person-name-of", "What is the name of the person who {vp}?"),
    ("person-which", "Which person {vp}?"),
    ("person-is-it", "Who is it that {vp}?"),
    ("person-give-name", "Name the person who {vp}."),
    ("person-identify", "I’m looking for the person who {vp}. Who is that?"),
)
ROLE_NAME = (
    ("role-who", "Who is {r}?"), ("role-name", "What is the name of {r}?"), ("role-terse", "{r}: who?"), ("role-tell", "Tell me who {r} is."),
    ("role-called", "What is {r} called?"), ("role-as", "Which person is {r}?"), ("role-speak", "I’d like to speak to {r}. Who is that?"),
)  # fmt: skip
NAME_ROLE = (
    ("name-role", "What is {n}’s role?"), ("name-who", "Who is {n}?"), ("name-do", "What does {n} do?"), ("name-position", "What position does {n} have?"),
    ("name-terse", "{n}’s job?"), ("name-tell", "Tell me who {n} is."), ("name-as", "As what does {n} work?"),
)  # fmt: skip
PROFILE = (
    ("profile-tell", "Tell me about {s}."), ("profile-know", "What do you know about {s}?"), ("profile-can", "What can you tell me about {s}?"),
    ("profile-facts", "Give me some facts about {s}."), ("profile-describe", "Please describe {s}."), ("profile-summary", "Sum up what you know about {s}."),
)  # fmt: skip
CLOZE = (
    ("cloze-fill", "Fill in the gap: {g}"), ("cloze-missing", "What is missing here? {g}"), ("cloze-complete", "Complete this sentence: {g}"),
)  # fmt: skip
BE_STEMS = re.compile(r"\b(?:are|have|hours|times)\b")


def is_plural(phrase: str) -> bool:
    """Whether a noun phrase takes a plural verb."""
    head = re.split(r" (?:for|of|in|on|at|with|from|under|above|to|within|by|per|over)\b|[,(]", phrase.strip())[0].split()
    last = head[-1] if head else ""
    return (
        " and " in phrase
        or (bool(re.search(r"(?<![sui’'])s$", last))
        and last.lower() not in {"wales", "series", "news", "premises", "bus", "gas", "canvas"})
        or last.lower() in {"children", "people", "men", "women"}
    )


def fill(template: str, subject: str, attribute: str = "", preposition: str = "for") -> str:
    """A template with its noun phrases put in, verb and capital fitted to them."""
    many = is_plural(subject)
    text = template
    if text.startswith("{s}") or text.startswith("{a}"):
        subject = re.sub(r"^an? ", "", subject)
    if attribute and is_plural(attribute):
        text = text.replace("is the {a}", "are the {a}").replace("is given as", "are given as").replace("belongs", "belong")
    values = {
        "s": subject,
        "a": attribute,
        "of": preposition,
        "is": "are" if many else "is",
        "does": "do" if many else "does",
        "r": subject,
        "n": subject,
        "d": subject,
    }
    return capital(text.format(**values))


def with_other_verb(statement: str, verb: str, lemma: str, tag: str) -> list[str]:
    """The statement with its main verb replaced by each verb that can stand for it."""
    found = []
    for other in VERBS.get(lemma, ()):
        stem, _, tail = other.partition(" ")
        if tag == "VBN" and tail not in {"", "up"}:
            continue
        form = inflect(stem, tag) if stem != "be" else {"VBZ": "is", "VBP": "are", "VBD": "was", "VBN": "been"}.get(tag, "be")
        replaced = re.sub(rf"\b{re.escape(verb)}\b", f"{form} {tail}".strip(), statement, count=1)
        found.append(replaced)
    return found


def with_other_noun(question: str) -> str:
    """The question with its first common noun that has a substitute replaced, or ""."""
    for word, other in NOUNS.items():
        if re.search(rf" {word}\b", question) and not re.search(rf"\b{re.escape(other.split()[-1])}\b", question):
            other = other.removeprefix("the ") if re.search(rf"\b(?:the|a|an|your|my) {word}\b", question) else other
            return re.sub(rf" {word}\b", f" {other}", question, count=1)
    return ""
