"""How long training takes, and what else a build does, estimated before it starts.

Times come from FLOPs (`cost.py`), a short measurement of this machine, and what earlier trainings on it took (`experience.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engrain.assistant import MAX_NEW_TOKENS, NUM_PASSAGES
from engrain.batches import Order
from engrain.config import Settings
from engrain.cost import ATTENTION, READING, TRAINING, WRITING, Cost, cost_of, matmul_rate
from engrain.examples import Example
from engrain.experience import ENOUGH_SECONDS, remember
from engrain.retrieval import NUM_KNOWN, PUT_AGAIN
from engrain.study.adapter import QUESTION_TOKENS, REVERSE_TOKENS
from engrain.study.teacher_prompts import Expected
from engrain.tasks._trunk import IN_MEMORY, ON_DISK
from engrain.weighing import NUM_SIMILAR

if TYPE_CHECKING:
    from torch import nn

    from engrain.methods.base import Method
    from engrain.tasks._packed import PackedTask
    from engrain.train import Trained

CHARACTERS_A_TOKEN = 4
"""English text, where there is no tokenizer yet."""
CHECKED_TOKENS = 270
"""Tokens read to check the questions about one fact: its passage once, and nine questions with their answer."""
MOST_ROWS = 100_000
"""Of a training on more examples nothing is learned about time: to count their tokens would take some itself."""
PUT_TOKENS = 110
"""Tokens read to tell whether a question is about a fact: 105 to 122 in three builds."""
OTHERWISE = 30.0
"""Seconds of a build for starting, the gate and the report; an estimate counts them where the build is measured."""


@dataclass(frozen=True)
class Work:
    """What a build would compute: examples to train on and held out (replay as well), and what is asked before and after.

    `questions` are asked closed-book and with passages of about `passage_characters` each, `general` closed-book only;
    `text_tokens` are read for perplexity, of the `replay` prompts `unanswered` are asked first. `seconds` is what reading took;
    the studying model writes about `studied` facts, or a `teacher` is asked.
    """

    documents: int
    facts: int
    train: Sequence[Example]
    heldout: Sequence[Example]
    replay: int
    unanswered: int
    questions: int
    general: int
    passage_characters: float
    text_tokens: int
    seconds: float
    studied: int = 0
    teacher: Expected | None = None


@dataclass(frozen=True)
class Tokens:
    """The examples in tokens: `lengths` of those to train on, the `shared` tokens that all begin with, the graded `targets`.

    Of examples longer than what may be learned at once none is counted, unless all are: `left_out` says how many, `longest` how
    long the longest is.
    """

    lengths: tuple[int, ...]
    heldout: int
    shared: int
    targets: int
    left_out: int
    longest: int
    source: str

    @property
    def met(self) -> float:
        """Tokens of the row that a token stands in, on average over tokens."""
        return sum(length**2 for length in self.lengths) / sum(self.lengths)


def training_time(tokens: Tokens, cost: Cost, rate: float, settings: Settings, again: bool = False) -> tuple[int, float, str]:
    """Steps, seconds of training with its evaluations on held-out wordings, and where the number of steps comes from.

    `again` says whether layers are computed a second time on the way back.
    """
    chosen, count = settings.training, len(tokens.lengths)
    an_epoch = Order(count, chosen.batch_size, chosen.seed).steps_per_epoch
    steps, why = (
        max(1, round(chosen.passes * an_epoch)),
        f"{chosen.passes:g} epochs of {an_epoch:,} steps with {chosen.batch_size} examples",
    )
    if chosen.max_steps and chosen.max_steps < steps:
        steps, why = chosen.max_steps, f"max_steps={chosen.max_steps:,}, less than {why}"

    def taken(share: float, multiplied: int, met: int) -> float:
        return (multiplied / share + tokens.met * met / ATTENTION) / rate

    kept, once_more = bool(kept_states(tokens, cost, settings)), int(again)
    below, met_below = kept * cost.frozen, kept * cost.attention_frozen
    each = taken(
        TRAINING,
        cost.training - below + once_more * cost.forward,
        cost.attention_training - met_below + once_more * cost.attention_forward,
    )
    graded = tokens.targets * cost.head_training / (rate * TRAINING)
    seconds = steps / an_epoch * (computed(tokens, settings) * each + graded)
    seconds += (computed(tokens, settings) + tokens.heldout) * taken(READING, below, met_below)
    if chosen.evaluate:
        evaluations = -(-steps // max(1, round(chosen.evaluate_every * an_epoch)))
        seconds += evaluations * tokens.heldout * taken(READING, cost.forward - below, cost.attention_forward - met_below)
    if chosen.minutes and seconds > 60 * chosen.minutes:
        steps, seconds = max(1, int(steps * 60 * chosen.minutes / seconds)), 60 * chosen.minutes
        why = f"as many as fit into minutes={chosen.minutes:g}, of {why}"
    return steps, seconds, why


def kept_states(tokens: Tokens, cost: Cost, settings: Settings) -> int:
    """Bytes of what frozen layers give for all examples; 0 where it is not kept: for one epoch or less, or past the limits."""
    chosen, (device, _) = settings.training, settings.model.resolve()
    an_epoch = Order(len(tokens.lengths), chosen.batch_size, chosen.seed).steps_per_epoch
    steps = round(chosen.passes * an_epoch)
    size = (sum(tokens.lengths) + tokens.heldout) * cost.states
    most = ON_DISK if device == "cpu" else IN_MEMORY
    return size if min(steps, chosen.max_steps or steps) > an_epoch and size <= most else 0


def computed(tokens: Tokens, settings: Settings) -> int:
    """Tokens that an epoch computes: what all examples of a micro-batch begin with is computed once."""
    count = len(tokens.lengths)
    steps = -(-count // settings.training.batch_size)
    return sum(tokens.lengths) - tokens.shared * max(0, count - steps * micro_batches_of(tokens, settings))


def micro_batches_of(tokens: Tokens, settings: Settings) -> int:
    """Micro-batches of a step."""
    room = max(1, settings.training.micro_batch_tokens - tokens.shared)
    return -(-own_tokens(tokens, settings) // room)


def own_tokens(tokens: Tokens, settings: Settings) -> int:
    """Tokens of a step without what all examples begin with."""
    count = len(tokens.lengths)
    return min(count, settings.training.batch_size) * (sum(tokens.lengths) - tokens.shared * count) // count


def tokens_at_once(tokens: Tokens, settings: Settings) -> int:
    """Tokens of a micro-batch, the shared ones once; at least those of the longest example."""
    return max(*tokens.lengths, tokens.shared + own_tokens(tokens, settings) // micro_batches_of(tokens, settings))


def asking_time(work: Work, tokens: Tokens, cost: Cost, rate: float, settings: Settings) -> dict[str, float]:
    """Seconds of each part of a build besides training."""
    read, write = (speed / (rate * share) for speed, share in ((cost.forward, READING), (cost.forward + cost.head_forward, WRITING)))
    parts = {"reading documents": work.seconds, "everyday answers": work.unanswered * MAX_NEW_TOKENS * write}
    if work.studied:
        seconds = work.studied * ((QUESTION_TOKENS + REVERSE_TOKENS / 2) * write + CHECKED_TOKENS * read)
        parts["studying"] = min(seconds, 60 * settings.study.study_minutes or seconds)
    if not settings.training.evaluate:
        return parts
    prompt = sum(tokens.lengths) / len(tokens.lengths) - tokens.shared
    passages = NUM_PASSAGES * work.passage_characters / CHARACTERS_A_TOKEN
    asked, answer = 2 * work.questions + work.general, tokens.targets / len(tokens.lengths)
    reading = asked * prompt + work.questions * passages + 2 * work.text_tokens
    weighed = work.questions * (prompt + passages + (NUM_SIMILAR + 3) * answer)  # read again, with answers that may be right
    words = NUM_KNOWN if settings.study.encoder else 0  # in which a tuned model is asked from memory, and then weighed
    known = max(0, words - 1) * work.questions
    remembered = known * prompt + bool(words) * work.questions * (prompt + (words + 1) * answer)
    put = PUT_TOKENS * work.questions if work.studied and words else 0  # by the studying model; what it read once it remembers
    before = (reading + weighed + NUM_SIMILAR * put) * read + asked * MAX_NEW_TOKENS * write
    after = (reading + weighed + remembered + PUT_AGAIN * put) * read + (asked + known) * answer * write
    return parts | {"evaluation before": before, "evaluation after": after, "starting, gate and report": OTHERWISE}


def note_taken(model: nn.Module, method: Method, task: PackedTask, settings: Settings, trained: Trained) -> None:
    """Remember how long a training took beside what is estimated here for as many steps of it; `model` is what it trained.

    Where layers were computed twice, or frozen ones otherwise than is reckoned with, other things count, and nothing is noted.
    """
    if trained.seconds < ENOUGH_SECONDS or len(task.train) > MOST_ROWS or task.most_kept < settings.training.micro_batch_tokens:
        return
    device, dtype = settings.model.resolve()
    cost = cost_of(model, dtype, method.in_place(device, dtype), device)
    lengths, targets = tuple(map(task.length, task.train)), sum(map(task.targets, task.train))
    tokens = Tokens(lengths, sum(map(task.length, task.heldout)), task.shared(task.train), targets, 0, max(lengths), "")
    done = replace(settings, training=replace(settings.training, max_steps=trained.steps, minutes=None, evaluate=False))
    if bool(kept_states(tokens, cost, done)) == bool(task.trunk):
        remember(trained.seconds, training_time(tokens, cost, matmul_rate(device, dtype), done)[1], device, dtype)
