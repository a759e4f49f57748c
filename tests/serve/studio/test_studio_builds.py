"""Builds and runs over HTTP: settings, estimate, starting and stopping, events, and what a finished run shows."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest
from shop import KITES, OPTIONS

from engrain.run import Mark, Run
from engrain.serve import studio_builds


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    blocks = [block.split("\n") for block in text.split("\n\n") if block.startswith("event: ")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def wait(studio: Any, build: str, statuses: tuple[str, ...]) -> dict[str, Any]:
    for _ in range(1200):
        found: dict[str, Any] = studio.get(f"/engrain/builds/{build}").json()
        if found["status"] in statuses:
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def test_settings_come_from_the_product(studio: Any) -> None:
    found = studio.get("/engrain/settings").json()
    assert "x-owners" in found["schema"]["properties"]["rank"]
    assert set(found["presets"]) == {"quick", "thorough"}


def test_an_estimate_comes_before_the_start(studio: Any) -> None:
    assert studio.post("/engrain/estimate", json={}).json()["error"]["code"] == "no_documents"
    studio.post("/engrain/documents", files=[("files", ("kites.md", KITES))])
    plan = studio.post("/engrain/estimate", json={"preset": "thorough", "settings": {"max_steps": 7}}).json()
    assert plan["steps"] == 7
    assert plan["facts"] > 5
    refused = studio.post("/engrain/estimate", json={"settings": {"rank": -1, "epochs": "many"}})
    assert refused.status_code == 400
    assert "rank" in refused.json()["error"]["message"]
    assert "epochs" in refused.json()["error"]["message"], "all problems are told together"


def test_an_estimate_of_a_ready_run_counts_what_it_holds(studio: Any, kites: Path) -> None:
    studio.post("/engrain/documents", files=[("files", ("kites.md", KITES + b"\n\nA kite bag costs \xc2\xa312."))])
    anew = studio.post("/engrain/estimate", json={"settings": OPTIONS}).json()
    ready = studio.post("/engrain/estimate", json={"run": "kites", "settings": OPTIONS}).json()
    assert ready["facts"] == len(Run(kites).read_rows("facts.jsonl")) < anew["facts"]
    assert 0 < ready["examples"] < anew["examples"]
    Run(kites).write_rows("facts.jsonl", Run(kites).read_rows("facts.jsonl")[:2])
    assert studio.post("/engrain/estimate", json={"run": "kites", "settings": OPTIONS}).json()["facts"] == 2, "what was edited counts"
    assert studio.post("/engrain/estimate", json={"run": "none"}).status_code == 404
    assert (kites / "examples" / "replay.jsonl").exists(), "asking what it would take changes nothing"


def test_a_build_runs_to_its_verdict_and_can_be_looked_at(studio: Any, tmp_path: Path) -> None:
    studio.post("/engrain/documents", files=[("files", ("kites.md", KITES))])
    studio.post("/engrain/examples", json={"question": "May I bring a dog?", "answer": "Yes, on a lead."})
    made = studio.post("/engrain/builds", json={"goal": "examples", "name": "Harbour Kites", "settings": OPTIONS})
    assert made.status_code == 201, made.text
    assert made.json()["run"] == "harbour-kites"
    assert wait(studio, made.json()["id"], ("succeeded", "failed"))["status"] == "succeeded"
    fact = studio.get("/engrain/runs/harbour-kites/facts", params={"q": "gannet 41"}).json()["rows"][0]
    studio.delete(f"/engrain/runs/harbour-kites/facts/{fact['id']}")
    build = studio.post("/engrain/builds", json={"run": "harbour-kites", "settings": OPTIONS}).json()
    again = studio.post("/engrain/builds", json={"run": "harbour-kites", "settings": OPTIONS})
    assert again.status_code == 409, "one build of a run at a time"
    said = events(studio.get(f"/engrain/builds/{build['id']}/events").text)
    assert said[-1][0] == "build"
    assert said[-1][1]["status"] == "succeeded", said[-1]
    titles = [data["data"].get("title") for name, data in said if name == "job"]
    assert "Training" in titles
    rows = [row for name, data in said if name == "metrics" for row in data["rows"]]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    run = Run(tmp_path / "runs" / "harbour-kites")
    assert all(row["fact"] != fact["id"] for row in run.read_rows("examples/train.jsonl")), "examples were written anew"
    assert [row["messages"][1]["content"] for row in run.read_rows("examples/own.jsonl")] == ["Yes, on a lead."]
    look_at(studio, tmp_path)


def look_at(studio: Any, tmp_path: Path) -> None:
    """What the page shows of a complete run, and what can be taken away."""
    (row,) = studio.get("/engrain/runs").json()["runs"]
    assert (row["status"], row["steps"], row["editable"], row["build"]) == ("complete", 4, False, None)
    assert studio.get("/engrain/runs/harbour-kites").json()["settings"]["rank"] == 4
    assert len(studio.get("/engrain/runs/harbour-kites/metrics", params={"after": 2}).json()["rows"]) == 2
    measured = studio.get("/engrain/runs/harbour-kites/evaluation").json()
    assert list(measured["names"]) == ["base", "base+retrieval", "tuned", "tuned+retrieval"]
    assert measured["verdict"]["choice"]
    assert measured["by_itself"].startswith("By itself, as when exported, the tuned model answers")
    assert all(question["replies"] for question in measured["questions"])
    assert studio.get("/engrain/runs/harbour-kites/report").text.startswith("<!doctype html>")
    take_away(studio, tmp_path)
    assert studio.delete("/engrain/runs/harbour-kites").status_code == 204
    assert studio.get("/engrain/runs").json()["runs"] == []


def take_away(studio: Any, tmp_path: Path) -> None:
    """What fits the run, each with its command; the zip holds what `engrain export` writes."""
    found = studio.get("/engrain/runs/harbour-kites/exports").json()
    exports = {row["target"]: row for row in found["exports"]}
    assert set(exports) == {"adapter", "merged", "mlx", "vllm"}  # this tokenizer merges nothing, and no image is classified
    assert exports["vllm"]["forms"][0]["command"] == "vllm serve ./harbour-kites-vllm --served-model-name harbour-kites"
    assert [form["type"] for form in exports["merged"]["forms"]] == ["", "f32", "f16", "bf16"]
    assert any("from memory" in note for note in found["notes"])
    for target, expected in (("adapter", "adapter_model.safetensors"), ("merged", "model.safetensors")):
        names = taken(studio, tmp_path, target)
        assert {f"harbour-kites-{target}/{name}" for name in (expected, "tokenizer.json", "README.md")} <= names
    assert studio.get("/engrain/runs/harbour-kites/exports/merged", params={"type": "f17"}).status_code == 400
    assert studio.get("/engrain/runs/harbour-kites/exports/gguf").status_code == 404


def taken(studio: Any, tmp_path: Path, target: str, **query: str) -> set[str]:
    """The names in the zip of an export."""
    answer = studio.get(f"/engrain/runs/harbour-kites/exports/{target}", params=query)
    assert answer.status_code == 200, answer.text
    (tmp_path / "taken.zip").write_bytes(answer.content)
    return set(ZipFile(tmp_path / "taken.zip").namelist())


def test_an_export_is_made_once_and_anew_when_the_run_was(kites_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engrain import api
    from engrain.serve.studio_export import made
    from engrain.serve.studio_workspace import Workspace

    calls, export = [], api.export
    monkeypatch.setattr(api, "export", lambda *args, **values: calls.append(args[1]) or export(*args, **values, check=False))
    run, space = Run(kites_adapter), Workspace(tmp_path / "runs")
    first = made(space, run, "merged", "f16")
    assert made(space, run, "merged", "f16") == first
    assert made(space, run, "merged") != first
    run.update(status="complete")
    made(space, run, "merged", "f16")
    assert calls == ["merged"] * 3


def test_a_waiting_build_is_paused_and_cancelled(studio: Any) -> None:
    studio.post("/engrain/documents", files=[("files", ("kites.md", KITES))])
    build = studio.post("/engrain/builds", json={"settings": OPTIONS}).json()
    path = f"/engrain/builds/{build['id']}"
    assert studio.post(f"{path}/pause").json()["status"] == "paused"
    assert studio.post(f"{path}/resume").json()["status"] in ("queued", "running")
    assert studio.post(f"{path}/cancel").json()["status"] == "cancelled"
    assert studio.post(f"{path}/resume").status_code == 409
    assert [row["id"] for row in studio.get("/engrain/builds").json()["builds"]] == [build["id"]]


@pytest.mark.parametrize(
    "path",
    ["runs/none", "runs/..", "runs/none/metrics", "runs/none/evaluation", "runs/none/scores", "runs/none/exports", "builds/none"],
)
def test_what_is_not_there_is_said(studio: Any, path: str) -> None:
    assert studio.get(f"/engrain/{path}").status_code == 404


def test_the_openapi_document_is_complete(studio: Any) -> None:
    paths = studio.get("/openapi.json").json()["paths"]
    mine = {path: found for path, found in paths.items() if path.startswith("/engrain/")}
    assert len(mine) > 25
    for path, methods in mine.items():
        for method, found in methods.items():
            answer = next(code for code in found["responses"] if code.startswith("2"))
            content = found["responses"][answer].get("content", {"none": {"schema": {"x": 1}}})
            assert found.get("description"), f"{method} {path} says nothing"
            assert answer == "204" or any(kind != "application/json" or kind_of.get("schema") for kind, kind_of in content.items()), path


def test_builds_that_wait_have_folders_of_their_own(studio: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = studio.app.state.parts.jobs
    monkeypatch.setattr(jobs.store, "first", lambda *_: None)  # nothing is started, so nothing makes its folder
    studio.post("/engrain/documents", files=[("files", ("kites.md", KITES))])
    bodies = [{"name": "Kites", "settings": {**OPTIONS, "redact": redact}} for redact in (True, False, True)]
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda body: studio.post("/engrain/builds", json=body).json(), bodies))
    assert sorted(build["run"] for build in made) == ["kites", "kites-2", "kites-3"]
    for build, body in zip(made, bodies, strict=True):
        chosen = json.loads((tmp_path / "runs" / ".studio" / "builds" / f"{build['run']}.json").read_text())
        assert chosen["redact"] is body["settings"]["redact"]
    (first,) = [build for build in made if build["run"] == "kites"]
    studio.post(f"/engrain/builds/{first['id']}/cancel")
    assert studio.post("/engrain/builds", json=bodies[0]).json()["run"] == "kites", "the name is free again"


def test_a_fine_tuning_job_is_no_build(studio: Any, tmp_path: Path) -> None:
    jobs = studio.app.state.parts.jobs
    job = jobs.submit("fine-tune", ["tune"], tmp_path / "runs" / "other")
    jobs.pause(job.id)
    path = f"/engrain/builds/{job.id}"
    answers = [studio.get(path), studio.get(f"{path}/events"), *(studio.post(f"{path}/{verb}") for verb in ("pause", "resume", "cancel"))]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert jobs.get(job.id).status == "paused"


def test_metrics_are_read_once_for_many_events(studio: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, reads = studio.app.state.parts.jobs, []
    monkeypatch.setattr(Run, "read_on", lambda *given: reads.append(given) or ([], Mark()))
    job = jobs.submit("studio", ["build"], tmp_path / "runs" / "kites", {"goal": "verdict", "preset": "quick"})
    jobs.cancel(job.id)
    for number in range(50):
        jobs.store.note(job.id, "note", str(number), {})
    said = events(studio.get(f"/engrain/builds/{job.id}/events").text)
    assert len([name for name, _ in said if name == "job"]) >= 52
    assert len(reads) == 1


def test_metrics_are_read_on_where_the_last_events_left_them(studio: Any, tmp_path: Path) -> None:
    jobs, run = studio.app.state.parts.jobs, Run(tmp_path / "runs" / "kites")
    job = jobs.submit("studio", ["build"], run.path, {"goal": "verdict", "preset": "quick"})
    jobs.cancel(job.id)

    async def watch(*_: Any) -> AsyncIterator[list[Any]]:
        for steps in ((1, 2), (), (3,)):
            for step in steps:
                run.append_row("metrics.jsonl", {"step": step})
            yield []
        run.write_rows("metrics.jsonl", [{"step": step} for step in (1, 2, 3, 4)])  # as a run does that goes on from a checkpoint
        yield []

    async def said() -> list[str]:
        return [text async for text in studio_builds._stream(SimpleNamespace(watch=watch, get=jobs.get), job, 0, 1)]

    found = events("".join(asyncio.run(said())))
    assert [[row["step"] for row in data["rows"]] for name, data in found if name == "metrics"] == [[2], [3], [4]]


def test_the_name_of_a_download_may_have_any_letters(studio: Any, kites_adapter: Path, tmp_path: Path) -> None:
    kites_adapter.rename(tmp_path / "runs" / "凧")
    answer = studio.get("/engrain/runs/凧/exports/adapter")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Disposition"] == "attachment; filename*=utf-8''%E5%87%A7-adapter.zip"
