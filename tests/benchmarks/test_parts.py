"""What the parts of the benchmarks work out from what was measured; nothing here measures a time that matters."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks import measuring, serve_load, sizes
from benchmarks.measuring import Options
from benchmarks.parts import plan, training
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


@pytest.mark.parametrize(("status", "served"), [(200, 1), (429, 0), (503, 0)])
def test_only_what_was_answered_counts_as_served(status: int, served: int) -> None:
    said = {"choices": [{"delta": {"content": "At noon."}}]}
    answer = httpx.Response(status, text=f"data: {json.dumps(said)}\n\n" if status == 200 else "{}")
    seen = serve_load.Seen()

    async def ask() -> None:
        transport = httpx.MockTransport(lambda _: answer)
        async with httpx.AsyncClient(base_url="http://here", transport=transport) as client:
            await serve_load.ask(client, "m", "When does the ferry leave?", 8, seen)

    asyncio.run(ask())
    assert seen.statuses == {str(status): 1}
    assert (len(seen.whole), len(seen.first)) == (served, served)
