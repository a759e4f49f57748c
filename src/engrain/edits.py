"""Edits by hand: facts and examples of a run as people left them, checked against the documents and marked.

`made.json` keeps a hash of each row as engrain wrote it; a row that is not among them was edited.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

from engrain.documents.base import Section
from engrain.errors import DocumentError, ExampleError
from engrain.examples import Example, example_from_row, example_to_row
from engrain.files import whole_lines
from engrain.knowledge.blocks import sentence_before
from engrain.knowledge.extract import GAP
from engrain.knowledge.facts import Fact
from engrain.knowledge.values import find_values
from engrain.knowledge.wording import answer
from engrain.run import Run
from engrain.words import canonical, holds

FACTS, EXAMPLES = "facts.jsonl", ("examples/train.jsonl", "examples/heldout.jsonl")
TEXTS = ("id", "subject", "relation", "value", "kind", "evidence", "section", "topic", "business", "before")
KINDS = (
    "money", "time", "date", "duration", "count", "measure", "percent", "person", "place", "contact", "name", "yesno", "text",
)  # fmt: skip
T = TypeVar("T")
Row = Mapping[str, Any]


def note_made(run: Run, name: str, rows: Sequence[Any]) -> None:
    """Remember the rows that engrain wrote into a file of the run; those that people edited are not among them."""
    made = dict(made_of(run))
    made[name] = [hashed(row) for row in map(as_row, rows) if not row.get("edited")]
    run.write_json("made.json", made)


def made_of(run: Run) -> dict[str, list[str]]:
    """File → the hashes of its rows as engrain wrote them; empty for a run that kept none."""
    return dict(run.read_json("made.json")) if (run.path / "made.json").is_file() else {}


def as_row(value: Any) -> dict[str, Any]:
    """A fact or an example as the row it is written as."""
    return example_to_row(value) if isinstance(value, Example) else asdict(value) if isinstance(value, Fact) else dict(value)


def hashed(row: Row) -> str:
    """The hash of a row, whatever the order of its keys and whether it is marked."""
    kept = {key: value for key, value in row.items() if key != "edited"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def edited_facts(run: Run, sections: Sequence[Section]) -> list[Fact]:
    """The facts of a run, those that people changed or added marked, and their places found anew.

    Raises DocumentError that lists every fault with file and line: no object, a value that does not stand in its section.
    """
    facts, faults = read_facts(run, sections)
    if not faults and not facts:
        faults.append("there is no fact left to learn")
    if faults:
        raise DocumentError(f"{run.path / FACTS} cannot be used as it was edited:", "Mend these lines and start again.", faults)
    return facts


def edited_examples(run: Run, sections: Sequence[Section]) -> tuple[list[Fact], dict[str, list[Example]]]:
    """The facts and, by file, the examples of a run, those that people changed or added marked.

    Raises ExampleError that lists every fault of facts and examples with file and line.
    """
    facts, faults = read_facts(run, sections)
    known, texts = {fact.id: fact for fact in facts}, {section.id: said(section) for section in sections}
    found: dict[str, list[Example]] = {}
    for name in EXAMPLES:
        found[name] = read(run, name, lambda row, mine: example_of(row, mine, known, texts), faults)
    if not faults and not found[EXAMPLES[0]]:
        faults.append(f"{run.path / EXAMPLES[0]}: there is nothing to train on")
    if faults:
        raise ExampleError(f"{run.path} cannot be used as it was edited:", "Mend these lines and start again.", faults)
    return facts, found


def read_facts(run: Run, sections: Sequence[Section]) -> tuple[list[Fact], list[str]]:
    """The facts of a run, and every fault of their rows."""
    faults: list[str] = []
    places, seen = {section.id: section for section in sections}, set[str]()

    def parse(row: Row, mine: bool) -> Fact:
        fact = fact_of_row(row, places, mine)
        if fact.id in seen:
            raise ValueError(f"the id {fact.id!r} stands further up already")
        seen.add(fact.id)
        return fact

    return read(run, FACTS, parse, faults), faults


def read(run: Run, name: str, parse: Callable[[Row, bool], T], faults: list[str]) -> list[T]:
    """What `parse` makes of each row and whether it was edited; its complaints go to `faults` with file and line."""
    path, made = run.path / name, made_of(run).get(name)
    before = set(made or ())
    found: list[T] = []
    for number, line in enumerate(whole_lines(path) if path.is_file() else [], 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("a row must be an object")
            found.append(parse(row, bool(row.get("edited")) if made is None else hashed(row) not in before))
        except json.JSONDecodeError as error:
            faults.append(f"{path}:{number}: not JSON: {error}")
        except (ValueError, ExampleError) as error:
            faults.append(f"{path}:{number}: {error.message if isinstance(error, ExampleError) else error}")
    return found


def fact_of_row(row: Row, sections: Mapping[str, Section], edited: bool) -> Fact:
    """The fact of a row; what an added one leaves out is filled in. Raises ValueError with all that is wrong with it."""
    unknown = sorted(row.keys() - {f.name for f in fields(Fact)})
    wrong = [f"{name} must be text" for name in TEXTS if not isinstance(row.get(name, ""), str)]
    wrong += [f"there is no key {name!r}" for name in unknown]
    wrong += [f"{name} is missing" for name in ("relation", "value", "section") if not row.get(name)]
    weight = row.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 10:
        wrong.append(f"weight={weight!r}: it must be a number from 0 to 10")
    if wrong:
        raise ValueError("; ".join(wrong))
    section = sections.get(row["section"])
    if section is None:
        raise ValueError(f"there is no section {row['section']!r}; documents.jsonl lists them as file#number")
    if row.get("kind", "text") not in KINDS:
        raise ValueError(f"kind={row['kind']!r}: choose one of {', '.join(KINDS)}")
    if str(row["relation"]).count(GAP) > 1:
        raise ValueError(f"relation has more than one {GAP}")
    start = place_of(row, section)
    if start < 0:
        raise ValueError(f"the value {row['value']!r} does not stand in {section.place} letter by letter")
    return filled(row, section, start, edited)


def place_of(row: Row, section: Section) -> int:
    """Where a row's value stands in its section: where the row says, else the nearest place to that; -1 where it does not."""
    value, start = row["value"], row.get("start", 0)
    start = start if isinstance(start, int) and start >= 0 else 0
    if section.text[start : start + len(value)] == value:
        return start
    places = [i for i in range(len(section.text)) if section.text.startswith(value, i)]
    return min(places, key=lambda place: abs(place - start), default=-1)


