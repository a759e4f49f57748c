"""Inflection: the forms of English verbs that turning a statement into a question needs."""

from __future__ import annotations

import re

IRREGULAR = """be was been; become became become; begin began begun; bend bent bent; bite bit bitten; blow blew blown; break broke broken;
bring brought brought; build built built; burn burnt burnt; buy bought bought; catch caught caught; choose chose chosen; come came come;
cost cost cost; cut cut cut; deal dealt dealt; do did done; draw drew drawn; drink drank drunk; drive drove driven; eat ate eaten;
fall fell fallen; feed fed fed; feel felt felt; find found found; fly flew flown; forbid forbade forbidden; forget forgot forgotten;
freeze froze frozen; get got got; give gave given; go went gone; grind ground ground; grow grew grown; hang hung hung; have had had;
hear heard heard; hide hid hidden; hit hit hit; hold held held; keep kept kept; know knew known; lay laid laid; lead led led;
leave left left; lend lent lent; let let let; lie lay lain; light lit lit; lose lost lost; make made made; mean meant meant;
meet met met; pay paid paid; put put put; quit quit quit; read read read; ride rode ridden; ring rang rung; rise rose risen;
run ran run; say said said; see saw seen; sell sold sold; send sent sent; set set set; shake shook shaken; shine shone shone;
shoot shot shot; shut shut shut; show showed shown; sing sang sung; sit sat sat; sleep slept slept; speak spoke spoken;
spend spent spent; split split split; stand stood stood; steal stole stolen; stick stuck stuck; strike struck struck;
swim swam swum; take took taken; teach taught taught; tear tore torn; tell told told; think thought thought; throw threw thrown;
understand understood understood; wake woke woken; wear wore worn; win won won; write wrote written; swear swore sworn;
undertake undertook undertaken; overcome overcame overcome; oversee oversaw overseen; withdraw withdrew withdrawn"""
PAST = {row.split()[0]: row.split()[1] for row in IRREGULAR.split(";")}
PARTICIPLE = {row.split()[0]: row.split()[2] for row in IRREGULAR.split(";")}
DOUBLING = re.compile(r"^[^aeiou]*[aeiou][bdgmnprt]$|(?:mit|fer|cur|gin|get|pel|trol|ship)$")


def third_person(lemma: str) -> str:
    """The present tense after he, she or it."""
    if lemma in {"be", "have"}:
        return {"be": "is", "have": "has"}[lemma]
    if re.search(r"(?:s|x|z|ch|sh|o)$", lemma):
        return lemma + "es"
    return lemma[:-1] + "ies" if re.search(r"[^aeiou]y$", lemma) else lemma + "s"


def past(lemma: str, participle: bool = False) -> str:
    """The past tense, or the past participle."""
    known = (PARTICIPLE if participle else PAST).get(lemma)
    if known:
        return known
    if lemma.endswith("e"):
        return lemma + "d"
    if re.search(r"[^aeiou]y$", lemma):
        return lemma[:-1] + "ied"
    return lemma + (lemma[-1] if DOUBLING.search(lemma) else "") + "ed"


def gerund(lemma: str) -> str:
    """The -ing form."""
    if lemma.endswith("ie"):
        return lemma[:-2] + "ying"
    if lemma.endswith("e") and lemma not in {"be", "see"} and not lemma.endswith("ee"):
        return lemma[:-1] + "ing"
    return lemma + (lemma[-1] if DOUBLING.search(lemma) else "") + "ing"


def inflect(lemma: str, tag: str) -> str:
    """The verb in the form that a Penn Treebank tag names (VB, VBP, VBZ, VBD, VBN, VBG)."""
    if tag == "VBZ":
        return third_person(lemma)
    if tag in {"VBD", "VBN"}:
        return past(lemma, tag == "VBN")
    return gerund(lemma) if tag == "VBG" else lemma


def article(phrase: str) -> str:
    """The indefinite article before a phrase: letters read one by one begin as their first one is called ("an RRP")."""
    word = phrase.partition(" ")[0]
    spelled = word.isupper() and len(word) > 1
    return "an" if word[:1].lower() in ("aefhilmnorsx" if spelled else "aeiou") else "a"


def capital(text: str) -> str:
    """The text with its first letter upper case."""
    return text[:1].upper() + text[1:]
