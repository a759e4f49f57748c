"""The stages of a build, each reading what the stage before it left in the run folder and writing its own part."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
from safetensors.torch import save_file

from engrain import registry
from engrain.assistant import Library, section_of
from engrain.batches import micro_batches
from engrain.config import TOP_LAYERS, Settings
from engrain.documents.base import Document, Reading, Section
from engrain.duration import note_taken
from engrain.edits import EXAMPLES, FACTS, carried, edited_examples, edited_facts, note_made
from engrain.encoder import Meaning, load_encoder
from engrain.errors import DocumentError, ExampleError, ModelError
from engrain.examples import Example, Told, asked_in, example_to_row, learned, practised, users_turns
from engrain.fetch import cache_folder
from engrain.files import staged
from engrain.gate import MOST_TEXTS, fit_gate
from engrain.knowledge.coverage import coverage
from engrain.knowledge.dataset import Dropped, Split, Studied, make_examples
from engrain.knowledge.facts import Fact, find_facts, names_of
from engrain.knowledge.forms import IN_CONTEXT
from engrain.knowledge.superseded import Superseded, supersede
from engrain.knowledge.wording import REFUSAL, Wording
from engrain.measuring import TAUGHT, each_example, each_taught, guiding, load_examples, spread
from engrain.methods.base import drawn, put_adapter_in
from engrain.models import Base, context_length, load_model, load_tokenizer, locate, outline
from engrain.pace import told_rate
from engrain.privacy import Private, screened
from engrain.progress import Progress, Stage
from engrain.retrieval import Retriever
from engrain.run import Run
from engrain.study.adapter import StudyingModel, study_adapter
from engrain.study.base import Writer
from engrain.study.details import in_order, worth_asking
from engrain.study.lessons import asked_elsewhere
from engrain.study.reading import reading_examples
from engrain.study.replay import everyday_texts, replay_examples, replay_prompts
from engrain.study.teacher import teacher_from
from engrain.tasks._packed import PackedTask
from engrain.tasks.base import FILE as TASK_FILE
from engrain.tasks.base import Task
from engrain.tasks.chat import Chat
from engrain.token_rows import Joined, TokenRows
from engrain.tokens import Encoded, encode_example
from engrain.train import SEEDS, Trained, train

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

T = TypeVar("T")
HELDOUT_EXAMPLES = 128
"""Held-out examples whose loss is followed while training."""
PASS_TOKENS, PASS_EXAMPLES = 1024, 2**16
"""Tokens that a method which looks at the examples first sees at once, and the examples that it can see at most."""
LISTED = 5
"""Pieces of private data whose place is said before training."""
FILES = ("train", "own", "replay", "heldout")
"""Files of `examples/`; `own` holds what people wrote beside the documents (corrections), and no stage writes it."""
LEARNED = ("train", "own", "replay")
"""Files whose examples are learned."""


def keep_documents(run: Run, settings: Settings, reading: Reading, progress: Progress) -> tuple[Document, ...]:
    """The documents that were read, private data masked where the settings say so.

    Sections go to `documents.jsonl`; files that could not be read, and private data by place, to `run.json`.
    """
    documents, private = screened(reading.documents, settings.privacy)
    run.write_rows("documents.jsonl", [asdict(s) | {"sha256": s.sha256} for d in documents for s in d.sections])
    run.update(
        documents={d.file: d.sha256 for d in documents},
        unread=[asdict(u) for u in reading.unread],
        private=[asdict(p) for p in private],
    )
    if private:
        done = "masked" if settings.privacy.redact else "learned like the rest; --redact masks it, engrain examples lists it"
        progress.note(f"Private data: {counted(private)} ({done}). {places(private)}")
    for unread in reading.unread:
        progress.note(f"Not read: {unread.file}: {unread.reason}. {unread.remedy}")
    return documents


def counted(private: Sequence[Private]) -> str:
    """How much private data of each kind there is, in words."""
    return ", ".join(f"{kind} × {count}" for kind, count in Counter(p.kind for p in private).items())


def places(private: Sequence[Private]) -> str:
    """Where the first pieces of private data stand, in words."""
    more = f"; {len(private) - LISTED} more in run.json" if len(private) > LISTED else ""
    return "; ".join(f"{p.kind} {p.hint} in {p.place}" for p in private[:LISTED]) + f"{more}."


def find(run: Run, settings: Settings, documents: Sequence[Document], progress: Progress, earlier: Run | None = None) -> list[Fact]:
    """The facts of the documents, in `facts.jsonl`; how much of each document they cover, in `coverage.json`.

    Rules find them; a studying model weighs them and adds details that the rules do not see. Sections that an `earlier`
    run holds unchanged keep its facts; what was edited by hand stays wherever the text still says it. What newer
    documents supersede is not learned: it goes to `superseded.jsonl`, and in few words to `run.json`.

    Raises DocumentError when there is none.
    """
    before = edited_facts(earlier, Library.of(earlier).sections) if earlier else []
    with progress.stage("Finding facts"):
        facts = find_facts(documents)
    if not facts:
        raise DocumentError(
            "No fact was found in the documents",
            "Add documents with prices, names, dates, rules or other details in sentences, lists or tables.",
        )
    writer = studying_model(settings, progress)
    same = unchanged(run, earlier)
    if writer is not None:
        sections = [s for document in documents for s in document.sections if s.id not in same]
        facts = writer.notice([f for f in facts if f.section not in same], sections, facts[0].business)
    if earlier is not None:
        places = {s.id: s for d in documents for s in d.sections}
        kept = [fact for fact in (*before, *superseded_of(earlier)) if fact.section in same]
        others = carried([f for f in before if f.edited and f.section not in same], [f for f in facts if f.section not in same], places)
        facts = in_order([*kept, *others], list(places.values()))
    run.write_json("coverage.json", [asdict(c) for c in coverage(documents, facts)])
    facts, old = supersede(facts, documents)
    run.write_rows(FACTS, facts)
    note_made(run, FACTS, facts)
    note_superseded(run, old, progress)
    progress.note(f"{len(facts)} facts in {len(documents)} documents.")
    return facts


def note_superseded(run: Run, pairs: Sequence[Superseded], progress: Progress) -> None:
    """Keep the facts that no longer hold in `superseded.jsonl`, and say in `run.json` what took their place."""
    run.write_rows("superseded.jsonl", [fact for pair in pairs for fact in (pair.old, *pair.gone)])
    run.update(superseded=[pair.to_row() for pair in pairs])
    for pair in pairs:
        progress.note(f"Superseded: {pair.old.value} ({pair.old_place}) by {pair.new.value} ({pair.new_place}).")


def facts_of(run: Run | None) -> list[Fact]:
    """The facts of a run as its file has them; none without a run."""
    return [Fact(**row) for row in run.read_rows("facts.jsonl")] if run else []


def sections_of(run: Run) -> list[Section]:
    """The sections of a run's documents."""
    return [section_of(row) for row in run.read_rows("documents.jsonl")]


