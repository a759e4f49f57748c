"""What facts are asked."""

from __future__ import annotations

from engrain.knowledge.facts import Fact
from engrain.knowledge.forms import wordings


def prompts(facts: list[Fact], value: str) -> list[str]:
    """Every wording of the facts that have this value."""
    return [w.prompt for fact, each in zip(facts, wordings(facts), strict=True) for w in each if fact.value == value]
