"""An assistant: a run's model (or its untouched base) that answers questions and says what supports each answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engrain.batches import batches
from engrain.documents.base import Section
from engrain.encoder import Meaning, load_encoder
from engrain.errors import ModelError, RunError, SettingError
from engrain.examples import Message, example_from_row, exchange
from engrain.gate import Gate, mean_states
from engrain.generate import generate, stream
from engrain.knowledge.facts import Fact, names_of
from engrain.linked import linked
from engrain.methods.base import method_of
from engrain.models import Base, BaseSettings, context_length, load_model, load_tokenizer, locate
from engrain.progress import SILENT, Progress
from engrain.questioner import Questioner, load_questioner
from engrain.reranker import load_reranker
from engrain.retrieval import NUM_KNOWN, Asked, Retriever, in_full
from engrain.study.details import place
from engrain.study.skills import questions_prompt, reverse_prompt
from engrain.support import Index
from engrain.tokens import Shown, fitted, passage, turn_messages
from engrain.weighing import NUM_SIMILAR, Weighing
from engrain.words import canonical, refused

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from engrain.run import Run

BOTH = "both"
WAYS = ("closed-book", "retrieval")
MODES = (*WAYS, BOTH)
NUM_PASSAGES = 2
READ_AT_ONCE = 64
"""Questions whose pairs the reranker reads together: few enough that it remembers all of them until they are used."""
ASKING = ("question", "reverse")
"""Kinds of examples whose questions help to find passages."""
MAX_NEW_TOKENS = 64
Talk = tuple[str, tuple[tuple[str, str], ...]]
"""A question, and the earlier turns (question and answer) that it follows."""
WEIGHTS = ".safetensors"
VECTORS = "vectors.safetensors"


@dataclass(frozen=True)
class Answer:
    """An answer and what the documents say to it: `status` is supported, unsupported or refused; `source` names the place.

    `asked_as` is the trained question that the model answered so, from memory, in place of this one; empty where none was put to it.
    """

    question: str
    text: str
    source: str
    status: str
    asked_as: str = ""


@dataclass(frozen=True)
class Library:
    """What a run knows of its documents, for retrieval and for checking answers.

    `vectors` is the file that keeps what the sentence encoder makes of them; without it everything is found by words alone.
    """

    sections: tuple[Section, ...]
    facts: tuple[Fact, ...]
    asked: tuple[Asked, ...] = ()
    vectors: Path | None = None

    @classmethod
    def of(cls, run: Run) -> Library:
        """The sections and facts of a run; none where it was tuned on examples alone.

        What newer documents say otherwise is blank in the sections: nothing is answered from it, and it supports nothing.
        """
        gone = [Fact(**row) for row in run.read_rows("superseded.jsonl")]
        sections = tuple(blanked(section_of(row), gone) for row in run.read_rows("documents.jsonl"))
        facts = tuple(Fact(**row) for row in run.read_rows("facts.jsonl"))
        vectors = run.path / VECTORS if run.info.get("settings", {}).get("encoder") else None
        asked = tuple(_asked(run, facts, sections)) if sections else ()
        return cls(sections, facts, (*asked, *linked(asked, names_of(facts))), vectors)

    def index(self) -> Index:
        """What checks answers: an index of the facts, the sections, and what two facts say together."""
        return Index(self.facts, {section.id: section for section in self.sections}, self.asked)

    def retriever(self, progress: Progress = SILENT, load_questioner: Callable[[], Questioner | None] = lambda: None) -> Retriever | None:
        """What finds passages in the sections, also by the questions that were trained; None where there is no document.

        Raises ModelError where the sentence encoder is needed and cannot be had.
        """
        if not self.sections:
            return None
        if not self.vectors:
            return Retriever(self.sections, self.asked)
        meaning = Meaning(load_encoder(progress), names_of(self.facts), self.vectors, progress)
        return Retriever(self.sections, self.asked, meaning=meaning, load_reranker=load_reranker, load_questioner=load_questioner)


@dataclass(frozen=True)
class Everyday:
    """The untouched `model`, which answers what by the `gate` does not concern the documents."""

    gate: Gate
    model: PreTrainedModel


class Assistant:
    """Answers questions: from the weights alone (closed-book), from retrieved passages (retrieval), or both.

    `both` asks both ways, and weighs these answers and those of similar questions (see `Weighing`); it declines where the documents
    hold none of them, a tuned model also where declining weighs more.
    With `everyday`, questions that do not concern the documents are answered by the untouched model, as if nothing was tuned.
    With `rewrite`, a tuned model is asked closed-book in words that it knows: those of the nearest questions that it was trained on.
    What `system` says, if anything, stands before every question.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        library: Library,
        mode: str = "closed-book",
        everyday: Everyday | None = None,
        tuned: bool = True,
        rewrite: bool = True,
        load_questioner: Callable[[], Questioner | None] = lambda: None,
    ) -> None:
        self.model, self.tokenizer, self.everyday, self.tuned = model, tokenizer, everyday, tuned
        self._rewrite = rewrite
        self.retriever = library.retriever(load_questioner=load_questioner)
        self.index = library.index()
        self.system = ""
        self._known: dict[tuple[str, str, Talk], dict[Talk, str]] = {}
        self._concerned: dict[str, bool] = {}
        self.switch(mode)

    def told(self, system: str) -> Assistant:
        """The same assistant, before whose questions `system` is said."""
        other = copy(self)
        other.system = system
        return other

    def switch(self, mode: str) -> None:
        """Answer in another mode from now on. Raises SettingError, and changes nothing, where this run does not have it."""
        check_mode(mode, has_documents=self.retriever is not None)
        self.mode = mode

    def ask(self, question: str) -> Answer:
        """The answer to one question."""
        return self.ask_many([question])[0]

    def ask_many(self, questions: Sequence[str], progress: Progress = SILENT) -> list[Answer]:
        """The answers to many questions, computed in batches, in the order of the questions."""
        texts = self.replies(questions, self.mode, progress)
        return [replace(self.check(q, text), asked_as=self.asked_as(q, text)) for q, text in zip(questions, texts, strict=True)]

    def replies(self, questions: Sequence[str], mode: str, progress: Progress = SILENT, title: str = "Answering") -> list[str]:
        """The bare replies in one of the modes."""
        concerned = self.concerns(questions)
        about, other = ([q for q, c in zip(questions, concerned, strict=True) if c is wanted] for wanted in (True, False))
        reply = self._weighed if self._weighs(mode) else self._plain
        replies = iter(reply(about, mode, progress, title))
        alone: list[Talk] = [(question, ()) for question in other]
        plain = iter(self._generated(self.everyday.model, alone, "closed-book", progress, title) if self.everyday else ())
        return [next(replies) if c else next(plain) for c in concerned]

    def concerns(self, texts: Sequence[str]) -> list[bool]:
        """For each text, whether it concerns the documents: by how it sounds and how near they come to it; without a gate all do."""
        if self.everyday is None:
            return [True] * len(texts)
        new = [text for text in dict.fromkeys(texts) if text not in self._concerned]
        if new:
            nearness = self.retriever.nearest(new) if self.retriever else [None] * len(new)
            opens = self.everyday.gate.opens(mean_states(self.everyday.model, self.tokenizer, new), nearness)
            self._concerned |= dict(zip(new, opens, strict=True))
        return [self._concerned[text] for text in texts]

    def asked_as(self, question: str, text: str, history: Sequence[tuple[str, str]] = ()) -> str:
        """The trained question to which the model just said this, from memory; empty where it was asked as it is."""
        talk = question, tuple(history)
        said = self._known.get((self.mode, self.system, talk), {})
        return next((asked[0] for asked, answer in said.items() if asked != talk and canonical(answer) == canonical(text)), "")

    def _plain(self, questions: Sequence[str], mode: str, progress: Progress, title: str) -> list[str]:
        """What the model says to the questions as they are."""
        return [text for (text,) in self._said([(question, ()) for question in questions], mode, progress, title)]

    def _said(self, talks: Sequence[Talk], mode: str, progress: Progress = SILENT, title: str = "Answering") -> list[list[str]]:
        """What the model says in one way: to each of the trained questions that are put to it in place of one, or to that.

        It is asked once: what is measured closed-book is weighed again later.
        """
        new = [talk for talk in dict.fromkeys(talks) if (mode, self.system, talk) not in self._known]
        words = zip(new, self._known_words(new, mode, progress), strict=True)
        put: dict[Talk, list[Talk]] = {talk: [(known, ()) for known in several] or [talk] for talk, several in words}
        each = list(dict.fromkeys(asked for several in put.values() for asked in several))
        texts = dict(zip(each, self._generated(self.model, each, mode, progress, title), strict=True))
        self._known |= {(mode, self.system, talk): {asked: texts[asked] for asked in several} for talk, several in put.items()}
        return [list(self._known[mode, self.system, talk].values()) for talk in talks]

    def _generated(self, model: PreTrainedModel, talks: Sequence[Talk], mode: str, progress: Progress, title: str) -> list[str]:
        prompts = [self._prompt(question, mode, history) for question, history in talks]
        long = [f"{q[:60]!r}…: {len(p):,} tokens" for (q, _), p in zip(talks, prompts, strict=True) if len(p) > self.room]
        if long:
            raise SettingError(f"These questions are longer than the {self.room:,} tokens that the model can take:", "Shorten them.", long)
        completions = generate(model, self.tokenizer, prompts, max_new_tokens=MAX_NEW_TOKENS, progress=progress, title=title)
        return [c.text.strip() for c in completions]

    def stream(self, question: str, history: Sequence[tuple[str, str]] = ()) -> Iterator[str]:
        """The answer piece by piece as it is made (`both`: once it is decided); `history` holds the earlier (question, answer) turns.

        A question that follows one on the documents concerns them too where both together do.
        """
        if self.everyday and not self._concern(question, history):
            prompt = self._prompt(question, "closed-book", history)
            yield from stream(self.everyday.model, self.tokenizer, prompt, max_new_tokens=MAX_NEW_TOKENS)
            return
        if not self._weighs(self.mode):
            yield from stream(self.model, self.tokenizer, self._prompt(question, self.mode, history), max_new_tokens=MAX_NEW_TOKENS)
            return
        talk = question, tuple(history)
        yield self._weightiest(talk, {way: self._said([talk], way)[0] for way in ways_of(self.mode)})

    def _concern(self, question: str, history: Sequence[tuple[str, str]]) -> bool:
        """Whether a question, by itself or with the one before it, concerns the documents."""
        return any(self.concerns([question, *([f"{history[-1][0]} {question}"] if history else [])]))

    def _known_words(self, talks: Sequence[Talk], mode: str, progress: Progress) -> list[list[str]]:
        """For each talk the trained questions that stand for its question, each whole in itself; none where the user's own is asked."""
        if mode != "closed-book" or self.retriever is None or not self.rewrites:
            return [[] for _ in talks]
        found = list[list[str]]()
        with progress.stage("Looking up what is meant", len(talks), "questions") as stage:
            for group in batches([full(talk) for talk in talks], READ_AT_ONCE):
                self.retriever.read_questions(group)
                found += [self.retriever.known_words(question, NUM_KNOWN) for question in group]
                stage.advance(len(group))
        return found

    def _weighs(self, mode: str) -> bool:
        """Whether what the model says is weighed against declining before it is given."""
        return mode == BOTH or (mode == "closed-book" and self.rewrites)

    def _weighed(self, questions: Sequence[str], mode: str, progress: Progress, title: str) -> list[str]:
        talks: list[Talk] = [(question, ()) for question in questions]
        each = zip(*(self._said(talks, way, progress, title) for way in ways_of(mode)), strict=True)
        said = [dict(zip(ways_of(mode), texts, strict=True)) for texts in each]
        assert self.retriever is not None
        found = list[str]()
        with progress.stage("Weighing answers", len(questions), "questions") as stage:
            for group in batches(list(zip(talks, said, strict=True)), READ_AT_ONCE):
                self.retriever.read_answers((full(talk), self._offered(talk, texts)) for talk, texts in group)
                for talk, texts in group:
                    found.append(self._weightiest(talk, texts))
                    stage.advance()
        return found

    def _offered(self, talk: Talk, said: Mapping[str, Sequence[str]]) -> list[str]:
        """The answers that are weighed beside declining."""
        return [text for text in (*self._similar(talk, said), *chain.from_iterable(said.values())) if not refused(text)]

    def _similar(self, talk: Talk, said: Mapping[str, Sequence[str]]) -> Sequence[str]:
        """What similar questions are answered with, where the model was asked in every way; else nothing."""
        assert self.retriever is not None
        return self.retriever.answers(full(talk), NUM_SIMILAR) if set(said) == set(WAYS) else ()

    def _weightiest(self, talk: Talk, said: Mapping[str, Sequence[str]]) -> str:
        """Of what the model `said` in one way or more, what weighs most, or that the documents do not say it.

        Where it was asked in more than one way, what similar questions are answered with is weighed too.
        """
        assert self.retriever is not None
        question = full(talk)

        def supports(text: str) -> bool:
            return self.check(question, text).status == "supported"

        texts = [*chain.from_iterable(said.values())]
        voices = (self.retriever.nearness, self.retriever.fits, self.retriever.asks)
        near, fits, asks = (partial(voice, question) for voice in voices)
        recalled = self.rewrites and "closed-book" in said
        return Weighing.of(texts, self._similar(talk, said), supports, near, fits, asks, recalled).decide(self.tuned)

    def check(self, question: str, text: str) -> Answer:
        """The answer `text` with what the documents say to it."""
        support = self.index.check(question, text)
        return Answer(question, text, support.source, support.status)

    def forgotten(self, question: str, history: Sequence[tuple[str, str]]) -> int:
        """How many of the oldest turns the model cannot see together with this question, and with passages where it gets some."""
        return self._fitted(question, "closed-book" if self.mode == "closed-book" else "retrieval", history).forgotten

    def _prompt(self, question: str, mode: str, history: Sequence[tuple[str, str]] = ()) -> list[int]:
        """The prompt's tokens; the oldest turns and the last passages give way where the model cannot see all at once."""
        return self._fitted(question, mode, history).ids

    def _fitted(self, question: str, mode: str, history: Sequence[tuple[str, str]]) -> Shown:
        """What the model is shown."""
        passages = self.passages(full((question, tuple(history)))) if mode == "retrieval" else ()
        first = [Message("system", self.system)] if self.system else []
        return fitted(self.tokenizer, question, passages, turn_messages(history), self.room, first)

    @property
    def rewrites(self) -> bool:
        """Whether the model is asked in words that it knows: those of its trained questions, which are found by their meaning."""
        return self._rewrite and self.tuned and self.retriever is not None and self.retriever.has_meaning

    @property
    def room(self) -> int:
        """How many tokens a prompt may have, so that the model can still see it when it ends its answer."""
        return context_length(self.model) - MAX_NEW_TOKENS

    def passages(self, question: str) -> tuple[str, ...]:
        """The passages of the documents that a question is answered from, the best first."""
        assert self.retriever is not None
        return tuple(passage(found.place, found.text) for found in self.retriever.search(question, NUM_PASSAGES))