def made_in(run: Run) -> tuple[list[Fact], list[Section], Split]:
    """The facts and sections of a run, and its examples."""
    return facts_of(run), sections_of(run), Split(list(each_taught(run)), load_examples(run, "heldout"))


def superseded_of(run: Run | None) -> list[Fact]:
    """The facts that newer ones had superseded in a run; they hold again where the newer document is gone."""
    return [Fact(**row) for row in run.read_rows("superseded.jsonl")] if run else []


def unchanged(run: Run, earlier: Run | None) -> set[str]:
    """The ids of the sections that both runs hold with the same text."""
    before, now = ({f"{r['file']}#{r['number']}": r["sha256"] for r in each.read_rows("documents.jsonl")} for each in (earlier or run, run))
    return {name for name, hashed in now.items() if before.get(name) == hashed} if earlier else set()


def write_examples(run: Run, settings: Settings, facts: Sequence[Fact], progress: Progress, earlier: Run | None = None) -> None:
    """Wordings of the facts, reading practice and replay, in `examples/{train,heldout,replay}.jsonl`.

    What a model wrote stays in `studied.jsonl`; of unchanged sections it is taken from an `earlier` run.
    """
    sections = Library.of(run).sections
    wrote = studied(facts, sections, settings, progress, wrote_before(earlier, unchanged(run, earlier)))
    values = {fact.id: fact.value for fact in facts}
    run.write_rows("studied.jsonl", [{"fact": f, "value": values.get(f), "wordings": each} for f, each in wrote.wordings.items()])
    run.write_json("absent.json", wrote.absent)
    run.write_rows("dropped.jsonl", wrote.dropped)
    meaning = Meaning(load_encoder(progress), names_of(facts)) if settings.study.encoder else None
    made = practice(facts, sections, settings, progress, wrote, meaning)
    rows = with_edited(made.train, edited_before(earlier, values)), made.heldout
    save_examples(run, *rows)
    for name, written in zip(EXAMPLES, rows, strict=True):
        note_made(run, name, written)
    write_replay(run, settings, progress)
    Library.of(run).retriever(progress)  # keeps its vectors, so that asking starts at once


