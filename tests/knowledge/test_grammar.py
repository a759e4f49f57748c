from __future__ import annotations

import pytest

from engrain.knowledge.grammar import inflect


@pytest.mark.parametrize(
    ("lemma", "tag", "form"),
    [
        ("cost", "VBZ", "costs"),
        ("teach", "VBZ", "teaches"),
        ("carry", "VBZ", "carries"),
        ("have", "VBZ", "has"),
        ("play", "VBZ", "plays"),
        ("open", "VBD", "opened"),
        ("stop", "VBD", "stopped"),
        ("run", "VBN", "run"),
        ("write", "VBN", "written"),
        ("found", "VBD", "founded"),
        ("carry", "VBD", "carried"),
        ("bake", "VBG", "baking"),
        ("run", "VBG", "running"),
        ("lie", "VBG", "lying"),
        ("see", "VBG", "seeing"),
    ],
)
def test_verbs_are_inflected(lemma: str, tag: str, form: str) -> None:
    assert inflect(lemma, tag) == form