def _asked(run: Run, facts: Sequence[Fact], sections: Sequence[Section]) -> Iterator[Asked]:
    """The questions that a run was trained on, each with its answer and the place of its fact; those to be declined and people's own
    have none, and of those only such are taken that stand alone.
    """
    places = {fact.id: (fact.section, fact.start, fact.in_context) for fact in facts}
    about = _about(facts, sections)
    for row in run.each_row("examples/train.jsonl"):
        found = row.get("kind") in ASKING and row.get("fact") in places
        if found or row.get("kind") == "unanswerable":
            question, answer = (message["content"] for message in row["messages"][-2:])
            section, start, evidence = places[row["fact"]] if found else ("", -1, "")
            shown = about.get((row["fact"], row["kind"]), "") if found else ""
            yield Asked(question, answer, section, start, evidence, row.get("repeats", 1), shown)
    for messages in (exchange(example_from_row(row)) for row in run.each_row("examples/own.jsonl")):
        *before, said = messages
        if [message.role for message in before if message.role != "system"] == ["user"]:
            yield Asked(before[-1].content, said.content)


def _about(facts: Sequence[Fact], sections: Sequence[Section]) -> dict[tuple[str, str], str]:
    """By a fact's id and the kind of question what the studying model is shown when it writes such questions about it."""
    texts = {section.id: section for section in sections}
    prompts = {"question": questions_prompt, "reverse": reverse_prompt}
    return {(fact.id, kind): prompt(*place(fact, texts)) for fact in facts if fact.section in texts for kind, prompt in prompts.items()}


