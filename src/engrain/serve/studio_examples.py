"""Examples over HTTP: what will be trained on, word for word and token for token, and the examples that people write."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections import Counter
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from engrain.examples import ChatSettings, Example, Message, example_from_row, learned
from engrain.files import to_json
from engrain.models import context_length, load_tokenizer, locate, outline
from engrain.pipeline import LEARNED, has_examples, to_learn
from engrain.run import Run, now
from engrain.serve.failures import ApiError
from engrain.serve.studio_workspace import Own, Working, Workspace, base_of, is_editable, read_own, write_own
from engrain.tokens import encode_example
from engrain.train import TrainingSettings

router = APIRouter(prefix="/engrain", tags=["examples"])
Part = Literal["train", "heldout", "replay", "own"]
PARTS = ("train", "heldout", "replay", "own")
BINS, USUAL = 24, 97
_writing_own = Lock()


class Turn(BaseModel):
    """One turn of a conversation."""

    role: str
    content: str


class ExampleRow(BaseModel):
    """An example of a run; `id` lasts as long as it is not changed. A pass of training practises it `repeats` times (0: it is known, and
    asked as another one).
    """

    id: str
    kind: str
    form: str
    fact: str
    document: str
    repeats: int
    turns: list[Turn]


class ExamplePage(BaseModel):
    """Some of a run's examples; `counts` of each part, `stale` when facts were edited since they were written."""

    total: int
    editable: bool
    stale: bool
    counts: dict[str, int]
    kinds: dict[str, int]
    rows: list[ExampleRow]


class Token(BaseModel):
    """A piece of the text that the model sees; it learns to write those that are `trained`."""

    text: str
    trained: bool


class Rendered(BaseModel):
    """An example as the model gets it."""

    tokens: list[Token]
    count: int
    trained: int


class Bin(BaseModel):
    """How many examples have from `low` to `high` tokens, both included."""

    low: int
    high: int
    count: int


class Lengths(BaseModel):
    """How long the examples of a pass are, in tokens; `trained` of them are learned, the others only read."""

    examples: int
    tokens: int
    trained: int
    longest: int
    bins: list[Bin]


class NewOwn(BaseModel):
    """A question with the answer that the model shall give."""

    question: str = Field(min_length=1, max_length=4000)
    answer: str = Field(min_length=1, max_length=4000)
    origin: Literal["correction", "edit", "own"] = "own"


class OwnRow(NewOwn):
    """An example that somebody wrote."""

    id: str
    created: str


class OwnList(BaseModel):
    """The examples that people wrote, the newest first; every build from now on learns them."""

    rows: list[OwnRow]


@router.get("/runs/{run}/examples")
def examples(
    space: Working,
    run: str,
    part: Part = "train",
    q: str = "",
    kind: str = "",
    fact: str = "",
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=0, le=500)] = 50,
) -> ExamplePage:
    """Examples that have the words `q`, are of a kind, or practise a fact."""
    found = space.run(run)
    rows = found.read_rows(f"examples/{part}.jsonl")
    words = q.casefold().split()
    fitting = [
        (number, row)
        for number, row in enumerate(rows)
        if (not kind or row.get("kind") == kind) and (not fact or row.get("fact") == fact) and _has(row, words)
    ]
    return ExamplePage(
        total=len(fitting),
        editable=is_editable(found) and not found.in_use(),
        stale=is_editable(found) and not has_examples(found),
        counts={name: found.count_rows(f"examples/{name}.jsonl") for name in PARTS},
        kinds=dict(Counter(str(row.get("kind")) for row in rows).most_common()),
        rows=[_row(number, row) for number, row in fitting[offset:][:limit]],
    )


@router.delete("/runs/{run}/examples/{example}", status_code=204)
def remove(space: Working, run: str, example: str) -> None:
    """Remove an example to train on; it comes back when the examples are written anew after a change of facts."""
    edited = space.editable(run)
    with edited.lock():
        rows = edited.read_rows("examples/train.jsonl")
        number = _number(rows, example)
        edited.write_rows("examples/train.jsonl", rows[:number] + rows[number + 1 :])


@router.get("/runs/{run}/examples/{example}/tokens")
def rendered(space: Working, run: str, example: str, part: Part = "train") -> Rendered:
    """The example in the words of the model's chat template, token by token."""
    found = space.run(run)
    rows = found.read_rows(f"examples/{part}.jsonl")
    tokenizer = _tokenizer(base_of(found))
    shown = learned(example_from_row(rows[_number(rows, example)]), turns_of(found))
    encoded = encode_example(tokenizer, shown.messages)
    texts = _texts(tokenizer, encoded.ids.tolist())
    tokens = [Token(text=text, trained=bool(trained)) for text, trained in zip(texts, encoded.supervised, strict=True)]
    return Rendered(tokens=tokens, count=len(tokens), trained=int(encoded.supervised.sum()))


@router.get("/runs/{run}/lengths")
def lengths(space: Working, run: str) -> Lengths:
    """How long the rows are that the run trains on, everyday texts and what people wrote with them; takes some seconds the first time."""
    found = space.run(run)
    files = [found.path / "examples" / f"{name}.jsonl" for name in LEARNED]
    if not files[0].is_file():
        raise ApiError(409, "No examples are written yet.", "no_examples", "run")
    changed = tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)
    max_length = found.info["settings"].get("max_length", TrainingSettings.max_length)
    counts, trained = _lengths(found.path, changed, base_of(found), turns_of(found), max_length)
    return Lengths(examples=len(counts), tokens=sum(counts), trained=trained, longest=max(counts, default=0), bins=_bins(counts))