def edited_before(earlier: Run | None, facts: Mapping[str, str]) -> list[Example]:
    """Training examples that people edited or added in an earlier run, about these facts or about none."""
    if earlier is None or not has_examples(earlier):
        return []
    _, found = edited_examples(earlier, Library.of(earlier).sections)
    return [e for e in found[EXAMPLES[0]] if e.edited and (not e.fact or e.fact in facts)]


def has_examples(run: Run) -> bool:
    """Whether a run got as far as its examples; replay is written last."""
    return (run.path / "examples" / "replay.jsonl").is_file()


def with_edited(rows: Sequence[Example], edited: Sequence[Example]) -> list[Example]:
    """The examples, with what people wrote in place of those that ask the same."""
    asked = {asked_in(e) for e in edited}
    return [*(e for e in rows if asked_in(e) not in asked), *edited]


def wrote_before(earlier: Run | None, same: set[str]) -> Studied:
    """What a model wrote in an earlier run of these sections, about facts that have the same value since."""
    if earlier is None or not (earlier.path / "absent.json").is_file():
        return Studied()
    kept = {fact.id: fact.value for fact in facts_of(earlier) if fact.section in same}
    rows = [row for row in earlier.read_rows("studied.jsonl") if row["fact"] in kept and row.get("value") in (None, kept[row["fact"]])]
    absent = {section: questions for section, questions in earlier.read_json("absent.json").items() if section in same}
    dropped = [Dropped(**row) for row in earlier.read_rows("dropped.jsonl") if row["section"] in same]
    return Studied({row["fact"]: [Wording(**w) for w in row["wordings"]] for row in rows}, absent, dropped)


def studied(
    facts: Sequence[Fact], sections: Sequence[Section], settings: Settings, progress: Progress, known: Studied | None = None
) -> Studied:
    """What a model wrote: what is `known` from before, and the rest anew; nothing where there is no model that could."""
    known = known or Studied()
    writer = studying_model(settings, progress)
    if writer is None:
        return known
    todo = [f for f in facts if worth_asking(f) and f.id not in known.wordings]
    needed = {s.id for s in sections} - set(known.absent) | {f.section for f in todo}
    found = writer.study(todo, {s.id: s for s in sections if s.id in needed})
    found = Studied({**known.wordings, **found.wordings}, {**known.absent, **found.absent}, (*known.dropped, *found.dropped))
    count, some = sum(map(len, found.wordings.values())), sum(bool(wordings) for wordings in found.wordings.values())
    progress.note(f"The studying model wrote {count} questions that hold, about {some} of {len(facts)} facts.")
    progress.note(f"It wrote {sum(map(len, found.absent.values()))} questions that the documents do not answer.")
    return found