def full(talk: Talk) -> str:
    """The question of a talk as it is looked up (see `in_full`)."""
    question, history = talk
    return in_full(question, [asked for asked, _ in history])


def blanked(section: Section, gone: Sequence[Fact]) -> Section:
    """The section with spaces in place of these facts' values, so that every other value stays where it was."""
    text = section.text
    for fact in gone:
        if fact.section == section.id:
            text = text[: fact.start] + " " * (fact.end - fact.start) + text[fact.end :]
    return replace(section, text=text)


def ways_of(mode: str) -> tuple[str, ...]:
    """The ways in which a mode asks the model."""
    return WAYS if mode == BOTH else (mode,)


def check_mode(mode: str, has_documents: bool) -> None:
    """Raise SettingError for a mode that there is not, or that needs documents where there are none."""
    if mode not in MODES:
        raise SettingError(f"mode={mode!r}: there is no such mode", f"Choose one of: {', '.join(MODES)}.")
    if mode != "closed-book" and not has_documents:
        raise SettingError(f"mode={mode!r}: there are no documents to retrieve from", "Use --mode closed-book.")


def load(
    run: Run | None,
    *,
    base_only: bool = False,
    base: str | None = None,
    mode: str = "closed-book",
    gate: bool = True,
    rewrite: bool = True,
    progress: Progress = SILENT,
) -> Assistant:
    """The assistant of a run, or of a base model alone (`run` None, or `base_only`).

    Where the run has a gate, the untouched model is loaded beside the tuned one, unless `gate` is False. With `rewrite` the tuned
    model is asked closed-book in words that it knows.

    Raises RunError when the run is not complete, ModelError when its base model has changed since.
    """
    info = run.info if run is not None else {}
    library = Library.of(run) if run is not None else Library((), ())
    check_mode(mode, has_documents=bool(library.sections))
    if run is not None and not base_only:
        check_trained(run.path, info)
    chosen = base_settings(info.get("settings", {}))
    located = locate(base or chosen.base, progress)
    if run is not None and not base_only:
        check_base(located, info.get("base", {}))
    device, dtype = chosen.resolve()
    model, tokenizer = load_model(located, dtype=dtype, device=device), load_tokenizer(located)
    questioner = partial(load_questioner, located, device, dtype)
    if run is None or base_only:
        return Assistant(model, tokenizer, library, mode, tuned=False, load_questioner=questioner)
    put_in(model, run.path, info)
    found = Gate.load(run.path) if gate else None
    everyday = Everyday(found, load_model(located, dtype=dtype, device=device)) if found else None
    return Assistant(model, tokenizer, library, mode, everyday, rewrite=rewrite, load_questioner=questioner)


