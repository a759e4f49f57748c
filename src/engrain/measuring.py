"""Measuring a run: which questions, what the untouched model says to them, what the tuned one says, and what was forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

from engrain.assistant import BOTH, MAX_NEW_TOKENS, Assistant, Library, check_trained
from engrain.assistant import load as load_assistant
from engrain.by_heart import FILE as BY_HEART
from engrain.by_heart import by_heart
from engrain.errors import ExampleError
from engrain.evaluate import (
    ALONE,
    BASE,
    BASE_RETRIEVAL,
    FOLLOW_UP,
    GENERAL,
    TUNED,
    TUNED_RETRIEVAL,
    Ask,
    Evaluation,
    Outcome,
    evaluate,
    read_questions,
    score,
)
from engrain.examples import Example, Message, Question, asked_with, example_from_row, exchange, talk
from engrain.generate import perplexity, window_scores, windows
from engrain.knowledge.wording import STUDIED
from engrain.models import context_length, load_tokenizer, locate, outline
from engrain.progress import SILENT, Progress
from engrain.run import Run
from engrain.tokens import encode_prompt, question_messages
from engrain.words import canonical, holds

T = TypeVar("T")
EVERYDAY = Path(__file__).parent / "data" / "general"
HELDOUT_QUESTIONS = 100
"""Questions in held-out wordings that are asked where the user brings none."""
UNANSWERED = 0.2
"""Share of them, at most, that the documents do not answer."""
ENOUGH = 20
"""Questions that rules did not write, from which on those that they wrote, in patterns like the trained ones, are not asked."""
PERPLEXITY_TOKENS = 4096
TAUGHT = ("train", "own")
"""Files of examples that are learned for what they say."""
KINDS = {"question": "paraphrase"}
"""Held-out wordings of a question are paraphrases to the evaluation; other kinds keep their names."""
COLUMNS = {BASE: "closed-book", BASE_RETRIEVAL: BOTH, TUNED: "closed-book", TUNED_RETRIEVAL: BOTH}


def each_example(run: Run, name: str) -> Iterator[Example]:
    """The examples of a run by the name of their file (train, own, heldout or replay), one after the other."""
    return map(example_from_row, run.each_row(f"examples/{name}.jsonl"))


def load_examples(run: Run, name: str) -> list[Example]:
    """The examples of a run by the name of their file: train, own, heldout or replay."""
    return list(each_example(run, name))


def each_taught(run: Run) -> Iterator[Example]:
    """The examples that a run is to learn, made of documents and people's own: all it trains on but everyday texts."""
    return (example for name in TAUGHT for example in each_example(run, name))


def guiding(heldout: Sequence[T]) -> list[T]:
    """The held-out rows that choose weights: every fourth, for the rest are the questions that measure."""
    return list(heldout[1::4] or heldout)


def testing(heldout: Sequence[T]) -> list[T]:
    """The held-out rows that measure, none of which chose anything."""
    return [row for number, row in enumerate(heldout) if number % 4 != 1]


