"""The stages of a build, each reading what the stage before it left in the run folder and writing its own part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import torch

from engrain import registry
from engrain.assistant import Assistant, Library, check_trained, put_adapter_in
from engrain.assistant import load as load_assistant
from engrain.config import Settings
from engrain.documents.base import Document, Section, read_documents
from engrain.errors import DocumentError, ExampleError
from engrain.evaluate import BASE, BASE_RETRIEVAL, GENERAL, TUNED, TUNED_RETRIEVAL, Ask, Evaluation, evaluate, matches, read_questions
from engrain.examples import Example, Question, example_from_row, example_to_row
from engrain.fetch import cache_folder
from engrain.generate import perplexity
from engrain.knowledge.coverage import coverage
from engrain.knowledge.dataset import Split, make_examples
from engrain.knowledge.facts import Fact, find_facts
from engrain.knowledge.wording import REFUSALS
from engrain.models import Base, context_length, load_model, load_tokenizer, locate, outline
from engrain.progress import Progress
from engrain.run import Run
from engrain.study.adapter import SHIPPED, StudyingModel
from engrain.study.reading import reading_examples
from engrain.study.replay import replay_examples, replay_prompts
from engrain.tasks.chat import Chat
from engrain.tokens import encode_example
from engrain.train import Trained, train

T = TypeVar("T")
EVERYDAY = Path(__file__).parent / "data" / "general"
HELDOUT_QUESTIONS = 120
"""Questions in held-out wordings that are asked where the user brings none."""
HELDOUT_EXAMPLES = 256
"""Held-out examples whose loss is followed while training."""
PERPLEXITY_TOKENS = 6000
FILES = ("train", "replay", "heldout")
KINDS = {"question": "paraphrase"}
"""Held-out wordings of a question are paraphrases to the evaluation; other kinds keep their names."""
COLUMNS = {BASE: "closed-book", BASE_RETRIEVAL: "retrieval", TUNED: "closed-book", TUNED_RETRIEVAL: "retrieval"}


def read(run: Run, paths: Sequence[Path], progress: Progress) -> tuple[Document, ...]:
    """The documents under `paths`; sections go to `documents.jsonl`, files that could not be read to `run.json`."""
    reading = read_documents(paths, progress)
    run.write_rows("documents.jsonl", [asdict(s) | {"sha256": s.sha256} for d in reading.documents for s in d.sections])
    run.update(documents={d.file: d.sha256 for d in reading.documents}, unread=[asdict(u) for u in reading.unread])
    for unread in reading.unread:
        progress.note(f"Not read: {unread.file}: {unread.reason}. {unread.remedy}")
    return reading.documents


def find(run: Run, documents: Sequence[Document], progress: Progress) -> list[Fact]:
    """The facts of the documents, in `facts.jsonl`; how much of each document they cover, in `coverage.json`.

    Raises DocumentError when there is none.
    """
    with progress.stage("Finding facts"):
        facts = find_facts(documents)
    if not facts:
        raise DocumentError(
            "No fact was found in the documents",
            "Add documents with prices, names, dates, rules or other details in sentences, lists or tables.",
        )
    run.write_rows("facts.jsonl", facts)
    run.write_json("coverage.json", [asdict(c) for c in coverage(documents, facts)])
    progress.note(f"{len(facts)} facts in {len(documents)} documents.")
    return facts


def write_examples(run: Run, settings: Settings, facts: Sequence[Fact], progress: Progress) -> None:
    """Wordings of the facts, reading practice and replay, in `examples/{train,heldout,replay}.jsonl`."""
    sections = Library.of(run).sections
    made = practice(facts, sections, settings, progress, studied(facts, sections, settings, progress))
    save_examples(run, made.train, made.heldout)
    write_replay(run, settings, progress)


def studied(facts: Sequence[Fact], sections: Sequence[Section], settings: Settings, progress: Progress) -> dict[str, list[str]]:
    """Fact id → questions that the base with its study adapter wrote; nothing where that is off, or the base has none."""
    base = locate(settings.model.base, progress)
    folder = study_adapter(base)
    if not settings.study.study or folder is None:
        return {}
    device, dtype = settings.model.resolve()
    model = load_model(base, dtype=dtype, device=device)
    put_adapter_in(model, folder)
    writer = StudyingModel(model, load_tokenizer(base))
    found = writer.questions(facts, {s.id: s for s in sections}, settings.training.seed, progress)
    with_some = sum(bool(questions) for questions in found.values())
    progress.note(f"The studying model wrote {sum(map(len, found.values()))} questions that hold, about {with_some} of {len(facts)} facts.")
    return found


def study_adapter(base: Base) -> Path | None:
    """The folder of the base's study adapter: the one that `engrain prepare` made here, or the one that comes with the package."""
    return next((f for f in (cache_folder() / "study" / base.key, SHIPPED / base.key) if (f / "adapter_config.json").is_file()), None)