def studying_model(settings: Settings, progress: Progress) -> Writer | None:
    """The teacher that the user has, or the base with its study adapter; None where that is off, or the base has none."""
    if settings.study.teacher:
        return teacher_from(settings.study, cache_folder() / "teacher", progress)
    base = locate(settings.model.base, progress)
    folder = study_adapter(base)
    if not settings.study.study or folder is None:
        return None
    device, dtype = settings.model.resolve()
    model = load_model(base, dtype=dtype, device=device)
    put_adapter_in(model, folder)
    return StudyingModel(model, load_tokenizer(base), settings.training.seed, progress, settings.study.study_minutes)


def practice(
    facts: Sequence[Fact],
    sections: Sequence[Section],
    settings: Settings,
    progress: Progress,
    studied: Studied | None = None,
    meaning: Meaning | None = None,
) -> Split:
    """Training and held-out examples: wordings of the facts, and of the first some to be read out of passages.

    With a `meaning` those passages are found as they will be when the model is asked.
    """
    seed = settings.training.seed
    with progress.stage("Wording the facts"):
        made = make_examples(facts, settings.knowledge, seed, studied)
        count = settings.study.read(len(practised(made.train)), settings.model.resolve()[0])
        if not count:
            return made
        values = {fact.id: fact.value for fact in facts}
        readings = reading_examples(made.train, Retriever(sections, meaning=meaning), values, REFUSAL, count, seed)
    return Split([*made.train, *readings], made.heldout)


def save_examples(run: Run, train_rows: Iterable[Example], heldout: Iterable[Example]) -> None:
    """Put training and held-out examples where training looks for them."""
    for name, rows in zip(EXAMPLES, (train_rows, heldout), strict=True):
        run.write_rows(name, map(example_to_row, rows))


def take_edited(run: Run, with_examples: bool, progress: Progress) -> list[Fact]:
    """The facts of a run as people left them, and its examples too where asked for, checked; what was edited is marked in the files.

    Raises DocumentError or ExampleError that lists every fault with file and line, and changes nothing then.
    """
    sections = sections_of(run)
    facts, examples = edited_examples(run, sections) if with_examples else (edited_facts(run, sections), {})
    run.write_rows(FACTS, facts)
    for name, rows in examples.items():
        run.write_rows(name, map(example_to_row, rows))
    counts = {"facts": sum(fact.edited for fact in facts), "examples": sum(e.edited for rows in examples.values() for e in rows)}
    if any(counts.values()):
        progress.note(f"Edited by hand: {', '.join(f'{count:,} {name}' for name, count in counts.items() if count)}.")
    return facts


def write_replay(run: Run, settings: Settings, progress: Progress) -> None:
    """The base's own answers to everyday prompts, in `examples/replay.jsonl`; kept in the cache for the next build."""
    base = locate(settings.model.base, progress)
    device, dtype = settings.model.resolve()
    count = settings.study.replayed(sum(run.count_rows(f"examples/{name}.jsonl") for name in TAUGHT))
    rows = replay_examples(
        lambda: (load_model(base, dtype=dtype, device=device), load_tokenizer(base)),
        replay_prompts(count, settings.training.seed),
        base.key,
        cache_folder() / "replay",
        progress,
    )
    run.write_rows("examples/replay.jsonl", map(example_to_row, rows))


