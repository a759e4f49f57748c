"""Fine-tuning through the official client, and what a job refuses."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import running

from engrain.errors import SettingError
from engrain.serve.openai_files import Files
from engrain.serve.openai_jobs import JobBody, _settings

ROWS = [{"messages": [{"role": "user", "content": f"Question {i}?"}, {"role": "assistant", "content": f"Answer {i}."}]} for i in range(24)]


def jsonl(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[Any]:
    """A server with a folder of its own to train in."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "jobs.yaml").write_text("replay: 0\nrank: 4\nseed: 7\n")
    with running(folder / "runs", tiny_folder, job_config=folder / "jobs.yaml") as found:
        yield found


def script(client: Any, model: str) -> tuple[Any, Any, str, list[str]]:
    """A fine-tuning script as people wrote it for OpenAI: upload, job, poll the events, chat with the result."""
    training = client.files.create(file=("train.jsonl", jsonl(ROWS)), purpose="fine-tune")
    validation = client.files.create(file=("valid.jsonl", jsonl(ROWS[:4])), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model=model,
        training_file=training.id,
        validation_file=validation.id,
        suffix="my shop",
        seed=3,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 8}}},
    )
    first, seen = job, list[int]()
    while job.status not in ("succeeded", "failed", "cancelled"):
        time.sleep(0.2)
        job = client.fine_tuning.jobs.retrieve(job.id)
        seen.append(len(client.fine_tuning.jobs.list_events(job.id).data))
    messages = [event.message for event in client.fine_tuning.jobs.list_events(job.id)]
    assert seen == sorted(seen)
    assert job.status == "succeeded", messages
    answer = client.chat.completions.create(
        model=job.fine_tuned_model, messages=[{"role": "user", "content": "Question 1?"}], max_tokens=10
    )
    return first, job, answer.choices[0].message.content, messages


def test_a_script_written_for_openai_trains_and_asks(trainer: Any) -> None:
    with trainer.openai() as client:
        first, job, text, messages = script(client, "gpt-4o-mini-2024-07-18")
        assert first.status in ("validating_files", "queued", "running")
        assert first.fine_tuned_model is None
        assert job.fine_tuned_model.startswith("ft:")
        assert ":my shop:" in job.fine_tuned_model
        assert text
        assert any("Training" in message for message in messages)
        assert job.trained_tokens > 0
        assert job.finished_at >= job.created_at
        assert job.hyperparameters.n_epochs == 2
        assert job.seed == 3
        rows = list(csv.DictReader(io.StringIO(client.files.content(job.result_files[0]).text)))
        assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
        assert float(rows[-1]["train_loss"]) > 0
        assert float(rows[-1]["valid_loss"]) > 0
        checkpoint = client.fine_tuning.jobs.checkpoints.list(job.id).data[0]
        assert checkpoint.fine_tuned_model_checkpoint == job.fine_tuned_model
        assert checkpoint.step_number in range(1, 7)
        assert job.fine_tuned_model in [model.id for model in client.models.list()]
        assert [found.id for found in client.fine_tuning.jobs.list()] == [job.id]
        assert client.models.retrieve(job.fine_tuned_model).parent == trainer.parts.settings.base


def test_every_bad_line_of_an_upload_is_reported_and_nothing_is_kept(trainer: Any) -> None:
    rows = [*ROWS[:2], {"messages": []}, ROWS[2], {"text": "x"}]
    data = jsonl(rows) + b"no json\n"
    with trainer.client() as client:
        before = client.get("/v1/files").json()["data"]
        response = client.post("/v1/files", files={"file": ("rows.jsonl", data)}, data={"purpose": "fine-tune"})
        message = response.json()["error"]["message"]
        assert response.status_code == 400
        assert [f"rows.jsonl:{line}:" in message for line in (1, 2, 3, 4, 5, 6)] == [False, False, True, False, True, True]
        assert str(trainer.parts.settings.runs) not in message
        assert client.get("/v1/files").json()["data"] == before


def test_a_file_can_be_listed_read_and_deleted(trainer: Any) -> None:
    with trainer.openai() as client:
        made = client.files.create(file=("../../rows.jsonl", jsonl(ROWS)), purpose="fine-tune")
        assert made.filename == "rows.jsonl"
        long = client.files.create(file=("\U0001d400" * 80 + ".jsonl", jsonl(ROWS)), purpose="fine-tune")
        assert len(long.filename) == 60
        client.files.delete(long.id)
        assert made.bytes == len(jsonl(ROWS))
        assert made.id in [found.id for found in client.files.list()]
        assert client.files.content(made.id).content == jsonl(ROWS)
        assert client.files.delete(made.id).deleted
        assert made.id not in [found.id for found in client.files.list()]


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"training_file": "file-none"}, 400, "training_file"),
        ({"model": "nothing"}, 404, "model"),
        ({"suffix": "../x"}, 400, "suffix"),
        ({"method": {"type": "dpo"}}, 400, "method.type"),
        ({"integrations": [{"type": "wandb"}]}, 400, "integrations"),
        ({"engrain": {"base": "/somewhere"}}, 400, "engrain"),
        ({"engrain": {"rank": -1}}, 400, None),
        ({"hyperparameters": {"n_epochs": 0}}, 400, "hyperparameters.n_epochs"),
    ],
)
def test_a_job_that_cannot_be_is_refused(trainer: Any, change: dict[str, Any], status: int, param: str | None) -> None:
    with trainer.client() as client:
        made = client.post("/v1/files", files={"file": ("rows.jsonl", jsonl(ROWS))}, data={"purpose": "fine-tune"}).json()
        body = {"model": trainer.parts.settings.base, "training_file": made["id"], **change}
        response = client.post("/v1/fine_tuning/jobs", json=body)
        error = response.json()["error"]
        assert response.status_code == status, error
        if param is not None:
            assert (error["param"] or "").startswith(param)
        assert not client.get("/v1/fine_tuning/jobs").json()["data"] or change  # none was made for it
        client.delete(f"/v1/files/{made['id']}")


def test_jobs_of_nobody_are_not_found(trainer: Any) -> None:
    with trainer.client() as client:
        for path in ("", "/events", "/checkpoints"):
            assert client.get(f"/v1/fine_tuning/jobs/ftjob-none{path}").status_code == 404
        for verb in ("cancel", "pause", "resume"):
            assert client.post(f"/v1/fine_tuning/jobs/ftjob-none/{verb}").status_code == 404


def test_a_file_with_a_very_long_name_is_found_again(trainer: Any) -> None:
    with trainer.openai() as client:
        made = client.files.create(file=(f"{'a' * 90}.txt", jsonl(ROWS)), purpose="fine-tune")
        assert client.files.content(made.id).content == jsonl(ROWS)
    assert Files(trainer.parts).location(made.id, "training_file").is_file()


def test_the_settings_of_jobs_are_read_as_any_configuration(tmp_path: Path, tiny_folder: Path) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text("layers: 20:29\nseed: 7\nlearning_rate: 1e-4\n")
    body = {"model": str(tiny_folder), "training_file": "file-x"}
    found = _settings(JobBody(**body), str(tiny_folder), file)
    assert (found["layers"], float(found["learning_rate"])) == ("20:29", 1e-4)
    assert int(found["seed"]) == 7
    assert _settings(JobBody(**body, seed=3), str(tiny_folder), file)["seed"] == 3
    assert _settings(JobBody(**body), str(tiny_folder), None)["seed"] == 0
    file.write_text("rank: [")
    with pytest.raises(SettingError, match=r"jobs\.yaml"):
        _settings(JobBody(**body), str(tiny_folder), file)
