"""Whether a build fits this machine and how long it takes, before it starts: each figure with its reason.

Times come from `duration.py`; memory and disk from what is held and written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from engrain import registry
from engrain.assistant import MAX_NEW_TOKENS
from engrain.config import Settings
from engrain.cost import MARGIN, TRAINING, VALUE_BYTES, Cost, cost_of, matmul_rate, tokens_fitting, tokens_kept
from engrain.doctor import GB, free_disk
from engrain.duration import CHARACTERS_A_TOKEN, Tokens, Work, asking_time, kept_states, tokens_at_once, training_time
from engrain.examples import Example
from engrain.experience import remembered
from engrain.fetch import cache_folder
from engrain.memory import free_on
from engrain.models import context_length, count_parameters, load_tokenizer, on_disk, outline
from engrain.pace import told_rate
from engrain.study.teacher import price_of
from engrain.study.teacher_prompts import Expected
from engrain.tasks._trunk import IN_MEMORY
from engrain.tokens import encode_example, shared_prefix

if TYPE_CHECKING:
    from engrain.methods.base import Method

TEMPLATE_TOKENS = 8
"""What a chat template adds to an example, where there is no tokenizer yet."""
CHECKPOINTS = 4
"""The two newest, the best, and the one being written."""
TEXT_BYTES = 30_000_000
"""Documents, facts, examples, evaluation and report of a run."""


@dataclass(frozen=True)
class Plan:
    """What a build would take; `fits` says whether this machine can do it, and `reasons` why, one for each figure.

    `teacher` is what a teacher would be asked, None without one.
    """

    fits: bool
    documents: int
    facts: int
    examples: int
    tokens_per_epoch: int
    steps: int
    training_minutes: float
    total_minutes: float
    memory_bytes: int
    memory_free_bytes: int
    disk_bytes: int
    disk_free_bytes: int
    reasons: tuple[str, ...]
    teacher: Expected | None = None


@dataclass(frozen=True)
class Held:
    """What training holds: how many numbers train in all and `at_once` in one step, and the bytes that the optimizer keeps of each.

    `states` are the bytes of what frozen layers give, which is computed once.
    """

    trained: int
    at_once: int
    kept_bytes: int
    states: int

    @property
    def written(self) -> int:
        """Bytes of a checkpoint: values, and what the optimizer keeps."""
        return VALUE_BYTES * self.trained + self.kept_bytes * self.at_once

    @property
    def training(self) -> int:
        """Bytes of what trains in memory: that, and the gradients."""
        return self.written + VALUE_BYTES * self.at_once

    @property
    def in_memory(self) -> int:
        """Bytes of the states of frozen layers that stay in memory; more than that goes to a file."""
        return self.states if self.states <= IN_MEMORY else 0


@dataclass(frozen=True)
class Need:
    """What is needed of something, what there is, the words for both, and what to change where it is not enough."""

    needed: int
    free: int
    words: str
    remedy: str

    @property
    def fits(self) -> bool:
        """Whether there is enough."""
        return self.needed <= self.free

    @property
    def reason(self) -> str:
        """The words, and the remedy where there is not enough."""
        return self.words if self.fits else f"{self.words}. Not enough: {self.remedy}"


def make_plan(work: Work, settings: Settings) -> Plan:
    """The Plan of `work`. Raises ModelError when the base cannot be used, SettingError when the method does not fit it."""
    device, dtype = settings.model.resolve()
    method = registry.find("methods", settings.method)(settings.method_settings)
    model = outline(settings.model.base)
    method.apply(model)
    cost, rate = cost_of(model, dtype, method.in_place(device, dtype), device), matmul_rate(device, dtype)
    context = context_length(model)
    limit = min(settings.training.max_length, context)
    tokens = count_tokens(work, settings, limit)
    length = example_length(tokens, limit, context)
    held = Held(cost.trained, method.at_once(model), method.kept_bytes(device), kept_states(tokens, cost, settings))
    room = room_of(cost, held, device)
    slower, trainings = remembered(device, dtype)
    again = room.again(tokens_at_once(tokens, settings))
    asking = asking_time(work, tokens, cost, rate, settings)
    settings = settings.within_budget(sum(asking.values()))
    steps, training, why = training_time(tokens, cost, rate / slower, settings, again)
    memory = memory_need(tokens, room, settings)
    disk = disk_need(held, method, count_parameters(model), dtype.itemsize, settings)
    return Plan(
        fits=length.fits and memory.fits and disk.fits,
        documents=work.documents,
        facts=work.facts,
        examples=len(tokens.lengths),
        tokens_per_epoch=sum(tokens.lengths),
        steps=steps,
        training_minutes=training / 60,
        total_minutes=(training + sum(asking.values())) / 60,
        memory_bytes=memory.needed,
        memory_free_bytes=memory.free,
        disk_bytes=disk.needed,
        disk_free_bytes=disk.free,
        reasons=(
            f"Examples: {len(work.train):,} from the facts and {work.replay:,} everyday ones against forgetting; {tokens.source}",
            length.reason,
            f"Steps: {why}",
            f"Learning: {told_rate(method, model, settings.training.learning_rate)}",
            f"Training: {cost.training / 1e9:.2f} GFLOP a token; this machine multiplies {rate / 1e12:.2f} TFLOP/s now "
            f"({str(dtype).removeprefix('torch.')} on {device}), and training reaches about {TRAINING / slower:.0%} of that"
            + (f", as in earlier trainings here ({trainings})" if trainings else ", as on other machines"),
            "Total: " + ", ".join(f"{name} {seconds / 60:.1f} min" for name, seconds in asking.items()) + ", besides training",
            *([teacher_reason(work.teacher, settings)] if work.teacher else []),
            memory.reason,
            disk.reason,
        ),
        teacher=work.teacher,
    )


def teacher_reason(asked: Expected, settings: Settings) -> str:
    """What a teacher would be asked, and what that costs where its price is known."""
    price = price_of(settings.study)
    cost = f", which cost about {price.told(asked.sent, asked.received)}" if price else "; --teacher-price-sent and -received tell the cost"
    return (
        f"Teacher: {asked.requests:,} requests, about {asked.sent:,} tokens to send and {asked.received:,} to receive{cost}. "
        "Replies from earlier builds cost nothing; how long it takes is up to the endpoint"
    )


def count_tokens(work: Work, settings: Settings, limit: int) -> Tokens:
    """The examples in tokens: counted where the base's tokenizer is on this disk, else estimated from their characters."""
    found = on_disk(settings.model.base)
    if found is None:
        train, heldout = (list(map(estimated, rows)) for rows in (work.train, work.heldout))
        shared = 0
        source = f"tokens estimated as characters / {CHARACTERS_A_TOKEN}, because {settings.model.base} is not on this disk yet"
    else:
        tokenizer = load_tokenizer(found)
        encoded = [encode_example(tokenizer, e.messages) for e in work.train]
        train = [(len(e), int(e.supervised.sum())) for e in encoded]
        heldout = [(len(e), 0) for e in (encode_example(tokenizer, e.messages) for e in work.heldout)]
        shared = shared_prefix(encoded)
        source = f"tokens counted with the tokenizer of {settings.model.base}"
    rows = [*train, *[(MAX_NEW_TOKENS, MAX_NEW_TOKENS // 2)] * work.replay]
    lengths, targets = zip(*([row for row in rows if row[0] <= limit] or rows), strict=True)
    return Tokens(
        lengths=lengths,
        heldout=sum(length for length, _ in heldout if length <= limit),
        shared=shared,
        targets=sum(targets),
        left_out=len(rows) - len(lengths),
        longest=max(length for length, _ in rows),
        source=source,
    )


def estimated(example: Example) -> tuple[int, int]:
    """About how many tokens an example has, and how many of them are graded."""
    return TEMPLATE_TOKENS + characters(example) // CHARACTERS_A_TOKEN, 1 + len(example.messages[-1].content) // CHARACTERS_A_TOKEN


def characters(example: Example) -> int:
    """How long the turns of an example are together."""
    return sum(len(message.content) for message in example.messages)


def example_length(tokens: Tokens, limit: int, context: int) -> Need:
    """The longest example beside what may be learned at once."""
    words = f"Longest example: {tokens.longest:,} tokens of at most {limit:,}"
    advice = "raise --max-length" if limit < context else "choose a base that sees more at once"
    words += f"; {tokens.left_out:,} longer ones are left out ({advice})" if tokens.left_out else ""
    return Need(min(tokens.lengths), limit, words, advice)


@dataclass(frozen=True)
class Room:
    """What there is for what the way back needs: `free` bytes of a device, of which `fixed` go to the rest, the `program` among it."""

    cost: Cost
    held: Held
    program: int
    free: int

    @property
    def fixed(self) -> int:
        """Bytes of all but what tokens need."""
        return self.program + int(MARGIN * (self.cost.weights + self.held.training + self.held.in_memory))

    def again(self, tokens: int) -> bool:
        """Whether layers of so many tokens at once are computed a second time, as training will choose."""
        return tokens > tokens_kept(self.cost, self.free - self.fixed)

    def at_once(self, wanted: int, longest: int) -> int:
        """Tokens that are computed at once, fewer than wanted where memory is short, but at least those of the longest example."""
        return max(longest, min(wanted, tokens_fitting(self.cost, self.free - self.fixed))) if self.again(wanted) else wanted

    def kept(self, tokens: int) -> int:
        """Bytes that are kept of so many tokens at once."""
        return tokens * (self.cost.recomputed if self.again(tokens) else self.cost.activations)


def room_of(cost: Cost, held: Held, device: str) -> Room:
    """The Room on a device."""
    return Room(cost, held, *memory_of(device))


def memory_need(tokens: Tokens, room: Room, settings: Settings) -> Need:
    """The peak of memory while training, beside what is free on the device (for this process: and what it holds already)."""
    cost, held = room.cost, room.held
    at_once = room.at_once(tokens_at_once(tokens, settings), max(tokens.lengths))
    kept = room.kept(at_once)
    words = (
        f"Memory: weights {shown(cost.weights)}, what trains with gradients and moments {shown(held.training)}, "
        f"activations of {at_once:,} tokens at once {shown(kept)}{' (layers are computed a second time)' if room.again(at_once) else ''}, "
        f"logits {shown(cost.logits)}, "
        + (f"what frozen layers give {shown(held.in_memory)}, " if held.in_memory else "")
        + f"the program {shown(room.program)}, and {MARGIN - 1:.0%} more; {shown(room.free)} are free"
    )
    ways = ["--max-length with shorter examples", "a smaller --base"] + ["--method lora"] * (settings.method != "lora")
    return Need(room.fixed + int(MARGIN * (kept + cost.logits)), room.free, words, f"try {' or '.join(ways)}, or free memory")


def memory_of(device: str) -> tuple[int, int]:
    """Bytes that this program holds before it trains, and bytes that it may hold."""
    import torch

    held = 0 if device.startswith("cuda") else int(psutil.Process().memory_info().rss)
    return held, held + free_on(torch.device(device))


def disk_need(held: Held, method: Method, parameters: int, itemsize: int, settings: Settings) -> Need:
    """What a run writes, and the base model where it is not on this disk yet, beside what is free."""
    checkpoints, states = CHECKPOINTS * held.written, held.states - held.in_memory
    result = parameters * itemsize if method.artifact == "model" else 4 * held.trained
    base = 0 if on_disk(settings.model.base) else 4 * parameters
    free = min(free_disk(place) for place in (Path("runs"), *([cache_folder()] if base else [])))
    words = f"Disk: checkpoints {shown(checkpoints)}, the result {shown(result)}, texts {shown(TEXT_BYTES)}"
    words += f", what frozen layers give {shown(states)} (while it trains)" if states else ""
    words += f", the base model {shown(base)} (not fetched yet)" if base else ""
    ways = "free some, work on another disk (--out, ENGRAIN_HOME)" + (" or use --method lora" if settings.method != "lora" else "")
    return Need(checkpoints + result + TEXT_BYTES + states + base, free, f"{words}; {shown(free)} are free", ways)


def shown(size: float) -> str:
    """A number of bytes for people."""
    return f"{size / GB:.1f} GB" if size >= GB / 10 else f"{size / 2**20:.0f} MB"