def spread(rows: Sequence[T], count: int) -> list[T]:
    """`count` of the rows, or all if there are no more, from beginning to end at equal distances."""
    chosen = min(len(rows), count)
    return [rows[i * len(rows) // chosen] for i in range(chosen)]


def questions_for(run: Run, file: Path | None, progress: Progress = SILENT) -> list[Question]:
    """The test questions: the user's own, or held-out wordings of the facts; and general ones for what is forgotten.

    Held-out rows that cannot measure are left out with a note.
    """
    own = read_questions(file) if file is not None else heldout_questions(run, progress)
    taken = {question.id for question in own}
    general = read_questions(EVERYDAY / "questions.jsonl")
    return [*own, *(replace(q, id=f"general {q.id}") if q.id in taken else q for q in general)]


def heldout_questions(run: Run, progress: Progress) -> list[Question]:
    """Held-out rows as test questions: nothing trained asks them, nothing was chosen by them, and the model has room for them."""
    values = {row["id"]: row["value"] for row in run.read_rows("facts.jsonl")}
    rows = load_examples(run, "heldout")
    heldout = testing(rows)
    by_question = {asked_with(example): example for example in heldout}
    used = chain(each_taught(run), guiding(rows) if len(rows) > 1 else [])
    known = {asked for asked in map(asked_with, used) if asked in by_question}
    new = [example for asked, example in by_question.items() if asked not in known]
    found = {e: question for e in new if (question := heldout_question(e, values.get(e.fact, "")))}
    short = fitting(run, found)
    left = {
        "ask what is trained, what chose the weights, or what another asks": len(heldout) - len(new),
        "are no talk that can be asked": len(new) - len(found),
        "have a question or an answer longer than fits": len(found) - len(short),
    }
    for why, count in left.items():
        if count:
            progress.note(f"{count} of {len(heldout)} held-out rows are not asked: they {why}.")
    return [replace(short[e], id=f"h-{number:03}") for number, e in enumerate(telling(list(short)), 1)]


def telling(rows: Sequence[Example]) -> list[Example]:
    """At most HELDOUT_QUESTIONS of the rows, which tell most of how people's own questions will be answered.

    A fifth have no answer. The others were not written by rules, whose held-out wordings are much like their trained ones; only
    where there are fewer than ENOUGH, these come too.
    """
    kinds: dict[str, list[Example]] = {"absent": [], "ruled": [], "others": []}
    for row in rows:
        ruled = row.kind == "question" and row.form != STUDIED
        kinds["absent" if row.kind == "unanswerable" else "ruled" if ruled else "others"].append(row)
    absent = spread(kinds["absent"], round(UNANSWERED * HELDOUT_QUESTIONS))
    most = HELDOUT_QUESTIONS - len(absent)
    asked = spread(kinds["others"], most)
    return [*asked, *(spread(kinds["ruled"], most - len(asked)) if len(asked) < ENOUGH else []), *absent]


def fitting(run: Run, questions: Mapping[T, Question]) -> dict[T, Question]:
    """Those of the questions that the run's base can be asked, and whose answer is no longer than a reply may be."""
    if not questions:
        return {}
    base = run.info["settings"]["base"]
    tokenizer, room = load_tokenizer(locate(base)), context_length(outline(base)) - MAX_NEW_TOKENS

    def fits(question: Question) -> bool:
        system = [Message("system", question.system)] if question.system else []
        length = max((len(tokenizer.encode(answer, add_special_tokens=False)) for answer in question.answers), default=0)
        return length <= MAX_NEW_TOKENS and len(encode_prompt(tokenizer, question_messages(question.question, (), system))) <= room

    return {key: question for key, question in questions.items() if fits(question)}


def heldout_question(example: Example, value: str) -> Question | None:
    """A held-out example as a test question without id; None for a talk in a form that cannot be asked.

    A reply must contain its fact's value, or all of its answer where that alone tells.
    """
    kind = KINDS.get(example.kind, example.kind)
    *before, answer = exchange(example)
    try:
        system, history, question = talk(before)
    except ExampleError:
        return None
    tells = holds(canonical(answer.content), canonical(value)) and not holds(canonical(question), canonical(value))
    wanted = value if tells and example.kind in ("question", FOLLOW_UP) else answer.content
    answers = () if kind == "unanswerable" else (wanted,)
    return Question("", question, answers, kind, example.document, history, system)


def measure_base(run: Run, questions: Sequence[Question], progress: Progress) -> None:
    """What the untouched model answers, closed-book and from passages, in `before.json`; nothing to do where it stands there."""
    if base_measured(run, questions):
        return
    assistant = load_assistant(run, base_only=True, progress=progress)
    replies = {
        column: asking(assistant, column, progress)(asked(questions, column)) for column in usable(assistant, (BASE, BASE_RETRIEVAL))
    }
    run.write_json(
        "before.json", {"asked": put(questions), "replies": replies, "perplexity": text_perplexities(assistant, progress)[TUNED]}
    )


def base_measured(run: Run, questions: Sequence[Question]) -> bool:
    """Whether `before.json` holds what the untouched model answers to these very questions."""
    return (run.path / "before.json").is_file() and run.read_json("before.json").get("asked") == put(questions)


def put(questions: Sequence[Question]) -> list[list[str]]:
    """The questions as they are told apart: the id and all that is asked, and what stands before it."""
    return [[question.id, question.whole, *filter(None, [question.system])] for question in questions]


def measure(run: Run, questions: Sequence[Question], progress: Progress) -> Evaluation:
    """The tuned model beside what the base said before, in `evaluation.json`."""
    before = run.read_json("before.json")
    columns = {column: recalled(asked(questions, column), replies) for column, replies in before["replies"].items()}
    assistant = load_assistant(run, progress=progress)
    columns |= {c: gated(asking(assistant, c, progress), columns[BASE], assistant) for c in usable(assistant, (TUNED, TUNED_RETRIEVAL))}
    figures = {BASE: before["perplexity"], **text_perplexities(assistant, progress)}
    evaluation = replace(evaluate(columns, questions, progress, figures), alone=alone(assistant, questions, progress))
    run.write_json("evaluation.json", evaluation.to_dict())
    note_by_heart(run, assistant, progress)
    return evaluation


def note_by_heart(run: Run, assistant: Assistant, progress: Progress) -> None:
    """Which of its facts the tuned model has by heart, in `by-heart.jsonl`; nothing where it learned none."""
    rows = by_heart(assistant.model, assistant.tokenizer, each_example(run, "train"), progress)
    if rows:
        run.write_rows(BY_HEART, map(asdict, rows))
        progress.note(f"By heart, in the words that were practised most: {sum(row.known for row in rows):,} of {len(rows):,} facts.")


def gated(tuned: Ask, base: Ask, assistant: Assistant) -> Ask:
    """Asks `tuned` what concerns the documents, and in their talk what follows on others; the rest the base has answered already."""

    def ask(questions: Sequence[Question]) -> list[str]:
        alone = assistant.concerns([q.question for q in questions])
        concerned = [c or bool(q.history) for q, c in zip(questions, alone, strict=True)]
        replies = iter(tuned([q for q, c in zip(questions, concerned, strict=True) if c]))
        known = iter(base([q for q, c in zip(questions, concerned, strict=True) if not c]))
        return [next(replies if c else known) for c in concerned]

    return ask


def alone(assistant: Assistant, questions: Sequence[Question], progress: Progress) -> tuple[Outcome, ...]:
    """What the tuned model makes of the questions by itself; nothing where it was asked by itself already."""
    if assistant.everyday is None and not assistant.rewrites:
        return ()
    bare = Assistant(assistant.model, assistant.tokenizer, Library((), ()))
    return tuple(score(questions, asking(bare, TUNED, progress)(questions)))


@dataclass(frozen=True)
class Changed:
    """A question that a new model answers otherwise than the one before it."""

    question: str
    before: str
    after: str


def changed_answers(earlier: Run, run: Run, progress: Progress) -> list[Changed]:
    """The test questions of a run, about its documents, to which the model of an earlier run replies otherwise."""
    if not (run.path / "evaluation.json").is_file():
        return []
    now = Evaluation.from_dict(run.read_json("evaluation.json"))
    outcomes = [o for o in now.outcomes[TUNED] if o.question.kind != GENERAL]
    replies = asking(load_assistant(earlier, progress=progress), TUNED, progress)([o.question for o in outcomes])
    pairs = [(o.question.whole, old, o.reply) for o, old in zip(outcomes, replies, strict=True)]
    return [Changed(*pair) for pair in pairs if canonical(pair[1]) != canonical(pair[2])]


def compare(run: Run, questions: Sequence[Question], progress: Progress) -> Evaluation:
    """Base and tuned model, each with and without passages, on any questions; nothing is written."""
    check_trained(run.path, run.info)
    columns: dict[str, Ask] = {}
    for base_only, names in ((True, (BASE, BASE_RETRIEVAL)), (False, (TUNED, TUNED_RETRIEVAL))):
        assistant = load_assistant(run, base_only=base_only, progress=progress)
        columns |= {column: asking(assistant, column, progress) for column in usable(assistant, names)}
    return evaluate(columns, questions, progress)


def asking(assistant: Assistant, column: str, progress: Progress) -> Ask:
    """A column that asks the assistant; what follows on other questions is asked in its talk, as `engrain chat` does."""

    def ask(questions: Sequence[Question]) -> list[str]:
        found: dict[str, str] = {}
        for system in dict.fromkeys(q.system for q in questions):
            told = assistant.told(system)
            here = [q for q in questions if q.system == system]
            alone = [q for q in here if not q.history]
            replies = told.replies([q.question for q in alone], COLUMNS[column], progress, f"Asking the {column} model")
            found |= zip((q.id for q in alone), replies, strict=True)
            found |= {q.id: in_talk(told, column, q, progress) for q in here if q.history}
        return [found[q.id] for q in questions]

    return ask


def in_talk(assistant: Assistant, column: str, question: Question, progress: Progress) -> str:
    """The reply to a question after the turns before it; turns that the model cannot see any more are said."""
    assistant.switch(COLUMNS[column])
    gone = assistant.forgotten(question.question, question.history)
    if gone:
        progress.note(f"{question.id}: the talk is longer than the model can see; {gone} of its turns are left out.")
    return "".join(assistant.stream(question.question, question.history)).strip()


def recalled(questions: Sequence[Question], replies: Sequence[str]) -> Ask:
    """A column that repeats what was answered before."""
    known = {q.id: reply for q, reply in zip(questions, replies, strict=True)}
    return lambda again: [known[q.id] for q in again]


def asked(questions: Sequence[Question], column: str) -> list[Question]:
    """The questions a column is asked: general ones test what the model itself knows, so not from passages."""
    return [q for q in questions if q.kind != GENERAL or COLUMNS[column] == "closed-book"]


def usable(assistant: Assistant, columns: Sequence[str]) -> list[str]:
    """The columns that can be asked: retrieval needs documents."""
    return [c for c in columns if COLUMNS[c] == "closed-book" or assistant.retriever is not None]


def text_perplexities(assistant: Assistant, progress: Progress) -> dict[str, float]:
    """The perplexity of the bundled public-domain text as it is answered (TUNED) and, with a gate, of the model alone (ALONE)."""
    parts = windows(assistant.tokenizer, (EVERYDAY / "text.txt").read_text(encoding="utf-8"), max_tokens=PERPLEXITY_TOKENS)
    with progress.stage("Reading plain text for perplexity"):
        own = window_scores(assistant.model, parts)
        if assistant.everyday is None:
            return {TUNED: perplexity(own)}
        concerned = assistant.concerns([assistant.tokenizer.decode(part) for part in parts])
        untouched = window_scores(assistant.everyday.model, parts)
    chosen = [a if c else b for a, b, c in zip(own, untouched, concerned, strict=True)]
    return {TUNED: perplexity(chosen), ALONE: perplexity(own)}