def filled(row: Row, section: Section, start: int, edited: bool) -> Fact:
    """The fact of a checked row at its place, with what the row leaves out."""
    line_start = section.text.rfind("\n", 0, start) + 1
    line = section.text[line_start:].split("\n", 1)[0].strip(" -*|")
    identity = hashlib.sha256(f"{section.id}|{start}|{row['value']}|{row['relation']}".encode()).hexdigest()[:12]
    topic, before = section.headings[-1] if section.headings else "", sentence_before(section.text, line)
    given = {"id": identity, "subject": "", "kind": "text", "evidence": line, "topic": topic, "before": before}
    values = {**given, **{key: value for key, value in row.items() if value != ""}}
    return Fact(**{**values, "start": start, "end": start + len(row["value"]), "edited": edited})


def carried(edited: Sequence[Fact], facts: Sequence[Fact], sections: Mapping[str, Section]) -> list[Fact]:
    """The facts of sections that have changed, with what was edited by hand before, where the new text still says it."""
    found = {fact.id: fact for fact in facts}
    for fact in edited:
        twin = next(
            (f for f in facts if (f.section, f.subject, f.relation, f.value) == (fact.section, fact.subject, fact.relation, fact.value)),
            None,
        )
        if twin is not None:
            found.pop(twin.id, None)
            found[fact.id] = replace(fact, start=twin.start, end=twin.end, evidence=twin.evidence, before=twin.before)
        elif (section := sections.get(fact.section)) and holds(said(section), canonical(fact.evidence)):
            start = place_of(asdict(fact), section)
            if start >= 0:
                found[fact.id] = replace(fact, start=start, end=start + len(fact.value))
    return list(found.values())


def example_of(row: Row, edited: bool, facts: Mapping[str, Fact], texts: Mapping[str, str]) -> Example:
    """The example of a row. Raises ValueError where an edited one answers with a value that its sources do not hold.

    Sources are the sections of all facts about the same subject, and what engrain says for their values and those of the fact's section:
    a bare 285.00 of a column in pounds is answered with £285.00.
    """
    example = replace(example_from_row(dict(row)), edited=edited)
    if edited and not example.repeats:
        example = replace(example, repeats=1)  # whoever mends a question wants it learned
    if not edited or not example.fact:
        return example
    fact = facts.get(example.fact)
    if fact is None:
        raise ValueError(f"there is no fact {example.fact!r} in {FACTS}; leave the key out for an example of your own")
    reply = example.messages[-1].content
    values = [reply[value.start : value.end] for value in find_values(reply)]
    beside = [other for other in facts.values() if other.section == fact.section or other.subject == fact.subject]
    held = " ".join((*(texts[name] for name in {other.section: None for other in beside}), *(canonical(answer(f)) for f in beside)))
    absent = [value for value in values if not holds(held, canonical(value))]
    if absent:
        raise ValueError(f"it answers with {', '.join(map(repr, absent))}, which does not stand in {fact.section}")
    return example


def said(section: Section) -> str:
    """All that a section says, in words for comparison."""
    return canonical("\n".join((*section.headings, section.text)))