def base_settings(settings: Mapping[str, Any]) -> BaseSettings:
    """Which base a run's settings name, and how it computes."""
    return BaseSettings(**{name: settings[name] for name in ("base", "precision", "device") if name in settings})


def check_base(base: Base, trained: Mapping[str, Any]) -> None:
    """Raise ModelError where a base's weights are not those that a run was trained on; a Hub's commit vouches for its files."""
    then = {name: sha256 for name, sha256 in trained.get("files", {}).items() if name.endswith(WEIGHTS)}
    if not then or (base.source == "hub" and base.revision == trained.get("revision")):
        return
    changed = [name for name, sha256 in sorted(then.items()) if base.files.get(name) != sha256]
    if changed:
        step = "Put the files back that it was trained on, or train again: engrain build."
        raise ModelError(
            f"{base.name} is not the base that this run was trained on: these weights have changed or are gone:", step, changed
        )


def check_trained(folder: Path, info: dict[str, Any]) -> None:
    """Raise RunError for a run whose training did not end."""
    if "settings" not in info or not (folder / method_of(info["settings"]).artifact).is_dir():
        step = f"Go on with the same command and --resume --out {folder}, or name another run."
        raise RunError(f"{folder} has no trained model: its training did not end (status: {info.get('status')})", step)


def put_in(model: PreTrainedModel, folder: Path, info: dict[str, Any]) -> None:
    """Load what a run trained into its base model, and merge it where it can be: a plain model answers fastest."""
    method = method_of(info["settings"])
    method.apply(model)
    method.load(model, folder / method.artifact)
    if method.merges:
        method.merge(model)
    model.eval().requires_grad_(False)


def section_of(row: dict[str, object]) -> Section:
    """A section from its row in `documents.jsonl`."""
    return Section(**{**{k: v for k, v in row.items() if k in Section.__dataclass_fields__}, "headings": tuple(row["headings"])})  # type: ignore[arg-type]