def encode(run: Run, settings: Settings, progress: Progress) -> Chat:
    """The run's examples in tokens. Raises ExampleError for own examples that are too long; written ones are left out with a note."""
    tokenizer = load_tokenizer(locate(settings.model.base, progress))
    context = context_length(outline(settings.model.base))
    limit = min(settings.training.max_length, context)
    step = "raise --max-length" if limit < context else "choose a base that sees more at once"
    rows, mix, told, long = {name: TokenRows(run.path) for name in FILES}, Mix(), Told(), list[tuple[str, int]]()
    with progress.stage("Encoding examples", sum(run.count_rows(f"examples/{name}.jsonl") for name in FILES), "examples") as stage:
        for name, example, row in to_learn(run, tokenizer, settings.chat.turns, stage):
            if name in TAUGHT:
                told.count(example)
            if len(row) > limit:
                long.append((example.place, len(row)))
                continue
            rows[name].append(row, example.repeats)
            if name in LEARNED:
                mix.count("replay" if name == "replay" else example.kind, row, example.repeats)
    own = [f"{place}: {length:,} tokens" for place, length in long if place]
    if not rows["train"] and not rows["own"] and not long:
        raise ExampleError("No example is practised: repeats is 0 in all of them", "Set it to 1 or more in examples/train.jsonl.")
    if own or not rows["train"]:
        raise ExampleError(f"Examples must not be longer than {limit:,} tokens:", f"Shorten them, or {step}.", own or ["all are"])
    if long:
        progress.note(f"{len(long):,} examples longer than {limit:,} tokens are left out ({step} to keep them).")
    run.update(mix=mix.kinds, system=told.usual)
    heldout = spread(rows["heldout"], HELDOUT_EXAMPLES)
    return Chat(Joined(rows["train"], rows["own"]), heldout, rows["replay"], settings.training.label_smoothing)


def to_learn(
    run: Run, tokenizer: PreTrainedTokenizerBase, turns: str, stage: Stage | None = None
) -> Iterator[tuple[str, Example, Encoded]]:
    """What is practised, one after the other: the name of its file, the example, and that in tokens.

    What people wrote has the last word: written examples with the same question give way. Of held-out ones come those that guide.
    A `stage` is told of every row that was read.
    """
    said = {asked_in(e) for e in each_example(run, "own") if e.repeats}
    for name in FILES:
        rows: Iterable[Example] = _counted(each_example(run, name), stage or Stage())
        if name == "heldout":
            rows = guiding(list(rows))  # of all rows: those left are the questions that measure
        for example in (learned(e, turns) for e in rows if e.repeats):
            if name != "train" or asked_in(example) not in said:
                yield name, example, encoded(tokenizer, example)


def _counted(examples: Iterable[Example], stage: Stage) -> Iterator[Example]:
    for example in examples:
        yield example
        stage.advance()


def encoded(tokenizer: PreTrainedTokenizerBase, example: Example) -> Encoded:
    """An example in tokens. Raises ModelError that names the row of one that the chat template refuses."""
    try:
        return encode_example(tokenizer, example.messages)
    except ModelError as error:
        raise ModelError(
            f"{example.place}: {error.message}" if example.place else error.message, error.next_step, error.problems
        ) from error


class Mix:
    """`kinds`: kind of example → how many, their tokens, and the tokens that loss is taken on."""

    def __init__(self) -> None:
        self.kinds: dict[str, dict[str, int]] = {}

    def count(self, kind: str, row: Encoded, repeats: int) -> None:
        """Add an example that comes `repeats` times."""
        sums = self.kinds.setdefault(kind, {"examples": 0, "tokens": 0, "graded": 0})
        for name, count in (("examples", 1), ("tokens", len(row)), ("graded", int(row.supervised.sum()))):
            sums[name] += count * repeats


