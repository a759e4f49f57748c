"""What a model does for knowing, and how much of it: the contract of a writer, and settings of the practice beside the facts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engrain.settings import check, setting

if TYPE_CHECKING:
    from engrain.documents.base import Section
    from engrain.knowledge.dataset import Studied
    from engrain.knowledge.facts import Fact


READINGS = 0.1
"""Share of the examples practised with passages where there is time: of a twentieth of the rows, a quarter of the time and more."""
REPLAY = 200
"""Everyday prompts that are practised beside the facts. More of them than of other examples would be what is learned most."""


class Writer(ABC):
    """Studies a business's sections as a careful reader would. What it returns has passed its own check against the source."""

    @abstractmethod
    def notice(self, facts: Sequence[Fact], sections: Sequence[Section], business: str) -> list[Fact]:
        """The facts, weighed by whether people would ask for them, and details of the sections that none of them holds."""

    @abstractmethod
    def study(self, facts: Sequence[Fact], sections: Mapping[str, Section]) -> Studied:
        """Wordings of the facts that are worth asking for, the best first, and questions that no section answers."""


@dataclass(frozen=True)
class StudySettings:
    """How much is practised beside the facts."""

    study: bool = setting(True, "Do not have the studying model write questions beside those of the rules.", flag="--no-study")
    study_minutes: float = setting(
        3.5,
        "Longest time to let the studying model write questions, about what people ask for most first, a fifth of it about what is not "
        "said (0: no limit).",
    )
    teacher: str | None = setting(
        None,
        "A larger model that studies instead: a Hub id, folder or .gguf file for this machine, or an OpenAI-compatible endpoint as URL or "
        "URL#model, to which the documents are sent (key: ENGRAIN_TEACHER_KEY).",
    )
    teacher_concurrency: int = setting(8, "Requests to the teacher at a time.")
    teacher_price_sent: float | None = setting(None, "What a million tokens sent to the teacher cost, so that cost is shown.")
    teacher_price_received: float | None = setting(None, "What a million tokens received from the teacher cost, so that cost is shown.")
    replay: int | None = setting(
        None,
        "Everyday prompts whose untouched answers are practised again against forgetting (0: none). Default: 200, but no more than there "
        "are other examples.",
    )
    encoder: bool = setting(
        True, "Find passages and questions by their words alone, without the sentence encoder (84 MB, fetched once).", flag="--no-encoder"
    )
    gate: bool = setting(True, "Do not fit the gate that hands everyday questions to the untouched model.", flag="--no-gate")
    readings: float | None = setting(
        None,
        "Questions practised with retrieved passages, as a share of the examples, for mode retrieval to gain (0: none). Default: 0.1 on an "
        "accelerator; none on a processor, where the same minutes teach more by heart without.",
    )

    def __post_init__(self) -> None:
        prices = {name: getattr(self, name) for name in ("teacher_price_sent", "teacher_price_received")}
        check(
            self,
            teacher_concurrency=(self.teacher_concurrency >= 1, "use at least 1"),
            **{name: (price is None or price >= 0, "must not be negative") for name, price in prices.items()},
            study_minutes=(self.study_minutes >= 0, "must not be negative"),
            replay=((self.replay or 0) >= 0, "must not be negative"),
            readings=(0 <= (self.readings or 0) <= 1, "use a share from 0 to 1"),
        )

    def read(self, examples: int, device: str) -> int:
        """How many of so many examples are practised with passages beside them, where a model is trained on this kind of device."""
        share = (0.0 if device == "cpu" else READINGS) if self.readings is None else self.readings
        return round(share * examples)

    def replayed(self, examples: int) -> int:
        """How many everyday prompts are practised beside so many other examples."""
        return min(REPLAY, examples) if self.replay is None else self.replay
