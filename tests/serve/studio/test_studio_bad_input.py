"""Odd input gets an answer in the fours, never a fault of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shop import KITES

HALF = "\\ud800"
BODIES = [
    ("post", "/engrain/ask", f'{{"run": "kites", "question": "{HALF}"}}'),
    ("post", "/engrain/feedback", f'{{"run": "kites", "question": "{HALF}", "way": "tuned", "answer": "", "good": true}}'),
    ("post", "/engrain/examples", f'{{"question": "{HALF}", "answer": "x"}}'),
    ("patch", "/engrain/runs/kites/facts/none", f'{{"subject": "{HALF}"}}'),
    ("post", "/engrain/estimate", f'{{"settings": {{"base": "{HALF}"}}}}'),
    ("post", "/engrain/estimate", f'{{"settings": {{"{HALF}": 1}}}}'),
    ("post", "/v1/fine_tuning/jobs", f'{{"model": "x", "training_file": "x", "metadata": {{"a": "{HALF}"}}}}'),
    ("post", "/v1/fine_tuning/jobs", f'{{"model": "x", "training_file": "x", "engrain": {{"{HALF}": 1}}}}'),
    ("post", "/engrain/estimate", '{"settings": {"epochs": 1e999}}'),
    ("post", "/engrain/estimate", '{"settings": {"no_such_thing": 1}}'),
    ("post", "/engrain/estimate", '{"settings": {"rank": {"a": 1}}}'),
    ("post", "/engrain/estimate", '{"settings": {"base": "no/such/model"}}'),
    ("post", "/engrain/builds", '{"run": "../kites"}'),
    ("post", "/engrain/builds", '{"earlier": "none"}'),
    ("post", "/engrain/builds", '{"goal": "world peace"}'),
    ("post", "/engrain/ask", "[]"),
    ("post", "/engrain/ask", "{"),
]


@pytest.mark.parametrize(("method", "path", "body"), BODIES, ids=[f"{path} {body}"[:70] for _, path, body in BODIES])
def test_bodies(studio: Any, kites: Path, method: str, path: str, body: str) -> None:
    studio.post("/engrain/documents", files=[("files", ("kites.md", KITES))])
    answer = studio.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "path",
    [
        "runs/kites/facts?limit=-1&offset=-9",
        "runs/kites/facts?offset=99999999999999999999",
        "runs/kites/examples?limit=99999",
        "runs/kites/examples?part=none",
        "runs/kites/examples/0-00/tokens",
        "runs/kites/examples/99999999999999999999-00/tokens",
        "runs/kites/metrics?after=-99999999999999999999",
        "runs/kites/evaluation",
        "runs/kites/scores",
        "runs/kites/report",
        "runs/kites/exports",
        "runs/kites/exports/none",
        "builds/x/events?after=99999999999999999999",
        f"runs/{'x' * 300}",
        f"documents/{'x' * 300}",
        "documents/%00",
        "runs/%00/facts",
    ],
)
def test_addresses(studio: Any, kites: Path, path: str) -> None:
    answer = studio.get(f"/engrain/{path}")
    assert answer.status_code < 500, answer.text


def test_a_name_that_no_system_takes(studio: Any) -> None:
    assert studio.post("/engrain/documents", files=[("files", (f"{'x' * 300}.md", b"text"))]).status_code == 400
