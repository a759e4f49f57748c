"""What the parts of the benchmarks work out from what was measured; nothing here measures a time that matters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import measuring, sizes
from benchmarks.measuring import Options
from benchmarks.parts import plan, serve, training
from benchmarks.results import Results
from benchmarks.streams import Seen
from benchmarks.trainers.base import Job
from benchmarks.workload import write_rows

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}


@pytest.mark.parametrize(("method", "options"), [("lora", {}), ("full", {}), ("layerwise", {"layers": "0.5"})])
def test_the_plan_says_something_of_every_method(method: str, options: dict[str, str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sizes.SIZES, "tiny", {**SMALL, "vocab_size": 200})
    row = {"input_ids": list(range(3, 40)), "labels": [-100] * 20 + list(range(23, 40))}
    tokens = write_rows(tmp_path / "rows.jsonl", [row] * plan.STEPS * 4)
    job = Job(method, "bfloat16", "random:tiny", str(tokens), plan.STEPS, "", batch_size=4, rank=4, options=options)
    said = plan.estimated(job.to_json())
    assert said["seconds"] > 0
    assert said["bytes"] > 0


def test_the_first_epoch_holds_the_time_that_frozen_layers_took(monkeypatch: Any) -> None:
    step = {"loss": 1.0, "tokens": 100, "seconds": 1.0, "computed": 1.0, "peak_bytes": 5}
    rows = [{"settled": True, "seconds": 32.0}, *[step] * (2 * training.EPOCH)]
    monkeypatch.setattr(measuring, "run", lambda *_: [rows])
    monkeypatch.setattr(measuring, "job", lambda *_, **__: None)
    monkeypatch.setattr(training, "useful_flops", lambda *_: 1.0)
    found = training.epoch(training.LATER, "bfloat16", Options(1))
    assert (found["rate"], found["later_rate"]) == (pytest.approx(50.0), pytest.approx(100.0))


def streamed(*said: dict[str, Any], end: bool = True) -> Seen:
    """What is seen of a stream of these events."""
    seen = Seen()
    for line in ["", *(f"data: {json.dumps(event)}" for event in said), *(["data: [DONE]"] if end else [])]:
        seen.take(line)
    return seen


PIECE = {"choices": [{"delta": {"content": "At noon."}}], "usage": None}
USAGE = {"choices": [], "usage": {"completion_tokens": 4}}


def test_an_answer_counts_once_it_is_whole() -> None:
    seen = streamed({"choices": [{"delta": {"role": "assistant"}}]}, PIECE, USAGE)
    assert (seen.whole, seen.pieces, seen.tokens, seen.error) == (True, ["At noon."], 4, "")


@pytest.mark.parametrize(("said", "end"), [([PIECE], False), ([PIECE, {"error": {"code": "overloaded"}}], True)])
def test_an_answer_that_breaks_off_does_not_count(said: list[dict[str, Any]], end: bool) -> None:
    assert not streamed(*said, end=end).whole


def test_failures_are_no_requests_served_and_waits_are_shares_of_all() -> None:
    times = {"3000": 6, "900": 6}
    answers = {"name": "answer", "num_requests": 12, "num_failures": 2, "total_content_length": 400, "response_times": times}
    first = {"name": "first piece", "response_times": {"100": 19, "7000": 1}}
    found = serve.summary([answers, first], 20)
    assert (found["requests"], found["tokens"], found["failed"]) == (0.5, 20.0, 2)
    assert (found["first_50%"], found["first_95%"], found["whole_50%"], found["whole_95%"]) == (0.1, 0.1, 0.9, 3.0)


def test_a_server_that_cannot_be_had_is_named_and_the_others_go_on(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("LLAMA_SERVER", str(tmp_path / "nothing"))
    row = serve.under_load(Options(1), "llamacpp", 1)
    assert "LLAMA_SERVER" in row["unavailable"]
    results = Results(tmp_path)
    results.put("serve", "llamacpp-1", row)
    assert any("llamacpp-1: there is no llama-server" in line for line in serve.section(results, tmp_path))
