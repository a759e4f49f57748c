"""What a model does for knowing, and how much of it: settings of the practice beside the facts themselves."""

from __future__ import annotations

from dataclasses import dataclass

from engrain.settings import check, setting


@dataclass(frozen=True)
class StudySettings:
    """How much is practised beside the facts."""

    study: bool = setting(True, "Do not have the studying model write questions beside those of the rules.", flag="--no-study")
    replay: int = setting(400, "Everyday prompts whose untouched answers are practised again against forgetting (0: none).")
    readings: int = setting(80, "Questions practised with retrieved passages, so that retrieval gains from tuning (0: none).")

    def __post_init__(self) -> None:
        check(self, replay=(self.replay >= 0, "must not be negative"), readings=(self.readings >= 0, "must not be negative"))