def practice(
    facts: Sequence[Fact],
    sections: Sequence[Section],
    settings: Settings,
    progress: Progress,
    studied: Mapping[str, Sequence[str]] | None = None,
) -> Split:
    """Training and held-out examples: wordings of the facts, and of the first some to be read out of passages."""
    seed = settings.training.seed
    with progress.stage("Wording the facts"):
        made = make_examples(facts, settings.knowledge, seed, studied)
        values = {fact.id: fact.value for fact in facts}
        readings = reading_examples(made.train, {s.id: s for s in sections}, values, REFUSALS[0], settings.study.readings, seed)
    return Split([*made.train, *readings], made.heldout)


def spread(rows: Sequence[T], count: int) -> list[T]:
    """At most `count` of the rows, from beginning to end at equal distances."""
    return list(rows[:: -(-len(rows) // count)]) if rows else []


def save_examples(run: Run, train_rows: Sequence[Example], heldout: Sequence[Example]) -> None:
    """Put training and held-out examples where training looks for them."""
    run.write_rows("examples/train.jsonl", map(example_to_row, train_rows))
    run.write_rows("examples/heldout.jsonl", map(example_to_row, heldout))


def write_replay(run: Run, settings: Settings, progress: Progress) -> None:
    """The base's own answers to everyday prompts, in `examples/replay.jsonl`; kept in the cache for the next build."""
    base = locate(settings.model.base, progress)
    device, dtype = settings.model.resolve()
    rows = replay_examples(
        lambda: (load_model(base, dtype=dtype, device=device), load_tokenizer(base)),
        replay_prompts(settings.study.replay, settings.training.seed),
        base.key,
        cache_folder() / "replay",
        progress,
    )
    run.write_rows("examples/replay.jsonl", map(example_to_row, rows))


def load_examples(run: Run, name: str) -> list[Example]:
    """The examples of a run by the name of their file: train, heldout or replay."""
    return [example_from_row(row) for row in run.read_rows(f"examples/{name}.jsonl")]


def encode(run: Run, settings: Settings, progress: Progress) -> Chat:
    """The run's examples in tokens. Raises ExampleError for own examples that are too long; written ones are left out with a note."""
    tokenizer = load_tokenizer(locate(settings.model.base, progress))
    context = context_length(outline(settings.model.base))
    limit = min(settings.training.max_length, context)
    step = "raise --max-length" if limit < context else "choose a base that sees more at once"
    with progress.stage("Encoding examples"):
        pairs = {name: [(e, encode_example(tokenizer, e.messages)) for e in load_examples(run, name)] for name in FILES}
    long = [(e, len(row)) for name in FILES for e, row in pairs[name] if len(row) > limit]
    own = [f"{e.place}: {length:,} tokens" for e, length in long if e.place]
    rows = {name: [row for _, row in pairs[name] if len(row) <= limit] for name in FILES}
    if own or not rows["train"]:
        raise ExampleError(f"Examples must not be longer than {limit:,} tokens:", f"Shorten them, or {step}.", own or ["all are"])
    if long:
        progress.note(f"{len(long):,} examples longer than {limit:,} tokens are left out ({step} to keep them).")
    return Chat([*rows["train"], *rows["replay"]], spread(rows["heldout"], HELDOUT_EXAMPLES))


def tune(run: Run, settings: Settings, task: Chat, progress: Progress) -> Trained:
    """Fine-tune the base on the run's examples; the result goes to `adapter/` or `model/`, in its ecosystem's format."""
    base = locate(settings.model.base, progress)
    method = registry.find("methods", settings.method)(settings.method_settings)
    device, dtype = settings.model.resolve()
    torch.manual_seed(settings.training.seed)
    model = load_model(base, dtype=dtype if method.keeps_float32 else torch.float32, device=device)
    method.apply(model)
    progress.note(f"{len(task.train)} examples with {sum(map(len, task.train)):,} tokens; {described(settings)}.")
    trained = train(model, method, task, settings.training, run, dtype, progress)
    with run.stage(method.artifact) as folder:
        method.save(model, folder)
        load_tokenizer(base).save_pretrained(folder)
    run.update(trained=asdict(trained), base=base_row(base))
    return trained


def described(settings: Settings) -> str:
    """The method and its settings in a few words."""
    chosen = ", ".join(f"{name} {value}" for name, value in asdict(settings.method_settings).items() if value is not None)
    return f"{settings.method} ({chosen})" if chosen else settings.method


def base_row(base: Base) -> dict[str, object]:
    """What `run.json` says of the base model."""
    return {"name": base.name, "revision": base.revision, "source": base.source, "files": base.files}


def questions_for(run: Run, file: Path | None, seed: int) -> list[Question]:
    """The test questions: the user's own, or held-out wordings of the facts; and general ones for what is forgotten."""
    general = read_questions(EVERYDAY / "questions.jsonl")
    if file is not None:
        return [*read_questions(file), *general]
    values = {row["id"]: row["value"] for row in run.read_rows("facts.jsonl")}
    heldout = load_examples(run, "heldout")
    chosen = spread(heldout, HELDOUT_QUESTIONS)
    return [*(heldout_question(e, i, values.get(e.fact, "")) for i, e in enumerate(chosen, 1)), *general]


def heldout_question(example: Example, number: int, value: str) -> Question:
    """A held-out example as a test question: its fact's value, or all of its answer, is what a reply must contain."""
    kind = KINDS.get(example.kind, example.kind)
    answer = value if value and example.kind == "question" else example.messages[-1].content
    answers = () if kind == "unanswerable" else (answer,)
    return Question(f"h-{number:03}", example.messages[-2].content, answers, kind, example.document)


def measure_base(run: Run, questions: Sequence[Question], progress: Progress) -> None:
    """What the untouched model answers, closed-book and from passages, in `before.json`."""
    assistant = load_assistant(run, base_only=True, progress=progress)
    replies = {
        column: assistant.replies([q.question for q in asked(questions, column)], COLUMNS[column], progress, f"Asking the {column} model")
        for column in usable(assistant, (BASE, BASE_RETRIEVAL))
    }
    run.write_json("before.json", {"replies": replies, "perplexity": text_perplexity(assistant, progress)})


def measure(run: Run, questions: Sequence[Question], progress: Progress) -> Evaluation:
    """The tuned model beside what the base said before, in `evaluation.json`. General questions the base missed are left out."""
    before = run.read_json("before.json")
    columns = {column: recalled(asked(questions, column), replies) for column, replies in before["replies"].items()}
    known = columns[BASE]([q for q in questions if q.kind == GENERAL])
    missed = {q.id for q, reply in zip((q for q in questions if q.kind == GENERAL), known, strict=True) if not matches(reply, q.answers)}
    assistant = load_assistant(run, progress=progress)
    columns |= {column: asking(assistant, column, progress) for column in usable(assistant, (TUNED, TUNED_RETRIEVAL))}
    figures = {BASE: before["perplexity"], TUNED: text_perplexity(assistant, progress)}
    evaluation = evaluate(columns, [q for q in questions if q.id not in missed], progress, figures)
    run.write_json("evaluation.json", evaluation.to_dict())
    return evaluation


def compare(run: Run, questions: Sequence[Question], progress: Progress) -> Evaluation:
    """Base and tuned model, each with and without passages, on any questions; nothing is written."""
    check_trained(run.path, run.info)
    columns: dict[str, Ask] = {}
    for base_only, names in ((True, (BASE, BASE_RETRIEVAL)), (False, (TUNED, TUNED_RETRIEVAL))):
        assistant = load_assistant(run, base_only=base_only, progress=progress)
        columns |= {column: asking(assistant, column, progress) for column in usable(assistant, names)}
    return evaluate(columns, questions, progress)


def asking(assistant: Assistant, column: str, progress: Progress) -> Ask:
    """A column that asks the assistant."""
    return lambda questions: assistant.replies([q.question for q in questions], COLUMNS[column], progress, f"Asking the {column} model")


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


def text_perplexity(assistant: Assistant, progress: Progress) -> float:
    """The model's perplexity on the bundled public-domain text."""
    text = (EVERYDAY / "text.txt").read_text(encoding="utf-8")
    with progress.stage("Reading plain text for perplexity"):
        return perplexity(assistant.model, assistant.tokenizer, text, max_tokens=PERPLEXITY_TOKENS)
