"""Questions over two cells of tables: a thing that is only described by another cell is asked for, in the words of its own questions."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from engrain.knowledge import phrasing
from engrain.knowledge.attributes import ROLE_COLUMN, describes, first_column, is_noun, role_name
from engrain.knowledge.combine import spoken
from engrain.knowledge.facts import Fact, full_name, names_person
from engrain.knowledge.items import header, is_role_name, tidy_key
from engrain.knowledge.opening import weekdays
from engrain.knowledge.wording import Wording, normal, said

LONGEST = 6
"""Words of a name or value that can stand inside a question."""
NUM_WORDINGS = 2
"""Questions of a fact in which its subject is replaced by a description."""


def chains(facts: Sequence[Fact], found: Sequence[Sequence[Wording]]) -> Iterator[tuple[Fact, Wording]]:
    """Questions that need two attributes, each with the fact that holds its answer; the answer names what lies between.

    `found` holds the wordings of each fact.
    """
    asked = {f.id: own_questions(f, each) for f, each in zip(facts, found, strict=True)}
    cells = [f for f in facts if f.form == "attribute" and f.relation and f.kind != "yesno"]
    by_subject: dict[str, list[Fact]] = defaultdict(list)
    for fact in cells:
        by_subject[fact.subject].append(fact)
    same = Counter((f.relation, normal(f.value)) for f in cells)
    for clue in cells:
        if not is_noun(header(clue.relation)):
            continue
        told = first_column(clue) and is_short(clue.value) and same[clue.relation, normal(clue.value)] == 1
        if told and describes(clue) and is_noun(header(first_column(clue))):
            for fact in by_subject[clue.subject]:
                if fact.relation != clue.relation and (fact.section == clue.section or full_name(fact.subject)):
                    yield from described(fact, described_by(clue), asked[fact.id])
        for fact in by_subject.get(clue.value, []):
            if is_short(clue.subject) and fact.subject != clue.subject and not weekdays(clue.value):
                yield from described(fact, f"the {header(clue.relation)} of {tidy_key(clue.subject)}", asked[fact.id])


def is_short(text: str) -> bool:
    """Whether a text can stand inside a question."""
    return 0 < len(text.split()) <= LONGEST


def own_questions(fact: Fact, found: Sequence[Wording]) -> list[str]:
    """The plainest questions of a fact that name its subject."""
    key = tidy_key(fact.subject) if fact.subject.strip() else ""
    plain = [w.prompt for w in found if w.kind == "question" and not w.form.startswith("loose-") and not re.search(r"\+|wrap-", w.form)]
    whole = re.compile(rf"{re.escape(key)}(?![’'\w])")
    return [prompt for prompt in plain if key and whole.search(prompt) and prompt.endswith("?") and ":" not in prompt][:NUM_WORDINGS]


def described_by(clue: Fact) -> str:
    """A thing without its name: the Saturday assistant, the person whose role is shop and post, the course whose tutor is X."""
    value, relation = said(clue.value, clue.relation).rstrip("."), header(clue.relation)
    if ROLE_COLUMN.search(relation):
        value = role_name(value)
        if is_role_name(value):
            return f"the {value}"
    kind = header(first_column(clue))
    kind = "person" if names_person(clue) else kind if is_short(kind) and kind not in ("name", relation) else "one"
    return f"the {kind} whose {relation} {'are' if phrasing.is_plural(relation) else 'is'} {value}"


def described(fact: Fact, description: str, questions: Sequence[str]) -> Iterator[tuple[Fact, Wording]]:
    """The fact's questions with the description in its subject's place; the answer names the subject first."""
    key = tidy_key(fact.subject) if fact.subject.strip() else ""
    for number, question in enumerate(questions):
        prompt = re.sub(rf"(?:\b[Tt]he )?{re.escape(key)}", description, question, count=1)
        yield fact, Wording("two", f"two-described-{number}", prompt[0].upper() + prompt[1:], f"That is {key}: {spoken(fact)}.")