@router.get("/examples")
def own(space: Working) -> OwnList:
    """The examples that people wrote."""
    return OwnList(rows=[_own_row(row) for row in reversed(read_own(space))])


@router.post("/examples", status_code=201)
def add(space: Working, new: NewOwn) -> OwnRow:
    """Add an example; it takes the place of others with the same question."""
    turns = (Message("user", new.question.strip()), Message("assistant", new.answer.strip()))
    example_from_row({"messages": [{"role": turn.role, "content": turn.content} for turn in turns]})
    same = re.sub(r"\W+", " ", turns[0].content).casefold().strip()
    made = Own(uuid.uuid4().hex[:12], Example(turns), new.origin, now())
    with _writing_own:
        kept = [row for row in read_own(space) if re.sub(r"\W+", " ", row.example.messages[0].content).casefold().strip() != same]
        write_own(space, [*kept, made])
    return _own_row(made)


@router.delete("/examples/{example}", status_code=204)
def forget(space: Working, example: str) -> None:
    """Remove an example that somebody wrote."""
    with _writing_own:
        rows = read_own(space)
        kept = [row for row in rows if row.id != example]
        if len(kept) == len(rows):
            raise ApiError(404, f"There is no example {example!r}.", "not_found", "example")
        write_own(space, kept)


def snapshot(space: Workspace, name: str) -> Path | None:
    """A copy of what people wrote so far, for one build to learn; None where there is nothing."""
    rows = read_own(space)
    if not rows:
        return None
    copied = space.folder / "builds" / f"{name}-own.jsonl"
    copied.parent.mkdir(parents=True, exist_ok=True)
    copied.write_bytes(space.own.read_bytes())
    return copied


def _own_row(own: Own) -> OwnRow:
    question, answer = (message.content for message in own.example.messages[-2:])
    return OwnRow(id=own.id, created=own.created, origin=own.origin, question=question, answer=answer)  # type: ignore[arg-type]


def _has(row: dict[str, Any], words: list[str]) -> bool:
    said = " ".join(turn["content"] for turn in row["messages"]).casefold() if words else ""
    return all(word in said for word in words)


def _identity(number: int, row: dict[str, Any]) -> str:
    return f"{number}-{hashlib.sha256(to_json(row['messages']).encode()).hexdigest()[:10]}"


def _number(rows: list[dict[str, Any]], identifier: str) -> int:
    number = identifier.partition("-")[0]
    if not number.isdecimal() or int(number) >= len(rows) or _identity(int(number), rows[int(number)]) != identifier:
        raise ApiError(404, "This example was changed or removed since; look again.", "not_found", "example")
    return int(number)


def _row(number: int, row: dict[str, Any]) -> ExampleRow:
    turns = [Turn(role=turn["role"], content=turn["content"]) for turn in row["messages"]]
    named = {name: str(row.get(name, "")) for name in ("kind", "form", "fact", "document")}
    return ExampleRow(id=_identity(number, row), turns=turns, repeats=row.get("repeats", 1), **named)


def turns_of(run: Run) -> str:
    """Which turns of a conversation the run learns."""
    return str(run.info["settings"].get("turns", ChatSettings.turns))


@lru_cache(maxsize=2)
def _tokenizer(base: str) -> Any:
    return load_tokenizer(locate(base))


def _texts(tokenizer: Any, ids: list[int]) -> list[str]:
    """The text of each token; one that holds part of a character goes with the tokens that complete it."""
    texts, waiting = [], []
    for number in ids:
        waiting.append(number)
        text = tokenizer.decode(waiting, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if text.endswith("\ufffd") and len(waiting) < 4:
            texts.append("")
            continue
        texts.append(text)
        waiting = []
    return texts


@lru_cache(maxsize=4)
def _lengths(folder: Path, changed: tuple[int, ...], base: str, turns: str, max_length: int) -> tuple[list[int], int]:
    """The tokens of each row that the run trains on, as often as a pass comes to it, and how many of them are graded in all."""
    limit = min(max_length, context_length(outline(base)))
    counts, trained = list[int](), 0
    for name, example, row in to_learn(Run(folder), _tokenizer(base), turns):
        if name in LEARNED and len(row) <= limit:
            counts += [len(row)] * example.repeats
            trained += int(row.supervised.sum()) * example.repeats
    return counts, trained


def _bins(counts: list[int]) -> list[Bin]:
    """The counts in at most BINS bins of equal width; the last one reaches up to the longest, since a few are much longer."""
    if not counts:
        return []
    low, usual = min(counts), int(np.percentile(counts, USUAL))
    width = max(1, -(-(usual - low + 1) // BINS))
    last = (usual - low) // width
    found = np.bincount(np.minimum((np.array(counts) - low) // width, last))
    ends = [low + width * (i + 1) - 1 for i in range(len(found) - 1)] + [max(counts)]
    return [Bin(low=low + width * i, high=end, count=int(count)) for i, (end, count) in enumerate(zip(ends, found, strict=True))]