def tune(run: Run, settings: Settings, task: PackedTask, progress: Progress) -> Trained:
    """Fine-tune the base on the run's examples; the result goes to `adapter/` or `model/`, in its ecosystem's format."""
    base = locate(settings.model.base, progress)
    method = registry.find("methods", settings.method)(settings.method_settings)
    device, dtype = settings.model.resolve()
    run.update(base=base_row(base))
    torch.manual_seed(settings.training.seed % SEEDS)
    model = load_model(base, dtype=dtype if method.keeps_float32 else torch.float32, device=device)
    make_gate(run, settings, model, progress)
    task.prepare(model, progress)
    task.check(model)  # untouched: what a method begins with at random, bf16 rounds far apart
    method.apply(model)
    task.free(model)
    started = time.monotonic()
    method.prepare(model, passes(model, task))
    spent = time.monotonic() - started
    rate = told_rate(method, model, settings.training.learning_rate)
    progress.note(f"{len(task.train)} examples with {sum(map(len, task.train)):,} tokens; {described(settings)}, {rate}.")
    if getattr(settings.method_settings, "layers", "") == TOP_LAYERS and settings.training.minutes:
        progress.note("The top half of the layers is adapted: more steps in the same time teach more by heart (--layers 1.0: all).")
    trained = train(model, method, task, settings.training, run, dtype, progress, spent)
    if own := task.fold(model):
        with staged(run.path / TASK_FILE) as file:
            save_file({name: tensor.cpu() for name, tensor in own.items()}, file)
    with run.stage(method.artifact) as folder:
        method.save(model, folder)
        load_tokenizer(base).save_pretrained(folder)
    run.update(trained=asdict(trained))
    note_taken(model, method, task, settings, trained)
    return trained


def make_gate(run: Run, settings: Settings, model: PreTrainedModel, progress: Progress) -> None:
    """Fit what tells questions on the documents from everyday ones; own examples alone, which may ask for anything, have no gate."""
    if not settings.study.gate or not facts_of(run):
        return
    tokenizer = load_tokenizer(locate(settings.model.base, progress))
    about = list(dict.fromkeys(text for e in each_taught(run) if stands_alone(e) for text in users_turns(e)[-1:]))
    told = [e.messages[-1].content for e in load_examples(run, "replay")]
    everyday = everyday_texts(), told  # what is asked and what is told: prose is none of the documents'
    with progress.stage("Telling questions on the documents from others"):
        gate = fit_gate(model, tokenizer, (about, asked_elsewhere(MOST_TEXTS)), everyday, settings.training.seed)
    gate.save(run.path)


def stands_alone(example: Example) -> bool:
    """Whether a question has no text beside it, which would make the gate take any prose for the documents', nor a talk before it."""
    return example.kind != "read" and example.form not in IN_CONTEXT and len(users_turns(example)) == 1


def gate_of_base(run: Run, settings: Settings, progress: Progress) -> None:
    """Fit the gate of a run that is not trained here."""
    if settings.study.gate and facts_of(run):
        device, dtype = settings.model.resolve()
        make_gate(run, settings, load_model(locate(settings.model.base, progress), dtype=dtype, device=device), progress)


def passes(model: PreTrainedModel, task: Task) -> Iterator[Callable[[], object]]:
    """Each computes the model on some of the training examples, short and long ones in an order that is always the same."""
    rows = spread(task.train, PASS_EXAMPLES)
    groups = micro_batches(range(len(rows)), [task.length(e) for e in rows], PASS_TOKENS)
    for number in drawn(len(groups), len(groups), 0):
        yield partial(task.loss, model, [rows[i] for i in groups[number]])


def described(settings: Settings) -> str:
    """The method in a few words: its first setting, which says how much it trains, and those that are not as usual."""
    values = asdict(settings.method_settings)
    usual = {f.name: f.default for f in fields(settings.method_settings)}
    told = [name for number, name in enumerate(values) if values[name] and (number == 0 or values[name] != usual[name])]
    return settings.method + (f" ({', '.join(f'{name} {values[name]}' for name in told)})" if told else "")


def base_row(base: Base) -> dict[str, object]:
    """What `run.json` says of the base model."""
    return {"name": base.name, "revision": base.revision, "source": base.source, "files": base.files}
