"""A section of a kite shop's documents and a fact of it."""

from __future__ import annotations

from engrain.documents.base import Section
from engrain.knowledge.facts import Fact

TEXT = "The shop is small. It opens at nine. Mira runs it!\n\nA deposit is due."
SECTIONS = {"a.md#1": Section("a.md", 1, ("Harbour Kites", "Hours"), TEXT, 0)}
FACT = Fact(
    "f", "the shop", "it opens at ___.", "nine", "time", "It opens at nine.", "a.md#1", 31, 35, "Hours", "Harbour Kites",
    before="The shop is small.",
)  # fmt: skip
